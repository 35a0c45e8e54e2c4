// How long a KMS that throttles or is slow holds the workers who ask it, which is how long edits of other keys wait for one:
// workers, a queue and a KMS on a clock of the test's own.
import { expect, test } from "vitest";
import { FakeClock } from "../../test/gen/fake-clock.ts";
import { Budget, type Result } from "./budget.ts";
import type { DecryptCall } from "./cipher.ts";

/** Objects, each with its entries, that 16 workers bring to a KMS; those that are refused come again after a second. */
class Office {
  readonly clock = new FakeClock();
  readonly budget: Budget;
  readonly #ask: () => Promise<Result>;
  /** First come, first served: objects, and others' edits. */
  readonly #line: (() => Promise<void>)[] = [];
  #free = 16;
  finished = 0;

  /** @param answer what KMS makes of a request that came at that time, and after how long */
  constructor(answer: (now: number) => { readonly result: Result; readonly afterMs: number }) {
    const { clock } = this;
    this.budget = new Budget({ maxInFlight: 64, perSecond: Number.POSITIVE_INFINITY, clock });
    this.#ask = async () => {
      const { result, afterMs } = answer(clock.monotonic());
      await clock.sleep(afterMs);
      return result;
    };
  }

  /** @returns when a worker has time for it, ms from now */
  async waitOfAnother(): Promise<number> {
    const since = this.clock.monotonic();
    const waitsMs: number[] = [];
    this.#give(async () => {
      waitsMs.push(this.clock.monotonic() - since);
    });
    while (waitsMs.length === 0 && this.clock.monotonic() - since < 60_000) await this.clock.advance(50);
    return waitsMs[0] ?? Number.POSITIVE_INFINITY;
  }

  bring(entries: number, isUrgent: boolean): void {
    this.#give(async () => {
      const call: DecryptCall = { isUrgent };
      const results = await Promise.allSettled(Array.from({ length: entries }, () => this.#entry(call)));
      if (results.every(({ status }) => status === "fulfilled")) this.finished += 1;
      else this.clock.after(1_000, () => this.bring(entries, isUrgent));
    });
  }

  #give(work: () => Promise<void>): void {
    this.#line.push(work);
    this.#next();
  }

  #next(): void {
    const work = this.#free > 0 ? this.#line.shift() : undefined;
    if (work === undefined) return;
    this.#free -= 1;
    void work().finally(() => {
      this.#free += 1;
      this.#next();
    });
  }

  async #entry(call: DecryptCall): Promise<void> {
    for (let attempt = 1; attempt <= 10; attempt += 1) {
      const turn = await this.budget.enter(call, attempt > 1);
      const result = await this.#ask();
      this.budget.leave(turn, result);
      if (result === "ok") return;
    }
    throw new Error("throttled too often");
  }
}

/** A quota, with a second's worth at once. */
function quotaOf(perSecond: number): (now: number) => { readonly result: Result; readonly afterMs: number } {
  let [left, at] = [perSecond, 0];
  return (now) => {
    left = Math.min(perSecond, left + ((now - at) / 1_000) * perSecond);
    at = now;
    if (left < 1) return { result: "throttled", afterMs: 10 };
    left -= 1;
    return { result: "ok", afterMs: 10 };
  };
}

const slow = () => ({ result: "ok", afterMs: 1_900 }) as const;

test.each([
  { name: "20 a second, 5 entries each", kms: quotaOf(20), entries: 5, isUrgent: true, objects: 300 },
  { name: "20 a second, 64 entries each", kms: quotaOf(20), entries: 64, isUrgent: true, objects: 30 },
  { name: "20 a second, one entry each", kms: quotaOf(20), entries: 1, isUrgent: true, objects: 300 },
  { name: "20 a second, first writes", kms: quotaOf(20), entries: 14, isUrgent: false, objects: 300 },
  { name: "a KMS that needs 1.9 s, first writes", kms: slow, entries: 64, isUrgent: false, objects: 100 },
  { name: "a KMS that needs 1.9 s, edits", kms: slow, entries: 64, isUrgent: true, objects: 100 },
])("$name: one is free for another key's edit within 5 s", async ({ kms, entries, isUrgent, objects }) => {
  const office = new Office(kms);
  for (let count = 0; count < objects; count += 1) office.bring(entries, isUrgent);
  for (let count = 0; count < 5; count += 1) {
    await office.clock.advance(500);
    expect(await office.waitOfAnother()).toBeLessThan(5_000);
  }
});

test("all are finished in about the time that the quota needs", async () => {
  const office = new Office(quotaOf(50));
  for (let count = 0; count < 150; count += 1) office.bring(count % 10 === 0 ? 20 : 2, count % 3 === 0);
  const entries = 15 * 20 + 135 * 2;
  await office.clock.advance((entries / 50) * 1_000 * 1.7);
  expect(office.finished).toBe(150);
});
