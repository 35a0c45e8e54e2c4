import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FakeClock } from "../../test/gen/fake-clock.ts";
import { type Fault, LeaseModel, SimulatedProcess } from "../../test/gen/lease-model.ts";
import { LeaderElector } from "./leader-election.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const names = { namespace: "ns", name: "lease" };

interface Candidate {
  readonly process: SimulatedProcess;
  readonly elector: LeaderElector;
  readonly log: string[];
  readonly running: Promise<void>;
  stop(): void;
}

function candidate(
  model: LeaseModel,
  process: SimulatedProcess,
  identity: string,
  faultOf: () => Fault = () => "none",
): Candidate {
  const client = model.client(process, faultOf, () => 0);
  return start(new LeaderElector({ client, ...names, identity, logger: silent, clock: process }), process);
}

function start(elector: LeaderElector, process: SimulatedProcess): Candidate {
  const log: string[] = [];
  const abort = new AbortController();
  const running = elector.run(abort.signal, {
    onStartedLeading: () => log.push("started"),
    onLost: () => log.push("lost"),
  });
  return { process, elector, log, running, stop: () => abort.abort() };
}

describe("the rules", () => {
  test("a free Lease is taken, held and released", async () => {
    const world = new FakeClock();
    const model = new LeaseModel();
    const one = candidate(model, new SimulatedProcess(world, 0), "one");
    await world.advance(60_000);
    expect(one.log).toEqual(["started"]);
    expect(model.lease?.spec).toMatchObject({ holderIdentity: "one", leaseDurationSeconds: 15, leaseTransitions: 0 });
    expect(() => one.elector.assertLeading()).not.toThrow();
    one.stop();
    await world.advance(0);
    await one.running;
    expect(model.lease?.spec?.holderIdentity).toBeUndefined();
    expect(() => one.elector.assertLeading()).toThrow("not the leader");
    expect(one.log).toEqual(["started"]);
  });

  test("a released Lease is taken within one retry period, and counts as a transition", async () => {
    const world = new FakeClock();
    const model = new LeaseModel();
    const one = candidate(model, new SimulatedProcess(world, 0), "one");
    await world.advance(5_000);
    const two = candidate(model, new SimulatedProcess(world, 0), "two");
    await world.advance(5_000);
    expect(two.log).toEqual([]);
    one.stop();
    await world.advance(4_400);
    expect(two.log).toEqual(["started"]);
    expect(model.lease?.spec).toMatchObject({ holderIdentity: "two", leaseTransitions: 1 });
  });

  test("a dead leader is replaced after the lease duration, not before, however wrong its wall clock is", async () => {
    for (const wallOffsetMs of [-86_400_000, 0, 86_400_000]) {
      const world = new FakeClock();
      const model = new LeaseModel();
      const one = candidate(model, new SimulatedProcess(world, wallOffsetMs), "one");
      const two = candidate(model, new SimulatedProcess(world, 0), "two");
      await world.advance(30_000);
      const [leader, follower] = one.log.length > 0 ? [one, two] : [two, one];
      leader.process.stop();
      // The record was renewed up to 2 s ago, is seen up to 4.4 s from now, and looked at again every 2 to 4.4 s.
      await world.advance(15_000 - 2_000 - 1);
      expect(follower.log).toEqual([]);
      await world.advance(2_000 + 4_400 + 4_400 + 1);
      expect(follower.log).toEqual(["started"]);
    }
  });

  test("a leader that was stopped and wakes up has lost, before it renews or writes anything", async () => {
    const world = new FakeClock();
    const model = new LeaseModel();
    const one = candidate(model, new SimulatedProcess(world, 0), "one");
    await world.advance(3_000);
    one.process.stop();
    await world.advance(10_000);
    expect(() => one.elector.assertLeading()).toThrow("not the leader");
    one.process.continue();
    await world.advance(0);
    expect(one.log).toEqual(["started", "lost"]);
    await one.running;
  });

  test("an API server that is away for less than the renew deadline changes nothing", async () => {
    const world = new FakeClock();
    const model = new LeaseModel();
    let fault: Fault = "none";
    const one = candidate(model, new SimulatedProcess(world, 0), "one", () => fault);
    await world.advance(4_000);
    fault = "lost";
    await world.advance(7_000);
    fault = "none";
    await world.advance(30_000);
    expect(one.log).toEqual(["started"]);
    fault = "lost";
    await world.advance(10_000);
    expect(one.log).toEqual(["started", "lost"]);
  });

  test("a Lease that someone deletes is made anew by its holder", async () => {
    const world = new FakeClock();
    const model = new LeaseModel();
    const one = candidate(model, new SimulatedProcess(world, 0), "one");
    await world.advance(4_000);
    model.lease = undefined;
    await world.advance(5_000);
    expect(model.lease).toMatchObject({ spec: { holderIdentity: "one" } });
    expect(one.log).toEqual(["started"]);
  });

  test("a Lease that someone gives to another holder is lost at once", async () => {
    const world = new FakeClock();
    const model = new LeaseModel();
    const one = candidate(model, new SimulatedProcess(world, 0), "one");
    await world.advance(4_000);
    model.lease = {
      metadata: { namespace: "ns", name: "lease", resourceVersion: "99" },
      spec: { holderIdentity: "two", renewTime: "x", leaseDurationSeconds: 15 },
    };
    await world.advance(4_000);
    expect(one.log).toEqual(["started", "lost"]);
    expect(model.lease.spec?.holderIdentity).toBe("two");
  });

  test("a renewal whose answer was lost is no loss", async () => {
    const world = new FakeClock();
    const model = new LeaseModel();
    const faults: Fault[] = ["none", "none", "answerLost"];
    const one = candidate(model, new SimulatedProcess(world, 0), "one", () => faults.shift() ?? "none");
    await world.advance(60_000);
    expect(one.log).toEqual(["started"]);
  });

  test("timing that cannot be safe is refused", () => {
    const process = new SimulatedProcess(new FakeClock(), 0);
    const client = new LeaseModel().client(
      process,
      () => "none",
      () => 0,
    );
    const options = { client, ...names, identity: "one", logger: silent, clock: process };
    expect(() => new LeaderElector({ ...options, leaseDurationMs: 10_000, renewDeadlineMs: 10_000 })).toThrow(
      RangeError,
    );
  });
});

const worldStep = fc.record({
  ms: fc.integer({ min: 0, max: 9_000 }),
  stop: fc.option(fc.nat(2), { freq: 3 }),
  resume: fc.option(fc.nat(2), { freq: 2 }),
  fault: fc.constantFrom<Fault>("none", "none", "none", "lost", "answerLost"),
  faulty: fc.nat(2),
  latencyMs: fc.integer({ min: 0, max: 2_400 }),
});

test("whatever is stopped, lost or slow: never two leaders, and one again when all is well", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(worldStep, { maxLength: 25 }),
      fc.infiniteStream(fc.double({ min: 0, max: 0.99, noNaN: true })),
      async (steps, randoms) => {
        const world = new FakeClock();
        const model = new LeaseModel();
        const net = { fault: "none" as Fault, faulty: 0, latencyMs: 0 };
        const random = () => randoms.next().value ?? 0;
        const launch = (index: number) => {
          const process = new SimulatedProcess(world, (index - 1) * 3_600_000);
          const client = model.client(
            process,
            () => (net.faulty === index ? net.fault : "none"),
            () => net.latencyMs,
          );
          return start(
            new LeaderElector({
              client,
              ...names,
              identity: `p${index}.${world.monotonic()}`,
              logger: silent,
              clock: process,
              random,
            }),
            process,
          );
        };
        const candidates = [0, 1, 2].map(launch);
        const run = async (ms: number) => {
          for (let left = ms; left > 0; left -= 250) {
            await world.advance(Math.min(250, left));
            expect(candidates.filter(({ elector }) => elector.isLeading()).length).toBeLessThanOrEqual(1);
            // A process that lost the leadership ends and is started again, as a pod is.
            for (const [index, { log }] of candidates.entries())
              if (log.includes("lost")) candidates[index] = launch(index);
          }
        };
        for (const { ms, stop, resume, ...faults } of steps) {
          Object.assign(net, faults);
          if (stop !== null) candidates[stop]?.process.stop();
          if (resume !== null) candidates[resume]?.process.continue();
          await run(ms);
        }
        Object.assign(net, { fault: "none", latencyMs: 0 });
        for (const { process } of candidates) process.continue();
        await run(30_000);
        expect(candidates.filter(({ elector }) => elector.isLeading())).toHaveLength(1);
      },
    ),
    { numRuns: 60 },
  );
});
