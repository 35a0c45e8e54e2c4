// What every authentication method gives back, and the one way to read Vault's answer to a login. An answer is looked
// at before it is believed: a login that came without a token is an error of its own, never a crash.
import { OperatorError } from "../../base/errors.ts";
import { quoted } from "../errors.ts";
import { type JsonObject, objectAt } from "../json.ts";
import type { VaultAnswer, VaultTransport } from "../transport.ts";

/** A token and what is known of its life. */
export interface Grant {
  readonly token: string;
  /** Remaining life in ms; undefined: it does not expire, or Vault does not say. */
  readonly ttlMs: number | undefined;
  readonly renewable: boolean;
  /** True when our login made it, so that it is ours to revoke. */
  readonly own: boolean;
}

/** Where a login is sent. */
export interface LoginDoor {
  readonly transport: VaultTransport;
  /** Vault namespace, "" for the root namespace. */
  readonly namespace: string;
}

/**
 * One login.
 * @throws OperatorError `VaultLoginFailed`, or `VaultUnavailable` and `VaultSealed` from the way there
 */
export type Login = (door: LoginDoor) => Promise<Grant>;

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
  const { client_token: token, lease_duration: seconds, renewable } = auth ?? {};
  if (typeof token !== "string" || token === "") return undefined;
  return { token, ttlMs: ttlMs(seconds), renewable: renewable === true, own: true };
}

/** A time to live as Vault prints it, in seconds; 0 (root, or no expiry) and nonsense are undefined. */
export function ttlMs(seconds: unknown): number | undefined {
  return typeof seconds === "number" && seconds > 0 ? seconds * 1_000 : undefined;
}

/** A login that cannot succeed as things are. */
export function loginFailed(message: string, cause?: unknown): OperatorError {
  return new OperatorError("VaultLoginFailed", message, { cause });
}
