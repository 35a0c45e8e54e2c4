import { describe, expect, test } from "vitest";
import { FakeClock } from "../../test/gen/fake-clock.ts";
import { Controller, type Reconcile } from "./controller.ts";
import { KubeError } from "./kube-error.ts";
import { LeaderElector } from "./leader-election.ts";
import type { Lease } from "./lease.ts";
import { type ManagedInformer, Manager } from "./manager.ts";
import { WorkQueue } from "./workqueue.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

function build(options: { readonly elected?: boolean; readonly reconcile?: Reconcile } = {}) {
  const clock = new FakeClock();
  const log: string[] = [];
  const fatal: string[] = [];
  const synced = Promise.withResolvers<void>();
  const state = { synced: false, problem: undefined as string | undefined, apiDown: false };
  const informer: ManagedInformer = {
    resource: { group: "", version: "v1", plural: "things", kind: "Thing" },
    synced: synced.promise,
    run: (signal) =>
      new Promise((resolve) => {
        log.push("informer");
        signal.addEventListener("abort", () => resolve());
      }),
    hasSynced: () => state.synced,
    problem: () => state.problem,
    state: () => ({ resource: "things", objects: 0, reflectors: [] }),
  };
  const queue = new WorkQueue({ name: "test", clock });
  const reconcile: Reconcile =
    options.reconcile ??
    (({ name }) => {
      log.push(`reconcile ${name}`);
      return Promise.resolve({});
    });
  const controller = new Controller({ name: "test", queue, reconcile, logger: silent, clock });
  // No Lease is there at first; it is whatever was written last.
  let lease: Lease | undefined;
  const write = (body: Lease): Promise<Lease> => {
    if (state.apiDown) return Promise.reject(new KubeError("down", { status: 0, reason: "ConnectionFailed" }));
    log.push(body.spec?.holderIdentity === undefined ? "lease released" : "lease");
    lease = { ...body, metadata: { ...body.metadata, resourceVersion: String(clock.monotonic()) } };
    return Promise.resolve(lease);
  };
  const elector = new LeaderElector({
    client: {
      get: () =>
        lease ? Promise.resolve(lease) : Promise.reject(new KubeError("no", { status: 404, reason: "NotFound" })),
      create: (_, __, body) => write(body),
      replace: (_, __, body) => write(body),
    },
    namespace: "ns",
    name: "lease",
    identity: "me",
    logger: silent,
    clock,
  });
  const manager = new Manager({
    informers: [informer],
    controllers: [controller],
    ...(options.elected && { elector }),
    logger: silent,
    clock,
    onFatal: (error) => fatal.push(error.message),
  });
  const sync = () => {
    state.synced = true;
    synced.resolve();
  };
  return { clock, log, fatal, state, sync, queue, manager, elector, controller };
}

describe("start", () => {
  test("controllers run only when this process leads and the stores are complete", async () => {
    const it = build({ elected: true });
    it.queue.add("ns/a");
    const started = it.manager.start();
    await it.clock.advance(5_000);
    expect(it.log).not.toContain("reconcile a");
    it.sync();
    await it.clock.advance(0);
    await started;
    expect(it.log.slice(0, 2)).toEqual(["informer", "lease"]);
    expect(it.log.at(-1)).toBe("reconcile a");
    await Promise.all([it.manager.stop(), it.clock.advance(1_000)]);
  });

  test("ready once synced, not while an informer has a problem or it stops; leading does not matter", async () => {
    const it = build();
    void it.manager.start();
    expect(it.manager.ready()).toEqual({ ready: false, problems: ["things: not listed yet"] });
    it.state.problem = "forbidden";
    expect(it.manager.ready()).toEqual({ ready: false, problems: ["things: not listed yet", "forbidden"] });
    it.state.problem = undefined;
    it.sync();
    expect(it.manager.ready()).toEqual({ ready: true, problems: [] });
    it.state.problem = "no answer";
    expect(it.manager.ready()).toEqual({ ready: false, problems: ["no answer"] });
    it.state.problem = undefined;
    const stopped = it.manager.stop();
    expect(it.manager.ready().ready).toBe(false);
    await it.clock.advance(0);
    await stopped;
  });
});

describe("stop", () => {
  test("finishes what is in flight, and only then releases the Lease", async () => {
    const it: ReturnType<typeof build> = build({
      elected: true,
      reconcile: async ({ name }) => {
        await it.clock.sleep(15_000);
        it.elector.assertLeading();
        it.log.push(`done ${name}`);
        return {};
      },
    });
    it.sync();
    await Promise.all([it.manager.start(), it.clock.advance(0)]);
    it.queue.add("ns/a");
    await it.clock.advance(1_000);
    const stopped = it.manager.stop();
    it.queue.add("ns/late");
    await it.clock.advance(15_000);
    await stopped;
    expect(it.log.slice(-2)).toEqual(["done a", "lease released"]);
    expect(it.fatal).toEqual([]);
  });

  test("waits 20 s, then aborts the reconciles that are left", async () => {
    let aborted: number | undefined;
    const it: ReturnType<typeof build> = build({
      reconcile: (_, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            aborted = it.clock.monotonic();
            reject(signal.reason);
          });
        }),
    });
    it.sync();
    await Promise.all([it.manager.start(), it.clock.advance(0)]);
    it.queue.add("ns/a");
    await it.clock.advance(0);
    const stopped = it.manager.stop();
    await it.clock.advance(20_000);
    await stopped;
    expect(aborted).toBe(20_000);
  });

  test("before anything has synced ends at once", async () => {
    const it = build({ elected: true });
    const started = it.manager.start();
    await it.clock.advance(0);
    const stopped = it.manager.stop();
    await it.clock.advance(0);
    await Promise.all([started, stopped]);
    expect(it.log.at(-1)).toBe("lease released");
  });
});

describe("what cannot go on", () => {
  test("lost leadership stops the controllers and is fatal, once", async () => {
    const it = build({ elected: true });
    it.sync();
    await Promise.all([it.manager.start(), it.clock.advance(3_000)]);
    it.state.apiDown = true;
    await it.clock.advance(30_000);
    it.queue.add("ns/a");
    await it.clock.advance(0);
    expect(it.fatal).toEqual(["leadership lost: another process may be writing now"]);
    expect(it.log).not.toContain("reconcile a");
    await Promise.all([it.manager.stop(), it.clock.advance(0)]);
    expect(it.log).not.toContain("lease released");
  });

  test("a part that rejects has a bug and is fatal", async () => {
    const it = build();
    it.sync();
    it.controller.run = () => Promise.reject(new Error("bug"));
    await Promise.all([it.manager.start(), it.clock.advance(0)]);
    expect(it.fatal).toEqual(["bug"]);
  });
});
