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
