// What Vault, or the way to it, can answer, in the product's words. Vault's own texts go into messages because they
// name the trouble, but only after everything that was sent and everything that looks like a token is taken out.
import { OperatorError } from "../base/errors.ts";
import { codeOf, neverSentCodes } from "../base/retry.ts";

/** Whether Vault may have acted on a request that failed. `no` is certain. */
export type Executed = "no" | "maybe";

/** A call without a usable answer: `VaultUnavailable` or `VaultSealed`. */
export class VaultCallError extends OperatorError {
  readonly executed: Executed;
  /** False when asking again at once cannot help: sealed, a time-out that took its time already, nonsense. */
  readonly transient: boolean;
  /** From Retry-After. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: "VaultUnavailable" | "VaultSealed",
    message: string,
    failure: { executed: Executed; transient: boolean; retryAfterMs?: number | undefined; cause?: unknown },
  ) {
    super(code, message, failure.cause === undefined ? {} : { cause: failure.cause });
    this.executed = failure.executed;
    this.transient = failure.transient;
    this.retryAfterMs = failure.retryAfterMs;
  }
}

/** Of OpenSSL and Node, for a certificate (or a whole handshake) that does not hold. */
const tlsTrouble = /CERT|ALTNAME|SELF_SIGNED|VERIFY|SIGNATURE|ISSUER|ERR_SSL|ERR_TLS|EPROTO/;

/**
 * The error for what undici, or Node below it, threw instead of an answer.
 * @param address scheme, host and port
 */
export function unreachable(address: string, error: unknown): VaultCallError {
  const code = codeOf(error);
  const isTls = tlsTrouble.test(code);
  const hint = isTls
    ? "the TLS handshake fails; check VAULT_CACERT or VAULT_CAPATH, VAULT_TLS_SERVER_NAME and whether the server speaks TLS"
    : "check that it is up, that VAULT_ADDR is right and that the network lets us through";
  return new VaultCallError("VaultUnavailable", `cannot reach Vault at ${address} (${code}): ${hint}`, {
    executed: isTls || neverSentCodes.has(code) ? "no" : "maybe",
    transient: !isTls && code !== "UND_ERR_RES_EXCEEDED_MAX_SIZE",
    cause: bareCause(error, code),
  });
}

/** The error for a request without an answer in time. */
export function timedOut(address: string, timeoutMs: number): VaultCallError {
  return new VaultCallError(
    "VaultUnavailable",
    `Vault at ${address} did not answer within ${timeoutMs / 1000} s; check its load, or raise VAULT_CLIENT_TIMEOUT`,
    { executed: "maybe", transient: false },
  );
}

/** The error for an answer that Vault does not give. */
export function nonsense(address: string, what: string, problem: string): VaultCallError {
  return new VaultCallError(
    "VaultUnavailable",
    `${what}: ${problem}; check that VAULT_ADDR (${address}) is a Vault and not a proxy's page`,
    { executed: "maybe", transient: false },
  );
}

/** What is known of an answer that is no answer to the question: a redirect, 412, 429 or 5xx. */
export interface Outage {
  readonly address: string;
  readonly status: number;
  /** Cleaned. */
  readonly errors: readonly string[];
  readonly retryAfterMs?: number | undefined;
}

/** The error for an answer that says "not now" or "not here". */
export function outage({ address, status, errors, retryAfterMs }: Outage): VaultCallError {
  if (status === 503 && errors.some((text) => /\bsealed\b/i.test(text))) {
    return new VaultCallError("VaultSealed", `Vault at ${address} is sealed, or not initialised yet: unseal it`, {
      executed: "no",
      transient: false,
    });
  }
  const texts = quoted(errors);
  if (status >= 300 && status < 400) {
    return new VaultCallError(
      "VaultUnavailable",
      `Vault at ${address} redirects to another server (HTTP ${status}), which is not followed: set VAULT_ADDR to the active server, or let standby servers forward`,
      { executed: "no", transient: false },
    );
  }
  // Rate limits and "not replicated yet" are answered before anything is done; so is whatever asks to come back later.
  const refusedAtTheDoor = status === 429 || status === 412 || (status === 503 && retryAfterMs !== undefined);
  return new VaultCallError(
    "VaultUnavailable",
    `Vault at ${address} answered HTTP ${status}${texts}; it is tried again, see Vault's own log if it stays so`,
    { executed: refusedAtTheDoor ? "no" : "maybe", transient: status !== 501, retryAfterMs },
  );
}

/** What an answer of status 4xx says; texts are cleaned. */
export interface RefusedAnswer {
  readonly status: number;
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

/** What was asked, for messages. */
export interface Asked {
  /** Such as `writing`. */
  readonly doing: string;
  /** The API path, as a policy writes it. */
  readonly where: string;
  /** What a policy must grant for it. */
  readonly capability: string;
}

/** The error for a refused request on a KV engine. */
export function refused(answer: RefusedAnswer, { doing, where, capability }: Asked): OperatorError {
  const { status, errors } = answer;
  const says = (text: string) => errors.some((error) => error.includes(text));
  if (status === 403) {
    return new OperatorError(
      "VaultPermissionDenied",
      `Vault denies ${doing} ${where}: grant ${capability} on this path to the policy of the operator's login`,
    );
  }
  if (isWrongEngine(answer)) {
    return new OperatorError(
      "EngineMismatch",
      `${where} was addressed as KV v1, but the engine mounted there is KV v2: set kvSettings.engineVersion to v2 or leave it out`,
    );
  }
  if (isNoSuchMount(answer)) {
    return new OperatorError(
      "NotKV",
      `${doing} ${where} failed because nothing is mounted there: enable a KV secrets engine at that mount, or correct spec.path`,
    );
  }
  if (status === 404 && says("namespace not found")) {
    return new OperatorError(
      "VaultUnavailable",
      `${doing} ${where} failed because Vault has no such namespace: create it, or correct VAULT_NAMESPACE`,
    );
  }
  if (status === 400 && says("Upgrading from non-versioned")) {
    return new OperatorError("VaultUnavailable", `${where} is being upgraded to KV v2 by Vault; it is tried again`);
  }
  const texts = quoted(errors);
  if (status === 400 || status === 413) {
    const hint = "check the path for unprintable characters and the size of the secret";
    return new OperatorError("InvalidSpec", `Vault refuses ${doing} ${where} (HTTP ${status})${texts}; ${hint}`);
  }
  return new OperatorError("VaultUnavailable", `${doing} ${where} failed: Vault answered HTTP ${status}${texts}`);
}

/** KV v2's answer to a request without `data/` or `metadata/`. It is a 404 but says nothing about what is there. */
export function isWrongEngine({ status, warnings }: Pick<RefusedAnswer, "status" | "warnings">): boolean {
  return status === 404 && warnings.some((text) => text.includes("versioned K/V"));
}

/** Nothing is mounted where the request went. */
export function isNoSuchMount({ status, errors }: Pick<RefusedAnswer, "status" | "errors">): boolean {
  return status === 404 && errors.some((text) => text.includes("no handler for route"));
}

/** ` ("text", "text")`, or nothing. */
export function quoted(errors: readonly string[]): string {
  return errors.length === 0 ? "" : ` (${errors.map((text) => `"${text}"`).join(", ")})`;
}

const longestText = 300;
/** Vault's tokens, JWTs, and runs of characters too long and too even to be a word or a path's segment. */
const tokens = /\b(?:hv[sbr]|[sbr])\.[\w-]{16,}|\beyJ[\w-]+\.[\w.-]+|[A-Za-z0-9+=_]{40,}/g;

/**
 * Vault's texts on one line each, shortened, and without anything that we sent or that looks like a credential.
 * @param sent strings of the request; shorter than 4 characters they are too common to be looked for
 */
export function cleaned(texts: readonly string[], sent: readonly string[]): readonly string[] {
  const secrets = sent.filter((value) => value.length >= 4).toSorted((one, other) => other.length - one.length);
  return texts.map((text) => {
    const withoutSent = secrets.reduce((rest, secret) => rest.replaceAll(secret, "[removed]"), text);
    const line = withoutSent.replace(tokens, "[removed]").replace(/\s+/g, " ").trim();
    return line.length <= longestText ? line : `${line.slice(0, longestText)}…`;
  });
}

/** undici's parser errors carry the bytes of the answer; a log of the cause must not. */
function bareCause(error: unknown, code: string): Error {
  return Object.assign(new Error(error instanceof Error && error.message !== "" ? error.message : code), { code });
}
