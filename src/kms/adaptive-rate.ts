// How many requests a second a key service may be sent: a token bucket whose rate follows what the service lets through.
// Down by a share when it throttles, up by a share while it does not (as TCP finds the width of a line): fast until it is
// known how much gets through, slowly from there, so that we settle near a quota that nobody told us and that others may
// share. Pure: time is handed in.

/** A throttled request leaves at most this share of the limit; less when few got through since the last one. */
const mostLeft = 0.85;
/** And at least this. */
const leastLeft = 0.5;
/** Exponent of the growth per second while what gets through is not known: doubled every quarter of a second. */
const searching = 3;
/** The same once it is known, in the first second; in the second one twice as much, and so on. */
const settled = 0.1;
/** What the search starts from, at least, requests per second. */
const leastStart = 64;
/** The limit falls no lower: what lets less through than this is taken for an outage (budget.ts). */
const floor = 5;
/** So long without a throttled request, and the limit is gone: it was found at another time of day, ms. */
const forgetAfterMs = 30_000;
/** What got through in the last second is counted by tenths of it. */
const slotMs = 100;
const slots = 10;

export class AdaptiveRate {
  /** What the limit grows back to; Infinity: there is none. */
  readonly #ceiling: number;
  /** The limit when a request was throttled last. */
  #base: number;
  #isSearching = false;
  /** Requests that may go now; means nothing while there is no limit. */
  #tokens: number;
  #countedAt = 0;
  #throttledAt = Number.NEGATIVE_INFINITY;
  #loweredAt = Number.NEGATIVE_INFINITY;
  /** What got through since the limit was last lowered. */
  #passed = 0;
  /** What got through in each slot of the last second, and when the last of the slots ends. */
  readonly #slots: number[] = Array.from({ length: slots }, () => 0);
  #slotsEnd = 0;

  /** @param perSecond upper bound; Infinity: none but what the service's throttling teaches */
  constructor(perSecond: number) {
    this.#ceiling = perSecond;
    this.#base = perSecond;
    this.#tokens = burstOf(perSecond);
  }

  /** Requests per second at the moment; Infinity: no limit. */
  limit(now: number): number {
    const calmMs = now - this.#throttledAt;
    if (calmMs >= forgetAfterMs) return this.#ceiling;
    const calm = calmMs / 1_000;
    const growth = this.#isSearching ? searching * calm : settled * (calm + calm ** 2 / 2);
    return Math.min(this.#ceiling, this.#base * Math.exp(growth));
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
    const limit = this.#count(now);
    return limit === Number.POSITIVE_INFINITY ? 0 : Math.max(0, ((ahead + 1 - this.#tokens) / limit) * 1_000);
  }

  /** To be called when a request goes, which `waitMs` has to allow. */
  take(): void {
    this.#tokens -= 1;
  }

  /** To be called when a request got through. */
  passed(now: number): void {
    this.#turnSlots(now);
    this.#slots[slots - 1] = (this.#slots[slots - 1] ?? 0) + 1;
    this.#passed += 1;
  }

  /**
   * To be called when the service throttled a request.
   * @param sentAt when it went: one that went before the limit was last lowered says nothing about the new one
   */
  throttled(sentAt: number, now: number): void {
    const limit = this.#count(now);
    this.#base = limit;
    this.#throttledAt = now;
    if (sentAt < this.#loweredAt) return;
    const passing = this.#passedInLastSecond(now);
    // A limit far above what got through has not been tried: it says nothing about how much would.
    const reached = Math.min(limit, Math.max(leastStart, passing));
    const left = Math.max(leastLeft, Math.min(mostLeft, this.#passed / (this.#passed + 1)));
    this.#base = Math.min(this.#ceiling, Math.max(floor, reached * left));
    const isFarOff = reached < limit / 2 || this.#base < passing / 2;
    this.#isSearching = isFarOff || (this.#isSearching && this.#passed === 0);
    this.#loweredAt = now;
    this.#passed = 0;
    this.#tokens = 0;
  }

  /**
   * Fills the bucket for the time that has passed.
   * @returns the limit
   */
  #count(now: number): number {
    const seconds = (now - this.#countedAt) / 1_000;
    this.#countedAt = now;
    const limit = this.limit(now);
    if (limit === Number.POSITIVE_INFINITY) return limit;
    this.#tokens = Math.min(burstOf(limit), this.#tokens + limit * seconds);
    return limit;
  }

  #passedInLastSecond(now: number): number {
    this.#turnSlots(now);
    return this.#slots.reduce((sum, passed) => sum + passed, 0);
  }

  #turnSlots(now: number): void {
    const turned = Math.floor((now - this.#slotsEnd) / slotMs) + 1;
    if (turned <= 0) return;
    this.#slotsEnd += turned * slotMs;
    this.#slots.splice(0, turned);
    while (this.#slots.length < slots) this.#slots.push(0);
  }
}

/** A second's worth may go at once, as AWS counts its quotas. */
function burstOf(perSecond: number): number {
  return Math.max(1, perSecond);
}
