// Who gets a turn, who waits and who is refused, on a clock of the test's own.
import { describe, expect, test } from "vitest";
import { FakeClock } from "../../test/gen/fake-clock.ts";
import { Budget, type BudgetOptions, type Result, type Turn } from "./budget.ts";
import type { DecryptCall } from "./cipher.ts";

const unlimited = Number.POSITIVE_INFINITY;
const silence = expect.objectContaining({ code: "KMSUnavailable", message: expect.stringContaining("did not answer") });
const throttling = expect.objectContaining({ code: "KMSThrottled" });

/** A budget, and what became of those who asked it. */
class Desk {
  readonly clock: FakeClock;
  readonly budget: Budget;
  /** Names of those who have got a turn, in order. */
  readonly served: string[] = [];
  readonly turns = new Map<string, Turn>();
  readonly refused = new Map<string, unknown>();

  constructor({ clock = new FakeClock(), ...options }: Partial<BudgetOptions> & { readonly clock?: FakeClock } = {}) {
    this.clock = clock;
    this.budget = new Budget({ maxInFlight: 64, perSecond: unlimited, clock, ...options });
  }

  /** Somebody asks for a turn. */
  async ask(name: string, call: DecryptCall = {}, isRetry = false): Promise<void> {
    const enter = async () => this.budget.enter(call, isRetry);
    void enter().then(
      (turn) => {
        this.served.push(name);
        this.turns.set(name, turn);
      },
      (error: unknown) => this.refused.set(name, error),
    );
    await this.clock.advance(0);
  }

  /** Somebody's attempt ends. */
  async end(name: string, result: Result = "ok"): Promise<void> {
    const turn = this.turns.get(name);
    if (turn === undefined) throw new Error(`${name} has no turn`);
    this.budget.leave(turn, result);
    await this.clock.advance(0);
  }
}

/** One that KMS has just throttled down to 10 requests a second, with no turn left. */
async function throttledDesk(): Promise<Desk> {
  const desk = new Desk({ maxInFlight: 200, perSecond: 20 });
  await desk.ask("early");
  await desk.end("early", "throttled");
  expect(desk.budget.learntLimit).toBe(10);
  desk.served.length = 0;
  return desk;
}

test("so many at once, the others in order; urgent ones before them, retries before their like", async () => {
  const desk = new Desk({ maxInFlight: 1 });
  await desk.ask("first");
  await desk.ask("second");
  await desk.ask("again", {}, true);
  await desk.ask("urgent", { isUrgent: true });
  for (const name of ["first", "urgent", "again", "second"]) await desk.end(name);
  expect(desk.served).toEqual(["first", "urgent", "again", "second"]);
});

test("objects take turns, however many entries each has", async () => {
  const desk = new Desk({ maxInFlight: 1 });
  const [large, small] = [{}, {}];
  for (const name of ["large 1", "large 2", "large 3", "large 4"]) await desk.ask(name, large);
  for (const name of ["small 1", "small 2"]) await desk.ask(name, small);
  for (let turn = 0; turn < 6; turn += 1) await desk.end(desk.served.at(-1) ?? "");
  expect(desk.served).toEqual(["large 1", "large 2", "small 1", "large 3", "small 2", "large 4"]);
});

test("an upper bound makes them wait for their turns", async () => {
  const desk = new Desk({ perSecond: 10 });
  for (let index = 0; index < 12; index += 1) await desk.ask(`${index}`, { isUrgent: true });
  expect(desk.served).toHaveLength(10);
  await desk.clock.advance(99);
  expect(desk.served).toHaveLength(10);
  await desk.clock.advance(2);
  expect(desk.served).toHaveLength(11);
  await desk.clock.advance(100);
  expect(desk.served).toHaveLength(12);
});

/** Goes on a little whenever it is looked at, as a real one does. */
class RestlessClock extends FakeClock {
  override monotonic(): number {
    this.freeze(0.02);
    return super.monotonic();
  }
}

test("nobody is forgotten whose turn comes while it is being looked at", async () => {
  for (let beforeMs = 0; beforeMs < 0.3; beforeMs += 0.004) {
    const clock = new RestlessClock();
    const desk = new Desk({ perSecond: 1, clock });
    await desk.ask("first");
    await clock.advance(1_000 - beforeMs);
    await desk.ask("second", { isUrgent: true });
    await clock.advance(1_000);
    expect(desk.served).toEqual(["first", "second"]);
  }
});

test("who gives up waiting takes no turn", async () => {
  const desk = new Desk({ maxInFlight: 1 });
  const abort = new AbortController();
  await desk.ask("first");
  await desk.ask("gone", { signal: abort.signal });
  await desk.ask("next");
  abort.abort();
  await desk.end("first");
  expect(desk.served).toEqual(["first", "next"]);
  expect(desk.refused.get("gone")).toMatchObject({ code: "KMSUnavailable" });
});

describe("throttled", () => {
  test("whoever would wait long is refused at once, unless urgent", async () => {
    const desk = await throttledDesk();
    for (const name of ["a", "b", "c"]) await desk.ask(name);
    expect([...desk.refused.keys()]).toEqual(["c"]);
    expect(desk.refused.get("c")).toMatchObject({ code: "KMSThrottled", retry: "backoff" });
    await desk.ask("urgent", { isUrgent: true });
    await desk.clock.advance(1_000);
    expect(desk.served).toEqual(["urgent", "a", "b"]);
  });

  test("of a call that was let in, all entries are, however many; and they shut no small one out", async () => {
    const desk = await throttledDesk();
    const call = {};
    for (let index = 0; index < 100; index += 1) await desk.ask(`${index}`, call);
    await desk.ask("other");
    await desk.clock.advance(250);
    expect(desk.served).toEqual(["0", "other"]);
    await desk.clock.advance(20_000);
    expect(desk.served).toHaveLength(101);
    expect(desk.refused.size).toBe(0);
  });

  test("when nothing gets through for two seconds, all who wait fail, and one at a time tries", async () => {
    const desk = new Desk();
    const urgent = { isUrgent: true };
    await desk.ask("0", urgent);
    await desk.end("0", "throttled");
    for (let index = 1; desk.refused.size === 0; index += 1) {
      await desk.ask(`${index}`, urgent, true);
      await desk.clock.advance(250);
      if (desk.turns.has(`${index}`)) await desk.end(`${index}`, "throttled");
      expect(desk.clock.monotonic()).toBeLessThan(4_000);
    }
    expect([...desk.refused.values()]).toEqual([throttling]);
    await desk.clock.advance(1_000);
    await desk.ask("probe");
    await desk.ask("edit", urgent);
    expect(desk.turns.get("probe")).toMatchObject({ isProbe: true });
    expect(desk.refused.get("edit")).toEqual(throttling);
    await desk.end("probe");
    await desk.clock.advance(1_000);
    await desk.ask("edit again", urgent);
    expect(desk.turns.get("edit again")).toMatchObject({ isProbe: false });
  });
});

describe("no answer", () => {
  test("one probe goes, the others wait for it and go on when it is answered", async () => {
    const desk = new Desk();
    for (const name of ["a", "b"]) await desk.ask(name);
    await desk.end("a", "silent");
    await desk.end("b", "silent");
    await desk.ask("a again", {}, true);
    await desk.ask("b again", {}, true);
    await desk.ask("new");
    expect(desk.served).toEqual(["a", "b", "a again"]);
    expect(desk.turns.get("a again")).toMatchObject({ isProbe: true });
    await desk.end("a again", "refused");
    expect(desk.served).toEqual(["a", "b", "a again", "b again", "new"]);
    expect(desk.refused.size).toBe(0);
  });

  test("when the probe gets none either, all who wait fail, and so do others at once", async () => {
    const desk = new Desk();
    for (const name of ["a", "b"]) await desk.ask(name);
    await desk.end("a", "silent");
    await desk.ask("a again", {}, true);
    await desk.ask("new");
    await desk.end("a again", "silent");
    await desk.end("b", "silent");
    await desk.ask("b again", {}, true);
    expect([...desk.refused]).toEqual([
      ["new", silence],
      ["b again", silence],
    ]);
  });

  test("while it is down one call at a time tries, with all its entries once it is answered", async () => {
    const desk = new Desk();
    await desk.ask("a");
    await desk.end("a", "silent");
    await desk.ask("a again", {}, true);
    await desk.end("a again", "silent");
    const call = {};
    await desk.ask("probe", call);
    await desk.ask("same object", call);
    await desk.ask("other", { isUrgent: true });
    expect(desk.served.slice(2)).toEqual(["probe"]);
    expect([...desk.refused.keys()]).toEqual(["other"]);
    await desk.end("probe");
    expect(desk.served.slice(2)).toEqual(["probe", "same object"]);
    await desk.ask("any");
    expect(desk.served.at(-1)).toBe("any");
  });

  test("a probe that is given up leaves the place to the next", async () => {
    const desk = new Desk();
    await desk.ask("a");
    await desk.end("a", "silent");
    await desk.ask("a again", {}, true);
    await desk.end("a again", "silent");
    await desk.ask("probe");
    await desk.end("probe", "unsent");
    await desk.ask("next");
    expect(desk.served.at(-1)).toBe("next");
  });

  test("one that did not get as far as KMS shows nothing of it, down or not", async () => {
    const desk = new Desk();
    await desk.ask("a");
    await desk.end("a", "silent");
    await desk.ask("a again", {}, true);
    await desk.end("a again", "silent");
    await desk.ask("without credentials");
    await desk.end("without credentials", "unsent");
    await desk.ask("probe");
    await desk.ask("other");
    expect(desk.turns.get("probe")).toMatchObject({ isProbe: true });
    expect(desk.refused.get("other")).toEqual(silence);
  });

  test("a probe that was lost, while others were answered, takes nobody down", async () => {
    const desk = new Desk({ maxInFlight: 2 });
    for (const name of ["a", "b"]) await desk.ask(name);
    await desk.end("a", "silent");
    await desk.ask("lost", {}, true);
    expect(desk.turns.get("lost")).toMatchObject({ isProbe: true });
    await desk.clock.advance(5);
    await desk.end("b");
    for (const name of ["c", "d"]) await desk.ask(name, { isUrgent: true });
    await desk.end("lost", "silent");
    expect(desk.served.slice(-2)).toEqual(["c", "d"]);
    expect(desk.turns.get("d")).toMatchObject({ isProbe: false });
    expect(desk.refused.size).toBe(0);
  });

  test("one that was sent before the last answer says nothing: its connection was lost, no more", async () => {
    const desk = new Desk();
    await desk.ask("lost");
    await desk.clock.advance(10);
    await desk.ask("fine");
    await desk.end("fine");
    await desk.end("lost", "silent");
    await desk.ask("next");
    expect(desk.turns.get("next")).toMatchObject({ isProbe: false });
  });
});
