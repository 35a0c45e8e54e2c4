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
    super(code, message, { isOutage: true, ...(failure.cause !== undefined && { cause: failure.cause }) });
    this.executed = failure.executed;
    this.transient = failure.transient;
    this.retryAfterMs = failure.retryAfterMs;
  }
}

/** Of OpenSSL and Node, for a certificate (or a whole handshake) that does not hold. */
const tlsTrouble = /CERT|ALTNAME|SELF_SIGNED|VERIFY|SIGNATURE|ISSUER|ERR_SSL|ERR_TLS|EPROTO/;

/** Whether what was thrown in place of an answer is of the TLS handshake: then nothing was sent. */
export function isHandshakeFailure(error: unknown): boolean {
  return tlsTrouble.test(codeOf(error));
}

/**
 * The error for what undici, or Node below it, threw instead of an answer.
 * @param address scheme, host and port
 * @param proxy on the way there, without credentials
 */
export function unreachable(address: string, error: unknown, proxy?: string): VaultCallError {
  const code = codeOf(error);
  const isTls = isHandshakeFailure(error);
  const via = proxy === undefined ? "" : ` through the proxy ${proxy}`;
  const refusedBy = proxyRefusal(error);
  if (refusedBy !== undefined) {
    return new VaultCallError(
      "VaultUnavailable",
      `cannot reach Vault at ${address}${via}: the proxy answered HTTP ${refusedBy}; check its address, its credentials (407) and what it lets through`,
      { executed: "no", transient: refusedBy !== "407" },
    );
  }
  const hint = isTls
    ? "the TLS handshake fails; check VAULT_CACERT or VAULT_CAPATH, VAULT_TLS_SERVER_NAME and whether the server speaks TLS"
    : `check that it is up, that VAULT_ADDR is right and that the ${proxy === undefined ? "network" : "proxy"} lets us through`;
  return new VaultCallError("VaultUnavailable", `cannot reach Vault at ${address}${via} (${code}): ${hint}`, {
    executed: isTls || neverSentCodes.has(code) ? "no" : "maybe",
    transient: !isTls && code !== "UND_ERR_RES_EXCEEDED_MAX_SIZE",
    cause: bareCause(error, code),
  });
}

/** undici has no code for it: the status with which a proxy refused to connect us. */
function proxyRefusal(error: unknown): string | undefined {
  return error instanceof Error ? /^Proxy response \((\d{3})\)/.exec(error.message)?.[1] : undefined;
}

/** The error for a request without an answer in time. */
export function timedOut(address: string, timeoutMs: number): VaultCallError {
  return new VaultCallError(
    "VaultUnavailable",
    `Vault at ${address} did not answer within ${timeoutMs / 1000} s; check its load, or raise VAULT_CLIENT_TIMEOUT`,
    { executed: "maybe", transient: false },
  );
}

/** The error for a request that a stop leaves undone. */
export function stopping(): VaultCallError {
  return new VaultCallError("VaultUnavailable", "the operator is stopping and calls Vault no more", {
    executed: "no",
    transient: false,
  });
}

/** The error for an answer that Vault does not give. */
export function nonsense(address: string, what: string, problem: string): VaultCallError {
  return new VaultCallError(
    "VaultUnavailable",
    `${what}: ${problem}; check that VAULT_ADDR (${address}) is a Vault and not a proxy's page`,
    { executed: "maybe", transient: false },
  );
}

/**
 * Whether an answer is "sealed". Vault says so as well before it has been initialised.
 * @param errors Vault's texts
 */
export function isSealed(status: number, errors: readonly string[]): boolean {
  return status === 503 && errors.some((text) => /\bsealed\b/i.test(text));
}

/**
 * The error for a Vault that is sealed.
 * @param initialised undefined when Vault does not say
 */
export function sealed(address: string, initialised: boolean | undefined): VaultCallError {
  const trouble = {
    true: "is sealed: unseal it",
    false: "is not initialised yet: run `bao operator init` (`vault operator init`), then unseal it",
    undefined: "is sealed, or not initialised yet: unseal it",
  }[`${initialised}`];
  return new VaultCallError("VaultSealed", `Vault at ${address} ${trouble}`, { executed: "no", transient: false });
}

/** A redirect that is not followed. */
export interface RefusedRedirect {
  /** Who answered. */
  readonly address: string;
  readonly status: number;
  /** Where it leads: scheme, host and port; undefined when it does not say. */
  readonly origin: string | undefined;
  readonly reason: keyof typeof redirectRemedies;
}

const redirectRemedies = {
  notVaults: "which is none of Vault's redirects: check that VAULT_ADDR is a Vault and not a proxy's page",
  inTheClear: "where the token would be sent in the clear: give the active server an api_addr with https",
  notNamed:
    "which VAULT_REDIRECT_ADDRS does not name: add it if the token may go there, set VAULT_ADDR to the active server, or let standby servers forward",
} as const;

/** The error for a redirect that is not followed. */
export function redirectRefused({ address, status, origin, reason }: RefusedRedirect): VaultCallError {
  const where = origin === undefined ? "without saying where" : `to ${origin}`;
  return new VaultCallError(
    "VaultUnavailable",
    `Vault at ${address} redirects ${where} (HTTP ${status}), ${redirectRemedies[reason]}`,
    { executed: "no", transient: false },
  );
}

/** The error for a server that redirects although another one redirected to it: an election is under way. */
export function redirectedAgain(address: string, status: number): VaultCallError {
  return new VaultCallError(
    "VaultUnavailable",
    `Vault at ${address} redirects further (HTTP ${status}) after a redirect to it: no server is active yet, or they do not agree which is; it is tried again`,
    { executed: "no", transient: true },
  );
}

/** What is known of an answer that says "not now": 412, 429, 472, 473 or 5xx. */
export interface Outage {
  readonly address: string;
  readonly status: number;
  /** Cleaned. */
  readonly errors: readonly string[];
  readonly requestId?: string | undefined;
  readonly retryAfterMs?: number | undefined;
}

/** A standby or secondary's "not here"; "not replicated yet"; a rate limit: all said before anything is done. */
const refusedAtTheDoor: ReadonlySet<number> = new Set([412, 429, 472, 473]);

/** Whether an answer says "not now", and nothing about what was asked. */
export function isOutage(status: number): boolean {
  return status >= 500 || refusedAtTheDoor.has(status);
}

/** The error for such an answer. */
export function outage({ address, status, errors, requestId, retryAfterMs }: Outage): VaultCallError {
  // Whatever asks to come back later has done nothing either.
  const isRefused = refusedAtTheDoor.has(status) || (status === 503 && retryAfterMs !== undefined);
  return new VaultCallError(
    "VaultUnavailable",
    `Vault at ${address} answered HTTP ${status}${quoted(errors, requestId)}; it is tried again, see Vault's own log if it stays so`,
    { executed: isRefused ? "no" : "maybe", transient: status !== 501, retryAfterMs },
  );
}

/** What an answer of status 4xx says; texts are cleaned. */
export interface RefusedAnswer {
  readonly status: number;
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
  /** By which Vault's audit log knows it; Vault tells it with few refusals. */
  readonly requestId?: string | undefined;
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
  if (isNoSuchNamespace(answer)) {
    return noSuchNamespace(`${doing} ${where} failed`);
  }
  if (status === 400 && says("Upgrading from non-versioned")) {
    return new OperatorError("VaultUnavailable", `${where} is being upgraded to KV v2 by Vault; it is tried again`);
  }
  const texts = quoted(errors, answer.requestId);
  if (status === 400 || status === 413) {
    const hint = "check the path for unprintable characters and the size of the secret";
    return new OperatorError("InvalidSpec", `Vault refuses ${doing} ${where} (HTTP ${status})${texts}; ${hint}`);
  }
  return new OperatorError("VaultUnavailable", `${doing} ${where} failed: Vault answered HTTP ${status}${texts}`);
}

/** The error for a Vault namespace that is not there (any more). */
export function noSuchNamespace(what: string): OperatorError {
  return new OperatorError(
    "EngineUnknown",
    `${what} because Vault has no such namespace: create it, or correct spec.vaultNamespace, or VAULT_NAMESPACE where the object names none`,
  );
}

/** Vault's answer in a namespace that is not there. */
export function isNoSuchNamespace({ status, errors }: Pick<RefusedAnswer, "status" | "errors">): boolean {
  return status === 404 && errors.some((text) => text.includes("namespace not found"));
}

/** KV v2's answer to a request without `data/` or `metadata/`. It is a 404 but says nothing about what is there. */
export function isWrongEngine({ status, warnings }: Pick<RefusedAnswer, "status" | "warnings">): boolean {
  return status === 404 && warnings.some((text) => text.includes("versioned K/V"));
}

/** Nothing is mounted where the request went. */
export function isNoSuchMount({ status, errors }: Pick<RefusedAnswer, "status" | "errors">): boolean {
  return status === 404 && errors.some((text) => text.includes("no handler for route"));
}

/**
 * ` ("text", "text", request 1234)`, or what there is of it.
 * @param requestId of Vault's answer
 */
export function quoted(errors: readonly string[], requestId?: string): string {
  const parts = [...errors.map((text) => `"${text}"`), ...(requestId === undefined ? [] : [`request ${requestId}`])];
  return parts.length === 0 ? "" : ` (${parts.join(", ")})`;
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
