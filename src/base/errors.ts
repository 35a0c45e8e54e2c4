// One error class and one closed list of codes for the whole product. A code is at the same time the reason of the
// `Ready` condition, the reason of the event and the label of the error metric (docs/reference/errors.md), so a
// user meets one word for one trouble wherever they look.

/**
 * How a failure is followed up. `backoff`: tried again by itself, per object, exponentially (1 s to 5 min).
 * `terminal`: nothing changes until the object, its Partials or the configuration do; only the resync looks again.
 */
export type Retry = "backoff" | "terminal";

/** Every code that a user can meet, with how it is followed up. Stable: codes are only ever added. */
export const errorCodes = {
  PartialNotFound: "terminal",
  DuplicateKey: "terminal",
  InvalidSpec: "terminal",
  DecodingError: "terminal",
  DecryptingError: "terminal",
  InvalidEncoding: "terminal",
  ReservedContextKey: "terminal",
  KeyNotAllowed: "terminal",
  EngineMismatch: "terminal",
  EngineUnknown: "backoff",
  NotKV: "terminal",
  InvalidPath: "terminal",
  CASConflict: "terminal",
  PathConflict: "terminal",
  AdoptionRequired: "terminal",
  PolicyDenied: "terminal",
  Suspended: "terminal",
  VaultUnavailable: "backoff",
  VaultSealed: "backoff",
  VaultPermissionDenied: "backoff",
  VaultLoginFailed: "backoff",
  KMSUnavailable: "backoff",
  KMSThrottled: "backoff",
  KMSAccessDenied: "backoff",
  KubernetesError: "backoff",
  InternalError: "backoff",
} as const satisfies Record<string, Retry>;

/** One of the closed list of codes. */
export type ErrorCode = keyof typeof errorCodes;

/**
 * A failure that a user is told about. `message` says what, where, why and what to do; it never holds a value, a
 * ciphertext or a token.
 */
export class OperatorError extends Error {
  override readonly name = "OperatorError";
  readonly code: ErrorCode;
  readonly retry: Retry;
  /** Whether a server was not to be had at all, so that everybody who needs it fares alike. */
  readonly isOutage: boolean;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; retry?: Retry; isOutage?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retry = options.retry ?? errorCodes[code];
    this.isOutage = options.isOutage ?? false;
  }
}

/** The given value as an OperatorError: itself, or an `InternalError` that keeps it as its cause. */
export function asOperatorError(error: unknown): OperatorError {
  if (error instanceof OperatorError) return error;
  const name = error instanceof Error ? error.name : typeof error;
  return new OperatorError(
    "InternalError",
    `unexpected ${name}; this is a bug in the operator, its log has the stack`,
    {
      cause: error,
    },
  );
}

/** The same error, to be tried again by itself: where nobody edits the object because of it, or need not. */
export function triedAgain(error: OperatorError): OperatorError {
  if (error.retry === "backoff") return error;
  return new OperatorError(error.code, error.message, { cause: error, retry: "backoff" });
}
