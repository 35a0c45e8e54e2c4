import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FakeClock } from "../../test/gen/fake-clock.ts";
import { type Fault, LeaseModel, SimulatedProcess } from "../../test/gen/lease-model.ts";
import { LeaderElector } from "./leader-election.ts";
import { Sharding, type ShardingClient } from "./sharding.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const names = { namespace: "ns", name: "lease" };

interface Network {
  readonly fault: () => Fault;
  readonly latencyMs: () => number;
}

const calm: Network = { fault: () => "none", latencyMs: () => 0 };

class Replica {
  readonly process: SimulatedProcess;
  readonly sharding: Sharding;
  readonly running: Promise<void>;
  readonly log: string[] = [];
  readonly #stop = new AbortController();

  constructor(model: LeaseModel, world: FakeClock, identity: string, shards = 4, network = calm) {
    this.process = new SimulatedProcess(world, identity.length * 3_600_000);
    const client = model.client(this.process, network.fault, network.latencyMs);
    this.sharding = new Sharding({ client, ...names, identity, shards, logger: silent, clock: this.process });
    this.sharding.addListener({
      gained: (shard) => this.log.push(`gained ${shard}`),
      released: (shard) => this.log.push(`released ${shard}`),
    });
    this.running = this.sharding.run(this.#stop.signal, {
      onStartedLeading: () => this.log.push("started"),
      onLost: () => this.log.push("lost"),
    });
  }

  get held(): readonly number[] {
    return this.sharding.held;
  }

  /** Whether a mutation would be let through. */
  get mayWrite(): boolean {
    try {
      this.sharding.assertLeading();
      return true;
    } catch {
      return false;
    }
  }

  stop(): void {
    this.#stop.abort();
  }
}

describe("shards", () => {
  test("one replica takes all; a second one gets half, a third its third", async () => {
    const world = new FakeClock();
    const model = new LeaseModel();
    const one = new Replica(model, world, "a", 6);
    await world.advance(5_000);
    expect(one.log[0]).toBe("started");
    expect(one.held).toEqual([0, 1, 2, 3, 4, 5]);
    expect(one.mayWrite).toBe(true);
    const two = new Replica(model, world, "b", 6);
    await world.advance(10_000);
    expect([one.held, two.held]).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    const three = new Replica(model, world, "c", 6);
    await world.advance(10_000);
    expect([one.held.length, two.held.length, three.held.length]).toEqual([2, 2, 2]);
  });

  test("more replicas than shards: the others wait, are ready, and write nothing", async () => {
    const world = new FakeClock();
    const model = new LeaseModel();
    const replicas = ["a", "b", "c"].map((identity) => new Replica(model, world, identity, 2));
    await world.advance(30_000);
    expect(replicas.map(({ held }) => held.length)).toEqual([1, 1, 0]);
    expect(replicas.map(({ mayWrite }) => mayWrite)).toEqual([true, true, false]);
    expect(replicas[2]?.sharding.problem()).toBeUndefined();
  });

  test("of a dead replica have moved within 20 s", async () => {
    const world = new FakeClock();
    const model = new LeaseModel();
    const [one, two] = ["a", "b"].map((identity) => new Replica(model, world, identity)) as [Replica, Replica];
    await world.advance(30_000);
    expect(two.held).toHaveLength(2);
    two.process.stop();
    await world.advance(20_000);
    expect(one.held).toEqual([0, 1, 2, 3]);
  });

  test("of a replica that stops have moved within seconds, and its own Lease is gone", async () => {
    const world = new FakeClock();
    const model = new LeaseModel();
    const [one, two] = ["a", "b"].map((identity) => new Replica(model, world, identity)) as [Replica, Replica];
    await world.advance(30_000);
    two.stop();
    await world.advance(3_000);
    expect(one.held).toEqual([0, 1, 2, 3]);
    expect([...model.leases.keys()].filter((name) => name.includes("replica"))).toEqual(["lease-replica-a"]);
    await two.running;
  });

  test("are given back only once the work on them has ended", async () => {
    const world = new FakeClock();
    const model = new LeaseModel();
    const one = new Replica(model, world, "a", 2);
    await world.advance(5_000);
    const leave = one.sharding.enter(1);
    const two = new Replica(model, world, "b", 2);
    await world.advance(60_000);
    expect(one.held).toEqual([0]);
    expect(one.sharding.enter(1)).toBeUndefined();
    expect(one.mayWrite).toBe(true);
    expect(two.held).toEqual([]);
    leave?.();
    await world.advance(3_000);
    expect(two.held).toEqual([1]);
  });

  test("a replica that was stopped and wakes up has lost, before it renews or writes anything", async () => {
    const world = new FakeClock();
    const model = new LeaseModel();
    const one = new Replica(model, world, "a");
    await world.advance(5_000);
    one.process.stop();
    await world.advance(11_000);
    expect(one.mayWrite).toBe(false);
    one.process.continue();
    await world.advance(0);
    expect(one.log.at(-1)).toBe("lost");
    await one.running;
  });

  test("a replica that may not list Leases works on nothing and says so", async () => {
    const world = new FakeClock();
    const model = new LeaseModel();
    const one = new Replica(model, world, "a");
    const [reached, cutOff] = (["none", "lost"] as const).map((fault) =>
      model.client(
        one.process,
        () => fault,
        () => 0,
      ),
    ) as [ShardingClient, ShardingClient];
    const client: ShardingClient = { ...reached, list: (...call) => cutOff.list(...call) };
    const blind = new Sharding({ client, ...names, identity: "b", shards: 4, logger: silent, clock: one.process });
    const stop = new AbortController();
    const running = blind.run(stop.signal, { onStartedLeading() {}, onLost() {} });
    await world.advance(10_000);
    expect(blind.held).toEqual([]);
    expect(blind.problem()).toContain("cannot be listed");
    stop.abort();
    await world.advance(5_000);
    await running;
  });
});

describe("another division", () => {
  test("waits until every replica of the old one is gone", async () => {
    const world = new FakeClock();
    const model = new LeaseModel();
    const [one, two] = ["a", "b"].map((identity) => new Replica(model, world, identity, 4)) as [Replica, Replica];
    await world.advance(30_000);
    const next = new Replica(model, world, "c", 8);
    await world.advance(30_000);
    expect(next.log).toEqual([]);
    one.stop();
    await world.advance(30_000);
    expect(next.log).toEqual([]);
    two.stop();
    await world.advance(25_000);
    expect(next.held).toHaveLength(8);
  });

  test("a single leader and a sharding exclude each other, either way", async () => {
    const world = new FakeClock();
    const model = new LeaseModel();
    const process = new SimulatedProcess(world, 0);
    const client = model.client(
      process,
      () => "none",
      () => 0,
    );
    const leader = new LeaderElector({ client, ...names, identity: "single", logger: silent, clock: process });
    const stop = new AbortController();
    const running = leader.run(stop.signal, { onStartedLeading() {}, onLost() {} });
    await world.advance(5_000);
    const one = new Replica(model, world, "a");
    await world.advance(30_000);
    expect(one.log).toEqual([]);
    stop.abort();
    await world.advance(5_000);
    await running;
    expect(one.held).toHaveLength(4);
    const again = new LeaderElector({ client, ...names, identity: "single", logger: silent, clock: process });
    const stopAgain = new AbortController();
    const runningAgain = again.run(stopAgain.signal, { onStartedLeading() {}, onLost() {} });
    await world.advance(60_000);
    expect(again.isLeading()).toBe(false);
    one.stop();
    await world.advance(25_000);
    expect(again.isLeading()).toBe(true);
    stopAgain.abort();
    await world.advance(0);
    await runningAgain;
  });
});

/** One of the three replicas, now and then. */
const sometimes = (weight: number) =>
  fc.oneof({ weight, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat(2) });

const worldStep = fc.record({
  ms: fc.integer({ min: 0, max: 20_000 }),
  stop: sometimes(1),
  resume: sometimes(3),
  leave: sometimes(8),
  fault: fc.constantFrom<Fault>("none", "none", "none", "lost", "answerLost"),
  faulty: fc.nat(2),
  latencyMs: fc.integer({ min: 0, max: 2_400 }),
});

test("whatever is stopped, lost or slow: no shard has two writers, and all are fairly held when all is well", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(worldStep, { maxLength: 20 }), async (steps) => {
      const world = new FakeClock();
      const model = new LeaseModel();
      const net = { fault: "none" as Fault, faulty: 0, latencyMs: 0 };
      const launch = (index: number) =>
        new Replica(model, world, `p${index}.${world.monotonic()}`, 4, {
          fault: () => (net.faulty === index ? net.fault : "none"),
          latencyMs: () => net.latencyMs,
        });
      const replicas = [0, 1, 2].map(launch);
      const run = async (ms: number) => {
        for (let left = ms; left > 0; left -= 250) {
          await world.advance(Math.min(250, left));
          const writers = replicas.filter(({ mayWrite }) => mayWrite).flatMap(({ held }) => held);
          expect(new Set(writers).size).toBe(writers.length);
          for (const [index, { log }] of replicas.entries()) if (log.includes("lost")) replicas[index] = launch(index);
        }
      };
      for (const { ms, stop, resume, leave, ...faults } of steps) {
        Object.assign(net, faults);
        if (stop !== undefined) replicas[stop]?.process.stop();
        if (resume !== undefined) replicas[resume]?.process.continue();
        if (leave !== undefined) {
          replicas[leave]?.stop();
          replicas[leave] = launch(leave);
        }
        await run(ms);
      }
      Object.assign(net, { fault: "none", latencyMs: 0 });
      for (const { process } of replicas) process.continue();
      await run(45_000);
      expect(replicas.map(({ held }) => held.length).toSorted((a, b) => a - b)).toEqual([1, 1, 2]);
      expect(replicas.every(({ mayWrite }) => mayWrite)).toBe(true);
    }),
    { numRuns: 60 },
  );
});
