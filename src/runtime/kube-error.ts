// One error for everything that an API server, or the way to it, can answer. Callers decide by `reason` (the closed
// words of Kubernetes' Status objects), never by message.
import { OperatorError } from "../base/errors.ts";

/** Reasons of our own, for calls that got no answer of the API server's (`Silent`: a watch without signs of life). */
type TransportReason = "ConnectionFailed" | "Timeout" | "InvalidResponse" | "CredentialsUnavailable" | "Silent";

/** Fields of a failed call. */
export interface KubeFailure {
  /** HTTP status; 0 when there was no (understandable) answer. */
  readonly status: number;
  /** `reason` of the Status object, such as `NotFound`, `Conflict`, `Expired`; or a TransportReason. */
  readonly reason: TransportReason | (string & {});
  /** What the API server would like us to wait, from Retry-After or `details.retryAfterSeconds`. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** A failed call to the API server. Its code is `KubernetesError`: tried again with backoff. */
export class KubeError extends OperatorError {
  readonly status: number;
  readonly reason: string;
  readonly retryAfterMs: number | undefined;

  constructor(message: string, failure: KubeFailure) {
    super("KubernetesError", message, failure.cause === undefined ? {} : { cause: failure.cause });
    this.status = failure.status;
    this.reason = failure.reason;
    this.retryAfterMs = failure.retryAfterMs;
  }
}

/** Reasons for answers whose body is no Status object (a proxy's page, an empty body). */
const reasonByStatus: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  409: "Conflict",
  410: "Expired",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

/** `metav1.Status`, as far as it matters. */
interface StatusBody {
  readonly kind?: unknown;
  readonly code?: unknown;
  readonly reason?: unknown;
  readonly message?: unknown;
  readonly details?: { readonly retryAfterSeconds?: unknown } | null;
}

/**
 * The error for an answer of status >= 400, or for the object of an ERROR event of a watch.
 * @param what the call, `GET /api/v1/…`; the first part of the message
 * @param status HTTP status; a Status body's own `code` replaces 200 (a watch's ERROR event)
 * @param body parsed JSON, or undefined when it was none
 * @param retryAfter value of the Retry-After header, in seconds (Kubernetes never sends a date)
 */
export function kubeErrorOf(what: string, status: number, body: unknown, retryAfter?: string): KubeError {
  const answer: StatusBody = isStatus(body) ? body : {};
  const code = status === 200 && typeof answer.code === "number" ? answer.code : status;
  const reason =
    typeof answer.reason === "string" && answer.reason !== "" ? answer.reason : (reasonByStatus[code] ?? "Unknown");
  const text = typeof answer.message === "string" && answer.message !== "" ? answer.message : `HTTP status ${code}`;
  const seconds = Number(retryAfter ?? answer.details?.retryAfterSeconds ?? Number.NaN);
  return new KubeError(`${what}: ${text} (${reason})`, {
    status: code,
    reason,
    ...(seconds >= 0 && { retryAfterMs: seconds * 1000 }),
  });
}

function isStatus(body: unknown): body is StatusBody {
  return typeof body === "object" && body !== null && (body as StatusBody).kind === "Status";
}

/** 404: the object, its namespace or its whole kind is not there. */
export function isNotFound(error: unknown): error is KubeError {
  return error instanceof KubeError && error.status === 404;
}

/** 409 because the object changed meanwhile; read it again. */
export function isConflict(error: unknown): error is KubeError {
  return error instanceof KubeError && error.status === 409 && error.reason !== "AlreadyExists";
}

/** 409 on a create: an object of this name exists. */
export function isAlreadyExists(error: unknown): error is KubeError {
  return error instanceof KubeError && error.reason === "AlreadyExists";
}

/** 403: RBAC, or a namespace that is being terminated. */
export function isForbidden(error: unknown): error is KubeError {
  return error instanceof KubeError && error.status === 403;
}

/** 410: the resourceVersion or continue token is too old; list again. */
export function isGone(error: unknown): error is KubeError {
  return error instanceof KubeError && error.status === 410;
}

/** 422: validation, or a JSON Patch whose `test` failed. */
export function isInvalid(error: unknown): error is KubeError {
  return error instanceof KubeError && error.status === 422;
}
