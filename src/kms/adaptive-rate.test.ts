// Against a service with a quota (a bucket of one second's worth, as AWS counts), on a clock of the test's own.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AdaptiveRate } from "./adaptive-rate.ts";

/** Lets so many requests a second through; what others take from the quota is not ours. */
class Quota {
  #left: number;
  #at = 0;
  perSecond: number;

  constructor(perSecond: number) {
    this.perSecond = perSecond;
    this.#left = perSecond;
  }

  lets(now: number): boolean {
    this.#left = Math.min(this.perSecond, this.#left + ((now - this.#at) / 1_000) * this.perSecond);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}

/** Sends whatever the rate allows, as somebody with more to send than gets through. */
class Sender {
  readonly rate: AdaptiveRate;
  readonly #quota: Quota;
  readonly #latencyMs: number;
  #now = 0;
  /** Answers under way, first come first. */
  readonly #answers: { readonly at: number; readonly sentAt: number; readonly passed: boolean }[] = [];
  passed = 0;
  throttled = 0;

  constructor(rate: AdaptiveRate, quota: Quota, latencyMs: number) {
    this.rate = rate;
    this.#quota = quota;
    this.#latencyMs = latencyMs;
  }

  get now(): number {
    return this.#now;
  }

  /** @returns how many of each kind came back in that time */
  run(ms: number): { readonly passed: number; readonly throttled: number } {
    const before = { passed: this.passed, throttled: this.throttled };
    for (const until = this.#now + ms; this.#now < until; this.#now += 1) {
      while (this.#answers[0] !== undefined && this.#answers[0].at <= this.#now) this.#take(this.#answers.shift());
      while (this.#answers.length < 64 && this.rate.waitMs(this.#now) === 0) {
        this.rate.take();
        const passed = this.#quota.lets(this.#now);
        this.#answers.push({ at: this.#now + this.#latencyMs, sentAt: this.#now, passed });
      }
    }
    return { passed: this.passed - before.passed, throttled: this.throttled - before.throttled };
  }

  #take(answer: { readonly sentAt: number; readonly passed: boolean } | undefined): void {
    if (answer === undefined) return;
    if (answer.passed) {
      this.passed += 1;
      this.rate.passed(this.#now);
    } else {
      this.throttled += 1;
      this.rate.throttled(answer.sentAt, this.#now);
    }
  }
}

const quotas = fc.integer({ min: 10, max: 2_000 });
const latencies = fc.integer({ min: 2, max: 100 });
const unlimited = Number.POSITIVE_INFINITY;

describe("it settles near what gets through", () => {
  test("most of any quota is used, little beyond it is asked", () => {
    fc.assert(
      fc.property(quotas, latencies, (perSecond, latencyMs) => {
        const sender = new Sender(new AdaptiveRate(unlimited), new Quota(perSecond), latencyMs);
        sender.run(10_000);
        const { passed, throttled } = sender.run(20_000);
        // 64 at once is all that latency allows.
        const possible = Math.min(perSecond, 64_000 / (latencyMs + 1)) * 20;
        expect(passed).toBeGreaterThan(possible * 0.8);
        expect(throttled).toBeLessThan(possible * 0.15 + 20);
      }),
      { numRuns: 40 },
    );
  });

  test("whatever is throttled at the start, most of any quota is used from then on", () => {
    const early = fc.record({ atMs: fc.integer({ min: 1, max: 1_500 }), times: fc.integer({ min: 1, max: 20 }) });
    fc.assert(
      fc.property(quotas, latencies, early, (perSecond, latencyMs, { atMs, times }) => {
        const sender = new Sender(new AdaptiveRate(unlimited), new Quota(perSecond), latencyMs);
        sender.run(atMs);
        for (let count = 0; count < times; count += 1) sender.rate.throttled(sender.now, sender.now);
        const { passed, throttled } = sender.run(10_000);
        const possible = Math.min(perSecond, 64_000 / (latencyMs + 1)) * 10;
        expect(passed).toBeGreaterThan(possible * 0.6);
        // 64 go at once before anything is known.
        expect(throttled).toBeLessThan((passed + throttled) * 0.2 + 64);
      }),
      { numRuns: 100 },
    );
  });

  test("one early throttled request costs a large quota a second, no more", () => {
    const sender = new Sender(new AdaptiveRate(unlimited), new Quota(2_000), 10);
    sender.rate.throttled(0, 0);
    expect(sender.run(3_000).passed).toBeGreaterThan(2 * 2_000 * 0.9);
  });

  test("a quota that others take a part of is followed down and up again", () => {
    fc.assert(
      fc.property(fc.integer({ min: 50, max: 500 }), latencies, (perSecond, latencyMs) => {
        const quota = new Quota(perSecond);
        const sender = new Sender(new AdaptiveRate(unlimited), quota, latencyMs);
        sender.run(10_000);
        quota.perSecond = perSecond / 5;
        sender.run(5_000);
        expect(sender.rate.limit(sender.now)).toBeLessThan(perSecond / 3);
        quota.perSecond = perSecond;
        sender.run(60_000);
        expect(sender.run(10_000).passed).toBeGreaterThan(perSecond * 10 * 0.7);
      }),
      { numRuns: 20 },
    );
  });
});

test("nothing is held back that nobody throttles", () => {
  const rate = new AdaptiveRate(unlimited);
  let waitedMs = 0;
  for (let now = 0; now < 100_000; now += 1) {
    waitedMs += rate.waitMs(now, 1_000);
    rate.take();
    rate.passed(now);
  }
  expect(waitedMs).toBe(0);
  expect(rate.isLowered(100_000)).toBe(false);
});

test("an upper bound is kept, whatever gets through", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 500 }), (perSecond) => {
      const sender = new Sender(new AdaptiveRate(perSecond), new Quota(100_000), 1);
      // A second's worth at once, and then the rate; one more may just be due.
      expect(sender.run(10_000).passed).toBeLessThanOrEqual(perSecond * 11 + 1);
      expect(sender.passed).toBeGreaterThan(perSecond * 9);
    }),
    { numRuns: 20 },
  );
});

test("many throttled at once lower it once", () => {
  const rate = new AdaptiveRate(1_000);
  for (let at = 0; at < 1_000; at += 1) rate.passed(at / 100);
  for (let at = 0; at < 50; at += 1) rate.throttled(0, 10);
  expect(rate.limit(10)).toBe(850);
  rate.throttled(11, 20);
  expect(rate.limit(20)).toBeLessThan(740);
});

test("it never falls so low that nobody would notice the end of it, and is forgotten after half a minute", () => {
  const rate = new AdaptiveRate(unlimited);
  for (let at = 0; at < 100; at += 1) rate.throttled(at, at);
  expect(rate.limit(99)).toBe(5);
  expect(rate.isLowered(30_098)).toBe(true);
  expect(rate.isLowered(30_099)).toBe(false);
  expect(rate.waitMs(30_099, 1_000)).toBe(0);
});

test("an upper bound below the floor is kept as well", () => {
  const rate = new AdaptiveRate(2);
  rate.throttled(0, 0);
  expect(rate.limit(0)).toBe(2);
});
