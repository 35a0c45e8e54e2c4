// The clock that everything is measured by, and waiting that always ends.

/** Milliseconds since the epoch, with fractions: the clock that Vault's audit log is written by. */
export function epochNow(): number {
  return performance.timeOrigin + performance.now();
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** How long to wait, and how often to look. */
export interface Patience {
  /** Default 60 s. */
  readonly timeoutMs?: number;
  /** Default 20 ms. */
  readonly everyMs?: number;
}

/**
 * Looks again and again until there is something to be seen.
 * @param look returns undefined while there is not
 * @throws Error that says `what` was waited for, when it does not come in time; whatever `look` throws, at once
 */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined>,
  { timeoutMs = 60_000, everyMs = 20 }: Patience = {},
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (performance.now() > end) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await pause(everyMs);
  }
}
