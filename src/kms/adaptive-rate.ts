// How many requests a second a key service may be sent: a token bucket whose rate follows what the service lets through.
// Down by a share of what got through when it throttles, up by a steady amount while it does not (as TCP finds the width
// of a line), so that we settle near a quota that nobody told us and that others may share. Pure: time is handed in.

/** After a throttled request: this share of what got through in the second before it. */
const decrease = 0.85;
/** Share of the new limit that is added each second. */
const growth = 0.05;
/** Least growth, requests per second, each second. */
const leastGrowth = 1;
/** The limit falls no lower: what lets less through than this is taken for an outage (budget.ts). */
const floor = 5;
/** So long without a throttled request, and the limit is gone: it was found at another time of day, ms. */
const forgetAfterMs = 30_000;
/** What got through is counted in spans of this length, ms. */
const spanMs = 1_000;

export class AdaptiveRate {
  /** What the limit grows back to; Infinity: there is none. */
  readonly #ceiling: number;
  #limit: number;
  #growth = 0;
  /** Requests that may go now; means nothing while there is no limit. */
  #tokens: number;
  #countedAt = 0;
  #throttledAt = Number.NEGATIVE_INFINITY;
  #loweredAt = Number.NEGATIVE_INFINITY;
  #spanSince = 0;
  #inSpan = 0;
  #inLastSpan = 0;

  /** @param perSecond upper bound; Infinity: none but what the service's throttling teaches */
  constructor(perSecond: number) {
    this.#ceiling = perSecond;
    this.#limit = perSecond;
    this.#tokens = burstOf(perSecond);
  }

  /** Requests per second at the moment; Infinity: no limit. */
  limit(now: number): number {
    this.#count(now);
    return this.#limit;
  }

  /** Whether the service's throttling holds the rate below what it would be. */
  isLowered(now: number): boolean {
    return this.limit(now) < this.#ceiling;
  }

  /**
   * @param ahead requests that go before it
   * @returns until the next request may go, ms; 0: now
   */
  waitMs(now: number, ahead = 0): number {
    this.#count(now);
    return this.#limit === Number.POSITIVE_INFINITY
      ? 0
      : Math.max(0, ((ahead + 1 - this.#tokens) / this.#limit) * 1_000);
  }

  /** To be called when a request goes, which `waitMs` has to allow. */
  take(): void {
    this.#tokens -= 1;
  }

  /** To be called when a request got through. */
  passed(now: number): void {
    this.#turnSpan(now);
    this.#inSpan += 1;
  }

  /**
   * To be called when the service throttled a request.
   * @param sentAt when it went: one that went before the limit was last lowered says nothing about the new one
   */
  throttled(sentAt: number, now: number): void {
    this.#count(now);
    this.#throttledAt = now;
    if (sentAt < this.#loweredAt) return;
    this.#loweredAt = now;
    const reached = Math.min(this.#limit, this.#passedPerSecond(now));
    this.#limit = Math.min(this.#ceiling, Math.max(floor, reached * decrease));
    this.#growth = Math.max(leastGrowth, this.#limit * growth);
    this.#tokens = 0;
  }

  /** Lets the limit grow and the bucket fill for the time that has passed. */
  #count(now: number): void {
    const seconds = (now - this.#countedAt) / 1_000;
    this.#countedAt = now;
    const isForgotten = now - this.#throttledAt >= forgetAfterMs;
    this.#limit = isForgotten ? this.#ceiling : Math.min(this.#ceiling, this.#limit + this.#growth * seconds);
    if (this.#limit === Number.POSITIVE_INFINITY) return;
    this.#tokens = Math.min(burstOf(this.#limit), this.#tokens + this.#limit * seconds);
  }

  /** Over the last span, of which a part may lie in the one before. */
  #passedPerSecond(now: number): number {
    this.#turnSpan(now);
    const share = (now - this.#spanSince) / spanMs;
    return ((this.#inSpan + this.#inLastSpan * (1 - share)) * 1_000) / spanMs;
  }

  #turnSpan(now: number): void {
    const spans = Math.floor((now - this.#spanSince) / spanMs);
    if (spans === 0) return;
    this.#spanSince += spans * spanMs;
    this.#inLastSpan = spans === 1 ? this.#inSpan : 0;
    this.#inSpan = 0;
  }
}

/** A second's worth may go at once, as AWS counts its quotas. */
function burstOf(perSecond: number): number {
  return Math.max(1, perSecond);
}
