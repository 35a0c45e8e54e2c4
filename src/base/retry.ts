// The one formula for "try again later", used by the workqueue, the watches and the network doors alike.

/** Bounds of an exponential backoff, in milliseconds. */
export interface Backoff {
  readonly baseMs: number;
  readonly maxMs: number;
}

/**
 * Delay before attempt number `attempt` (0 is the first retry): doubled each time up to `maxMs`, with jitter between
 * half and the whole of it, so that many clients do not come back in step.
 * @param random a number in [0, 1); Math.random unless a test says otherwise
 */
export function backoffDelay(attempt: number, { baseMs, maxMs }: Backoff, random: () => number = Math.random): number {
  const whole = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30));
  return whole / 2 + (whole / 2) * random();
}

/**
 * Codes of Node and undici for a request that never left: safe to send again, even one that changes something.
 * `UND_ERR_CLOSED` is of the connections of an old TLS identity, closed between two steps of a call.
 */
export const neverSentCodes: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_CLOSED",
]);

/** `code` of a Node or undici error, else its name. */
export function codeOf(error: unknown): string {
  if (typeof error === "object" && error !== null && "code" in error && typeof error.code === "string") {
    return error.code;
  }
  return error instanceof Error ? error.name : "unknown";
}
