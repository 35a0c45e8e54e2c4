// What every authentication method gives back, and the one way to read Vault's answer to a login. An answer is looked
// at before it is believed: a login that came without a token is an error of its own, never a crash.
import { OperatorError } from "../../base/errors.ts";
import { isNoSuchNamespace, quoted } from "../errors.ts";
import { type JsonObject, objectAt } from "../json.ts";
import type { VaultAnswer, VaultTransport } from "../transport.ts";

/** A token and what is known of its life. */
export interface Grant {
  readonly token: string;
  /** Remaining life in ms; undefined: it does not expire, or Vault does not say. */
  readonly ttlMs: number | undefined;
  readonly renewable: boolean;
  /** How many requests it is good for; undefined: any number. */
  readonly uses: number | undefined;
  /** True when our login made it and Vault can revoke it: not somebody else's token, not a batch token. */
  readonly revocable: boolean;
  /** True when our login made it, so that another login can replace it. */
  readonly own: boolean;
}

/** Where a login is sent. */
export interface LoginDoor {
  readonly transport: Pick<VaultTransport, "send">;
  /** Vault namespace, "" for the root namespace. */
  readonly namespace: string;
}

/** A way to log in. */
export interface Login {
  /**
   * One login.
   * @throws OperatorError `VaultLoginFailed`, or `VaultUnavailable` and `VaultSealed` from the way there
   */
  logIn(door: LoginDoor): Promise<Grant>;
  /** Whether a login now would give another token than this one, because somebody replaced it at its source. */
  isReplaced?(token: string): Promise<boolean>;
  /** Asked before each renewal: why there is to be none, or undefined when there may be (or nobody can be asked). */
  refusal?(): Promise<OperatorError | undefined>;
}

/** A login as a request. */
export interface LoginRequest {
  /** Below `/v1/`, percent-encoded. */
  readonly path: string;
  readonly body: JsonObject;
  /** As whom, for messages: `role "x"`. */
  readonly who: string;
  /** What to check when Vault refuses. */
  readonly remedy: string;
}

/** Sends a login and reads the token out of the answer. */
export async function postLogin(door: LoginDoor, { path, body, who, remedy }: LoginRequest): Promise<Grant> {
  const { transport, namespace } = door;
  const answer = await transport.send({ method: "POST", path, namespace, body });
  if (isNoSuchNamespace(answer)) {
    throw loginFailed(
      `the login at ${path} as ${who} failed because Vault has no namespace "${namespace}": create it, or correct spec.vaultNamespace, or VAULT_NAMESPACE where the object names none`,
    );
  }
  if (answer.status >= 400) {
    throw loginFailed(
      `Vault refuses the login at ${path} as ${who} (HTTP ${answer.status})${quoted(answer.errors)}: ${remedy}`,
    );
  }
  const grant = grantOf(answer);
  if (grant === undefined) {
    throw loginFailed(
      `Vault answered the login at ${path} as ${who} without a token: check that the path is a login endpoint and that the login asks for no second factor`,
    );
  }
  return grant;
}

/** The token in the `auth` part of an answer to a login or a renewal; undefined when there is none. */
export function grantOf(answer: VaultAnswer): Grant | undefined {
  const auth = objectAt(answer.body, "auth");
  const { client_token: token, lease_duration: seconds, renewable, num_uses: uses, token_type: type } = auth ?? {};
  if (typeof token !== "string" || token === "") return undefined;
  return {
    token,
    ttlMs: ttlMs(seconds),
    renewable: renewable === true,
    uses: usesOf(uses),
    revocable: type !== "batch",
    own: true,
  };
}

/** A time to live as Vault prints it, in seconds; 0 (root, or no expiry) and nonsense are undefined. */
export function ttlMs(seconds: unknown): number | undefined {
  return typeof seconds === "number" && seconds > 0 ? seconds * 1_000 : undefined;
}

/** A use limit as Vault prints it; 0 (none) and nonsense are undefined. Below 0 the token is used up. */
export function usesOf(uses: unknown): number | undefined {
  return typeof uses === "number" && uses !== 0 ? Math.max(0, uses) : undefined;
}

/** A login that cannot succeed as things are. */
export function loginFailed(message: string, cause?: unknown): OperatorError {
  return new OperatorError("VaultLoginFailed", message, { cause });
}
