import { describe, expect, onTestFinished, test, vi } from "vitest";
import { FakeClock } from "../../test/gen/fake-clock.ts";
import { OperatorError } from "../base/errors.ts";
import { Controller, type Reconcile } from "./controller.ts";
import { noMetrics, type RuntimeMetrics } from "./metrics.ts";
import { WorkQueue } from "./workqueue.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

function run(reconcile: Reconcile, metrics: Partial<RuntimeMetrics> = {}, maxConcurrentReconciles = 2) {
  const clock = new FakeClock();
  const queue = new WorkQueue({ name: "test", clock, random: () => 1 });
  const controller = new Controller({
    name: "test",
    queue,
    reconcile,
    maxConcurrentReconciles,
    logger: silent,
    clock,
    metrics: { ...noMetrics, ...metrics },
  });
  const running = controller.run();
  onTestFinished(() => controller.stopIntake());
  return { clock, queue, controller, running };
}

describe("a reconcile", () => {
  test("gets namespace and name", async () => {
    const reconcile = vi.fn<Reconcile>(() => Promise.resolve({}));
    const { clock, queue } = run(reconcile);
    queue.add("ns/name");
    await clock.advance(0);
    expect(reconcile.mock.calls.map(([request]) => request)).toEqual([{ namespace: "ns", name: "name" }]);
  });

  test("is repeated after the time it asks for, otherwise not", async () => {
    let calls = 0;
    const { clock, queue } = run(() => {
      calls += 1;
      return Promise.resolve(calls === 1 ? { requeueAfterMs: 120_000 } : {});
    });
    queue.add("ns/name");
    await clock.advance(119_999);
    expect(calls).toBe(1);
    await clock.advance(1);
    expect(calls).toBe(2);
    await clock.advance(3_600_000);
    expect(calls).toBe(2);
  });

  test("that throws is repeated with backoff, which a success ends", async () => {
    const at: number[] = [];
    const results: string[] = [];
    const { clock, queue } = run(
      () => {
        at.push(clock.monotonic() / 1000);
        return at.length === 4 ? Promise.resolve({}) : Promise.reject(new Error("no"));
      },
      { reconciled: (_, result) => results.push(result) },
    );
    queue.add("ns/name");
    await clock.advance(60_000);
    expect(at).toEqual([0, 1, 3, 7]);
    expect(results).toEqual(["error", "error", "error", "success"]);
    expect(queue.numRequeues("ns/name")).toBe(0);
  });

  test("that throws a terminal error awaits a change", async () => {
    const failed: unknown[] = [];
    const reconcile = vi.fn<Reconcile>(() => Promise.reject(new OperatorError("InvalidPath", "no")));
    const { clock, queue } = run(reconcile, { reconcileFailed: (...labels) => failed.push(labels) });
    queue.add("ns/name");
    await clock.advance(3_600_000);
    expect(reconcile).toHaveBeenCalledOnce();
    queue.add("ns/name");
    await clock.advance(0);
    expect(reconcile).toHaveBeenCalledTimes(2);
    expect(failed).toEqual([
      ["test", "InvalidPath", true],
      ["test", "InvalidPath", true],
    ]);
  });

  test("that throws before it returns a promise stalls nothing", async () => {
    const done: string[] = [];
    const { clock, queue } = run(({ name }) => {
      if (name === "bad") throw new Error("bug");
      done.push(name);
      return Promise.resolve({});
    });
    for (const key of ["ns/bad", "ns/a", "ns/b"]) queue.add(key);
    await clock.advance(0);
    expect(done).toEqual(["a", "b"]);
  });
});

test("as many at once as allowed, never two of one key", async () => {
  const active = new Set<string>();
  let most = 0;
  let doubles = 0;
  const { clock, queue } = run(
    async ({ name }) => {
      if (active.has(name)) doubles += 1;
      active.add(name);
      most = Math.max(most, active.size);
      await clock.sleep(10);
      active.delete(name);
      return {};
    },
    {},
    3,
  );
  for (let round = 0; round < 4; round += 1) {
    for (const name of ["a", "b", "c", "d", "e"]) queue.add(`ns/${name}`);
    await clock.advance(7);
  }
  await clock.advance(1_000);
  expect({ most, doubles, idle: queue.idle }).toEqual({ most: 3, doubles: 0, idle: true });
});

test("a stop lets what runs finish and starts nothing new", async () => {
  const log: string[] = [];
  const { clock, queue, controller, running } = run(
    async ({ name }) => {
      log.push(`start ${name}`);
      await clock.sleep(1_000);
      log.push(`end ${name}`);
      return { requeueAfterMs: 1 };
    },
    {},
    1,
  );
  queue.add("ns/a");
  queue.add("ns/b");
  await clock.advance(0);
  controller.stopIntake();
  await clock.advance(10_000);
  await running;
  expect(log).toEqual(["start a", "end a"]);
});
