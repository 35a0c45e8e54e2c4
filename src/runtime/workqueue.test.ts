import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FakeClock } from "../../test/gen/fake-clock.ts";
import { priorities, type Priority, type RuntimeMetrics, noMetrics } from "./metrics.ts";
import { WorkQueue } from "./workqueue.ts";

function queueOf(metrics: RuntimeMetrics = noMetrics) {
  const clock = new FakeClock();
  return { clock, queue: new WorkQueue({ name: "test", clock, metrics, random: () => 1 }) };
}

/** What `get` gives at once, or "nothing". */
async function ready(queue: WorkQueue): Promise<string> {
  return queue.length === 0 ? "nothing" : ((await queue.get()) ?? "shut down");
}

describe("keys", () => {
  test("a key that is added twice is processed once", async () => {
    const { queue } = queueOf();
    queue.add("a");
    queue.add("a");
    expect(await queue.get()).toBe("a");
    expect(await ready(queue)).toBe("nothing");
  });

  test("a key that is added while it is processed comes again after done, not before", async () => {
    const { queue } = queueOf();
    queue.add("a");
    await queue.get();
    queue.add("a");
    expect(await ready(queue)).toBe("nothing");
    queue.done("a");
    expect(await ready(queue)).toBe("a");
  });

  test("keys come in the order in which they were added", async () => {
    const { queue } = queueOf();
    for (const key of ["a", "b", "c"]) queue.add(key);
    expect([await ready(queue), await ready(queue), await ready(queue)]).toEqual(["a", "b", "c"]);
    queue.add("d");
    expect(await ready(queue)).toBe("d");
  });

  test("a worker that waits gets the next key", async () => {
    const { queue } = queueOf();
    const first = queue.get();
    const second = queue.get();
    queue.add("a");
    queue.add("b");
    expect(await Promise.all([first, second])).toEqual(["a", "b"]);
  });
});

describe("priorities", () => {
  test("edits overtake new objects, and both overtake refreshes", async () => {
    const { queue } = queueOf();
    queue.add("refresh", { priority: "low" });
    queue.add("new", { priority: "normal" });
    queue.add("edit", { priority: "high" });
    expect([await ready(queue), await ready(queue), await ready(queue)]).toEqual(["edit", "new", "refresh"]);
  });

  test("beside an edit under way there are only so many refreshes; when it is done the others go on", async () => {
    const queue = new WorkQueue({ name: "test", clock: new FakeClock(), lowBesideOthers: 1 });
    const taken: (string | undefined)[] = [];
    queue.add("edit");
    for (const refresh of ["a", "b", "c"]) queue.add(refresh, { priority: "low" });
    for (let worker = 0; worker < 4; worker += 1) void queue.get().then((got) => taken.push(got));
    await Promise.resolve();
    expect(taken).toEqual(["edit", "a"]);
    queue.done("a");
    await Promise.resolve();
    expect(taken).toEqual(["edit", "a", "b"]);
    queue.done("edit");
    await Promise.resolve();
    expect(taken).toEqual(["edit", "a", "b", "c"]);
  });

  test("an edit lifts a key that waits for its refresh, a refresh lowers none", async () => {
    const { queue } = queueOf();
    queue.add("a", { priority: "low" });
    queue.add("b", { priority: "low" });
    queue.add("b", { priority: "high" });
    queue.add("b", { priority: "low" });
    expect([await ready(queue), await ready(queue), await ready(queue)]).toEqual(["b", "a", "nothing"]);
  });

  test("the highest priority asked for during processing counts", async () => {
    const { queue } = queueOf();
    queue.add("a", { priority: "low" });
    await queue.get();
    queue.add("other", { priority: "low" });
    queue.add("a", { priority: "high" });
    queue.add("a", { priority: "low" });
    queue.done("a");
    expect(await ready(queue)).toBe("a");
  });

  test("a retry keeps the priority of its key", async () => {
    const { clock, queue } = queueOf();
    queue.add("edit", { priority: "high" });
    await queue.get();
    queue.addRateLimited("edit");
    queue.done("edit");
    queue.add("refresh", { priority: "low" });
    await clock.advance(1_000);
    expect([await ready(queue), await ready(queue)]).toEqual(["edit", "refresh"]);
  });

  test("a retry that is to let others go first has the next lower priority", async () => {
    const { clock, queue } = queueOf();
    queue.add("edit", { priority: "high" });
    await queue.get();
    queue.addRateLimited("edit", { lower: true });
    queue.done("edit");
    queue.add("refresh", { priority: "low" });
    await clock.advance(1_000);
    queue.add("other edit", { priority: "high" });
    expect([await ready(queue), await ready(queue), await ready(queue)]).toEqual(["other edit", "edit", "refresh"]);
    queue.addRateLimited("edit", { lower: true });
    queue.addRateLimited("refresh", { lower: true });
    for (const key of ["edit", "refresh"]) queue.done(key);
    await clock.advance(2_000);
    expect([await ready(queue), await ready(queue)]).toEqual(["refresh", "edit"]);
  });
});

describe("delays", () => {
  test("an earlier delay wins, a later one changes nothing", async () => {
    const { clock, queue } = queueOf();
    queue.addAfter("a", 1_000);
    queue.addAfter("a", 500);
    queue.addAfter("a", 2_000);
    await clock.advance(499);
    expect(await ready(queue)).toBe("nothing");
    await clock.advance(1);
    expect(await ready(queue)).toBe("a");
    queue.done("a");
    await clock.advance(10_000);
    expect(await ready(queue)).toBe("nothing");
  });

  test("of two delays the earlier time and the higher priority count", async () => {
    const { clock, queue } = queueOf();
    queue.addAfter("first", 100, { priority: "low" });
    queue.addAfter("a", 200, { priority: "low" });
    queue.addAfter("a", 5_000, { priority: "high" });
    await clock.advance(200);
    expect([await ready(queue), await ready(queue)]).toEqual(["a", "first"]);
  });

  test("ten thousand delayed keys are one timer", () => {
    const { clock, queue } = queueOf();
    for (let i = 0; i < 10_000; i += 1) queue.addAfter(`key-${i}`, 1 + ((i * 7919) % 10_000));
    expect(clock.timers).toBe(1);
  });

  test("delayed keys come in the order of their times", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.integer({ min: 1, max: 100_000 }), { maxLength: 50 }), async (delays) => {
        const { clock, queue } = queueOf();
        for (const delay of delays) queue.addAfter(String(delay), delay);
        await clock.advance(100_000);
        const order: number[] = [];
        while (queue.length > 0) order.push(Number(await queue.get()));
        expect(order).toEqual(delays.toSorted((a, b) => a - b));
      }),
    );
  });

  test("a delay of more than Node's timers can hold (25 days) is kept", async () => {
    const { clock, queue } = queueOf();
    const month = 30 * 86_400_000;
    queue.addAfter("a", month);
    expect(clock.nextTimerMs).toBeLessThan(2 ** 31);
    await clock.advance(month - 1);
    expect(await ready(queue)).toBe("nothing");
    await clock.advance(1);
    expect(await ready(queue)).toBe("a");
  });

  test("the backoff of a key doubles from 1 s to 5 min and ends with forget", () => {
    const { queue } = queueOf();
    const delays = Array.from({ length: 11 }, () => queue.addRateLimited("a") / 1000);
    expect(delays).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    expect(queue.numRequeues("a")).toBe(11);
    queue.forget("a");
    expect(queue.numRequeues("a")).toBe(0);
    expect(queue.addRateLimited("a")).toBe(1_000);
  });
});

test("keys that wait out a backoff can be hastened; other delays, and the backoff itself, stay as they are", async () => {
  const { clock, queue } = queueOf();
  for (let failure = 0; failure < 6; failure += 1) queue.addRateLimited("failing");
  queue.addAfter("resync", 60_000);
  expect(queue.numRequeues("failing")).toBe(6);
  await clock.advance(1_000);
  expect(await ready(queue)).toBe("failing");
  queue.addRateLimited("failing");
  queue.done("failing");
  queue.hasten(3_000);
  await clock.advance(3_000);
  expect(await ready(queue)).toBe("failing");
  expect(queue.numRequeues("failing")).toBe(7);
  queue.done("failing");
  await clock.advance(50_000);
  expect(queue.length).toBe(0);
  await clock.advance(10_000);
  expect(await ready(queue)).toBe("resync");
});

test("some of them can be hastened, each in its turn", async () => {
  const { clock, queue } = queueOf();
  for (const key of ["a", "b", "c"]) queue.addRateLimited(key);
  for (const both of [
    ["a", "b"],
    ["a", "c"],
    ["b", "c"],
  ]) {
    queue.hasten(10, 2);
    await clock.advance(10);
    const hastened = [await ready(queue), await ready(queue)].map(String);
    expect(hastened.toSorted()).toEqual(both);
    for (const key of hastened.toSorted()) {
      queue.addRateLimited(key);
      queue.done(key);
    }
    expect(queue.length).toBe(0);
  }
});

describe("shutdown", () => {
  test("ends workers that wait and drops what is queued or delayed", async () => {
    const { clock, queue } = queueOf();
    const waiting = queue.get();
    queue.addAfter("late", 10);
    queue.shutDown();
    queue.add("a");
    await clock.advance(100);
    expect(await waiting).toBeUndefined();
    expect(await queue.get()).toBeUndefined();
    expect(queue.length).toBe(0);
  });

  test("a key that is being processed can still be finished", async () => {
    const { queue } = queueOf();
    queue.add("a");
    await queue.get();
    queue.add("a");
    queue.shutDown();
    expect(queue.idle).toBe(false);
    queue.done("a");
    expect(queue.idle).toBe(true);
  });
});

test("depth is reported per priority and comes back to zero", async () => {
  const depth: Record<Priority, number> = { high: -1, normal: -1, low: -1 };
  const { queue } = queueOf({ ...noMetrics, queueDepth: (_, priority, value) => void (depth[priority] = value) });
  queue.add("a", { priority: "low" });
  queue.add("b", { priority: "low" });
  expect(depth.low).toBe(2);
  queue.add("a", { priority: "high" });
  queue.add("c", { priority: "normal" });
  expect(depth).toEqual({ high: 1, normal: 1, low: 1 });
  for (let got = 0; got < 3; got += 1) await queue.get();
  expect(depth).toEqual({ high: 0, normal: 0, low: 0 });
});

type Step =
  | { readonly do: "add"; readonly key: string; readonly priority: Priority }
  | { readonly do: "addAfter"; readonly key: string; readonly ms: number }
  | { readonly do: "retry"; readonly key: string }
  | { readonly do: "finish"; readonly worker: number }
  | { readonly do: "wait"; readonly ms: number };

const key = fc.constantFrom("a", "b", "c", "d");
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("add" as const), key, priority: fc.constantFrom<Priority>(...priorities) }),
  fc.record({ do: fc.constant("addAfter" as const), key, ms: fc.integer({ min: 0, max: 3_000 }) }),
  fc.record({ do: fc.constant("retry" as const), key }),
  fc.record({ do: fc.constant("finish" as const), worker: fc.nat(2) }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 2_000 }) }),
);

/** What a key still has to be taken for. */
interface Owed {
  now: boolean;
  /** Monotonic, the earliest of its delays; later ones are covered by it. */
  later: number;
}

/** Three workers that each hold their key until they are told to finish, and a ledger of what was asked for. */
class Workshop {
  readonly clock = new FakeClock();
  readonly queue = new WorkQueue({ name: "test", clock: this.clock, lowBesideOthers: 1 });
  readonly held: (string | undefined)[] = [undefined, undefined, undefined];
  readonly doubles: string[] = [];
  readonly early: string[] = [];
  readonly #owed = new Map<string, Owed>();

  constructor() {
    for (const worker of this.held.keys()) this.#take(worker);
  }

  get lost(): string[] {
    return [...this.#owed].filter(([, { now, later }]) => now || later < Infinity).map(([name]) => name);
  }

  async play(action: Step): Promise<void> {
    if (action.do === "add") {
      this.#owe(action.key, 0);
      this.queue.add(action.key, action);
    } else if (action.do === "addAfter") {
      this.#owe(action.key, action.ms);
      this.queue.addAfter(action.key, action.ms);
    } else if (action.do === "retry") {
      this.#owe(action.key, this.queue.addRateLimited(action.key));
    } else if (action.do === "finish") {
      this.finish(action.worker);
    }
    await this.clock.advance(action.do === "wait" ? action.ms : 0);
  }

  finish(worker: number): void {
    const done = this.held[worker];
    if (done === undefined) return;
    this.held[worker] = undefined;
    this.queue.done(done);
    this.#take(worker);
  }

  #owe(owed: string, ms: number): void {
    const old = this.#owed.get(owed) ?? { now: false, later: Infinity };
    const due = old.later <= this.clock.monotonic();
    const waiting = due ? Infinity : old.later;
    const later = ms > 0 ? Math.min(waiting, this.clock.monotonic() + ms) : waiting;
    this.#owed.set(owed, { now: old.now || due || ms <= 0, later });
  }

  #take(worker: number): void {
    void this.queue.get().then((taken) => {
      if (taken === undefined) return;
      if (this.held.includes(taken)) this.doubles.push(taken);
      this.held[worker] = taken;
      const { now, later } = this.#owed.get(taken) ?? { now: false, later: Infinity };
      const due = later <= this.clock.monotonic();
      if (!now && !due) this.early.push(taken);
      this.#owed.set(taken, { now: false, later: due ? Infinity : later });
    });
  }
}

test("in every interleaving no key is processed twice at once, none is lost, none comes before its time", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const shop = new Workshop();
      for (const action of steps) await shop.play(action);
      // Everything that is owed must come when the workers only go on working.
      for (let round = 0; round < 30; round += 1) {
        for (const worker of shop.held.keys()) shop.finish(worker);
        await shop.clock.advance(30_000);
      }
      expect(shop.doubles).toEqual([]);
      expect(shop.early).toEqual([]);
      expect(shop.lost).toEqual([]);
    }),
    { numRuns: 150 },
  );
});
