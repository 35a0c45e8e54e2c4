// Which failed calls to the API server are sent again, and when. A call that may have been executed is sent again only
// if executing it twice is harmless; where the server itself asks for a retry (Retry-After) it has not executed it.
import { type Backoff, backoffDelay, codeOf, neverSentCodes } from "../base/retry.ts";
import { KubeError, type KubeFailure } from "./kube-error.ts";

const backoff: Backoff = { baseMs: 200, maxMs: 5_000 };
/** A server that asks for more than this gets the error passed on: whoever called has a better plan than waiting. */
const longestWaitMs = 30_000;
const unavailable = new Set([429, 502, 503, 504]);

/**
 * Delay before a failed call is sent again, in ms; undefined when it is not.
 * @param attempt how many retries there were already
 */
export function retryDelay(error: KubeError, attempt: number, mutation: boolean): number | undefined {
  const wait = backoffDelay(attempt, backoff);
  if (error.retryAfterMs !== undefined && (error.status === 429 || error.status >= 500)) {
    return error.retryAfterMs > longestWaitMs ? undefined : Math.max(wait, error.retryAfterMs);
  }
  if (error.reason === "ConnectionFailed")
    return mutation && !neverSentCodes.has(codeOf(error.cause)) ? undefined : wait;
  return !mutation && unavailable.has(error.status) ? wait : undefined;
}

/** The KubeError for what undici (or Node below it) threw instead of an answer. */
export function transportError(what: string, error: unknown): KubeError {
  if (error instanceof KubeError) return error;
  const code = codeOf(error);
  const failure: KubeFailure = { status: 0, reason: "ConnectionFailed", cause: error };
  const hint = /CERT|ALTNAME|SELF_SIGNED|VERIFY|SIGNATURE/.test(code)
    ? "its certificate does not verify; check the CA bundle and the server's name"
    : "is it up, and is the network open?";
  return new KubeError(`${what}: no answer from the API server (${code}): ${hint}`, failure);
}

/** The KubeError for an attempt that took too long. Not retried: who waited so long decides for itself. */
export function timeoutError(what: string, timeoutMs: number): KubeError {
  const message = `${what}: no answer from the API server within ${timeoutMs} ms`;
  return new KubeError(message, { status: 0, reason: "Timeout" });
}
