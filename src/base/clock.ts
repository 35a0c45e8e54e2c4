// Time as something that is handed in: only this file reads the clock or sets a timer, so that tests of backoff,
// token life and leader election need no real seconds.

/** A timer that has been set; `cancel` is harmless after it fired. */
export interface Timer {
  cancel(): void;
}

/** Wall time for what people read, monotonic time for what decides, timers and sleep. All in milliseconds. */
export interface Clock {
  /** Wall clock, ms since the epoch. */
  now(): number;
  /** Monotonic, ms since an arbitrary start; never goes back. */
  monotonic(): number;
  /** Calls `run` once after `ms`. The timer never keeps the process alive by itself. */
  after(ms: number, run: () => void): Timer;
  /** Resolves after `ms`, or at once when `signal` aborts (it never rejects). */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The real clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  sleep(ms, signal) {
    return new Promise((resolve) => {
      if (signal?.aborted) {
        resolve();
        return;
      }
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener("abort", done, { once: true });
    });
  },
};
