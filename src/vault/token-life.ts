// When a token is renewed, when another is better taken in its place, and when it is over. Pure arithmetic on what Vault
// said of it, so that no request ever finds a token just expired.
import type { Grant } from "./auth/login.ts";

/** Moments on the monotonic clock, ms. Infinity: never. */
export interface TokenLife {
  /** To be renewed then. */
  readonly renewAt: number;
  /** From then on another login is better, but the token still works. */
  readonly replaceAt: number;
  readonly expiresAt: number;
}

/** Node's timers end at 24.8 days; renewing earlier is harmless. */
const longestTimerMs = 20 * 24 * 3_600_000;

/**
 * @param since when Vault was asked for what it granted
 * @param fullTtlMs what a renewal may give: the longest that was granted so far. Less means that the token is near its
 *   maximum, and that renewing it again gives nothing
 * @param random in [0, 1): spreads the renewals of many sessions
 */
export function tokenLife(
  grant: Pick<Grant, "ttlMs" | "renewable" | "uses" | "own">,
  { since, fullTtlMs, random }: { readonly since: number; readonly fullTtlMs: number; readonly random: number },
): TokenLife {
  const { ttlMs = Number.POSITIVE_INFINITY, renewable, uses, own } = grant;
  // A renewal is a request, of which a token with a use limit has few.
  const canRenew = renewable && uses === undefined && Number.isFinite(ttlMs) && ttlMs >= fullTtlMs * 0.9;
  const expiresAt = since + ttlMs;
  return {
    renewAt: canRenew
      ? since + Math.min(longestTimerMs, ttlMs * (2 / 3) * (0.9 + 0.1 * random))
      : Number.POSITIVE_INFINITY,
    // A token that somebody gave us has no other in its place.
    replaceAt: own ? since + ttlMs * 0.9 : expiresAt,
    expiresAt,
  };
}
