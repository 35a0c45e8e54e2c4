// A client's own bound on its requests per second, as Vault's and Kubernetes' own clients have it (a token bucket).
import type { Clock } from "./clock.ts";

/** A request rate and how many requests may go at once. */
export interface RateLimit {
  readonly perSecond: number;
  readonly burst: number;
}

/** Hands out turns. Whoever asks waits for its own, in the order of asking. */
export class RateLimiter {
  readonly #limit: RateLimit;
  readonly #clock: Clock;
  /** Turns left; negative: as many are promised already. */
  #turns: number;
  #countedAt: number;

  constructor(limit: RateLimit, clock: Clock) {
    this.#limit = limit;
    this.#clock = clock;
    this.#turns = limit.burst;
    this.#countedAt = clock.monotonic();
  }

  /**
   * Resolves when the next request may go, or at once when the signal aborts.
   * @returns how long it waited, ms
   */
  async turn(signal?: AbortSignal): Promise<number> {
    const { perSecond, burst } = this.#limit;
    const now = this.#clock.monotonic();
    this.#turns = Math.min(burst, this.#turns + ((now - this.#countedAt) / 1_000) * perSecond) - 1;
    this.#countedAt = now;
    if (this.#turns >= 0) return 0;
    await this.#clock.sleep((-this.#turns / perSecond) * 1_000, signal);
    // Who gave up takes no turn from those who ask later.
    if (signal?.aborted) this.#turns += 1;
    return this.#clock.monotonic() - now;
  }
}
