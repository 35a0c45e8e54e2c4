// Waiting for a condition of a real server, in place of a sleep that is too short on a slow machine and too long on
// every other.
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Calls `check` until it does not throw, and returns what it returned.
 * @throws what `check` threw last, after `timeoutMs` (default 15 s)
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  { timeoutMs = 15_000, everyMs = 25 }: { readonly timeoutMs?: number; readonly everyMs?: number } = {},
): Promise<T> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() >= until) throw error;
    }
    await sleep(everyMs);
  }
}

/**
 * Calls `check` again and again for `forMs` and fails at once when it throws: for what must not happen. Only as long
 * as the thing could plausibly take.
 */
export async function always(check: () => void | Promise<void>, forMs: number): Promise<void> {
  const until = performance.now() + forMs;
  do {
    await check();
    await sleep(25);
  } while (performance.now() < until);
}
