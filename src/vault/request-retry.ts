// Which failed requests are sent again, and when. A read always may be. A write or removal only when Vault certainly
// did not act on it: repeating one that it may have acted on could remove, or write over, what somebody else put there
// meanwhile. Whoever wrote looks again instead, and decides anew.
import { type Backoff, backoffDelay } from "../base/retry.ts";
import type { VaultCallError } from "./errors.ts";

const backoff: Backoff = { baseMs: 250, maxMs: 2_000 };
/** A server that asks for more than this gets the error passed on: the object's own backoff is the better plan. */
const longestWaitMs = 10_000;

/**
 * Delay before a failed request is sent again, in ms; undefined when it is not.
 * @param attempt how many retries there were already
 * @param isRead true for a request that changes nothing
 */
export function retryDelay(error: VaultCallError, attempt: number, isRead: boolean): number | undefined {
  if (!error.transient || (!isRead && error.executed !== "no")) return undefined;
  const { retryAfterMs = 0 } = error;
  return retryAfterMs > longestWaitMs ? undefined : Math.max(retryAfterMs, backoffDelay(attempt, backoff));
}

/**
 * Retry-After in ms: seconds, or an HTTP date.
 * @param now ms since the epoch
 */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - now;
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}
