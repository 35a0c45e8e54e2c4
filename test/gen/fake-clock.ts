// A clock that stands still until a test moves it, so that minutes of backoff or a lost Lease take no real time.
import type { Clock, Timer } from "../../src/base/clock.ts";

interface Pending {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** Wall and monotonic time that move only by `advance` (both) and `turnBack` (wall time alone, as NTP does). */
export class FakeClock implements Clock {
  #monotonic = 0;
  #wall: number;
  #order = 0;
  readonly #timers = new Set<Pending>();

  constructor(startWallMs = Date.UTC(2026, 0, 1)) {
    this.#wall = startWallMs;
  }

  now(): number {
    return this.#wall;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  after(ms: number, run: () => void): Timer {
    this.#order += 1;
    const pending: Pending = { at: this.#monotonic + Math.max(0, ms), order: this.#order, run };
    this.#timers.add(pending);
    return { cancel: () => this.#timers.delete(pending) };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) {
        resolve();
        return;
      }
      const timer = this.after(ms, () => done());
      const done = () => {
        timer.cancel();
        signal?.removeEventListener("abort", done);
        resolve();
      };
      signal?.addEventListener("abort", done, { once: true });
    });
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Delay until the next timer fires, in ms. */
  get nextTimerMs(): number | undefined {
    const next = this.#next();
    return next && next.at - this.#monotonic;
  }

  /** Moves both clocks on, firing what is due in order, with everything that hangs on it settled in between. */
  async advance(ms: number): Promise<void> {
    const until = this.#monotonic + ms;
    await settle();
    for (let next = this.#next(); next !== undefined && next.at <= until; next = this.#next()) {
      this.#timers.delete(next);
      this.#moveTo(next.at);
      next.run();
      await settle();
    }
    this.#moveTo(until);
  }

  /** Moves both clocks on without firing a timer: a process that was stopped (SIGSTOP) and woke up. */
  freeze(ms: number): void {
    this.#moveTo(this.#monotonic + ms);
  }

  /** Sets the wall clock back (or forth, when negative); monotonic time and timers do not notice. */
  turnBack(ms: number): void {
    this.#wall -= ms;
  }

  #next(): Pending | undefined {
    let first: Pending | undefined;
    for (const pending of this.#timers) {
      if (first === undefined || pending.at < first.at || (pending.at === first.at && pending.order < first.order)) {
        first = pending;
      }
    }
    return first;
  }

  #moveTo(at: number): void {
    this.#wall += Math.max(0, at - this.#monotonic);
    this.#monotonic = Math.max(this.#monotonic, at);
  }
}

/** Lets every promise that can settle without time or input settle. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
