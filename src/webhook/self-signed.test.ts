// Several replicas at one Secret and one configuration, interleaved call by call, stopped and started between any two
// of them, with API servers that learn of a new caBundle late: nobody is ever served a certificate that a caller may
// not trust yet, or no more. What real servers do with it: test/integration/webhook-certificates.test.ts.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Cluster, isTrusted, periods, Puppet, secondMs, silent } from "../../test/gen/webhook-replicas.ts";
import { bundleOf, decodeState } from "./certificate-state.ts";
import { type SecretStore, selfSigned } from "./self-signed.ts";
import type { ServingPair } from "./serving-certificate.ts";

/** No replica is held up for longer: a bound that retireMs is chosen by. */
const longestStallMs = 8 * secondMs;

/** What happens next: a replica goes on, is replaced by a new process, or time passes. */
type Event = { readonly on: number } | { readonly crash: number } | { readonly passMs: number };

const replicas = 3;
const replica = fc.nat({ max: replicas - 1 });
const events = fc.array(
  fc.oneof(
    { weight: 30, arbitrary: fc.record({ on: replica }) },
    { weight: 1, arbitrary: fc.record({ crash: replica }) },
    { weight: 8, arbitrary: fc.record({ passMs: fc.integer({ min: 100, max: 2_000 }) }) },
  ),
  { minLength: 400, maxLength: 800, size: "max" },
);

async function play(cluster: Cluster, puppets: Puppet[], sequence: readonly Event[], check: () => void): Promise<void> {
  for (const event of sequence) {
    if ("on" in event) await puppets[event.on]?.advance();
    else if ("crash" in event) puppets[event.crash] = new Puppet(cluster);
    else await pass(cluster, puppets, event.passMs, check);
    check();
  }
}

/** Time passes; who has been held up for too long goes on, and who is due looks. */
async function pass(cluster: Cluster, puppets: readonly Puppet[], ms: number, check: () => void): Promise<void> {
  cluster.now += ms;
  for (const puppet of puppets) {
    const isLate = (since: number) => cluster.now - since > longestStallMs;
    if (puppet.lookingSince === undefined ? isLate(puppet.nextLook) : isLate(puppet.lookingSince)) {
      await puppet.advance();
      await puppet.finish();
      check();
    }
  }
}

/** A cluster in which one replica has begun. */
async function begun(): Promise<{ cluster: Cluster; puppets: Puppet[] }> {
  const cluster = new Cluster();
  const first = new Puppet(cluster);
  for (let looks = 0; looks < 2; looks += 1) {
    await first.advance();
    await first.finish();
  }
  // The installation is new: no API server holds the empty bundle any more.
  cluster.past.length = 0;
  return { cluster, puppets: [first, ...Array.from({ length: replicas - 1 }, () => new Puppet(cluster))] };
}

test("whatever the interleaving and whoever stops: what is served is trusted by every API server", {
  timeout: 60_000,
}, async () => {
  let rotations = 0;
  await fc.assert(
    fc.asyncProperty(events, async (sequence) => {
      const { cluster, puppets } = await begun();
      const seen = new Set<string>();
      const check = () => {
        const served = puppets.map((puppet) => puppet.served).filter((pair) => pair !== undefined);
        for (const pair of served) {
          seen.add(pair.cert);
          if (!cluster.bundlesInUse().every((bundle) => isTrusted(pair, bundle))) throw new Error("a call would fail");
        }
      };
      await play(cluster, puppets, sequence, check);
      rotations += seen.size - 1;
    }),
    { numRuns: 15, seed: 1, endOnFailure: true },
  );
  // Or it would have shown nothing.
  expect(rotations).toBeGreaterThan(15);
});

test("a replica that was held up does not undo what the others did meanwhile, wherever it stood", async () => {
  for (const calls of [1, 2, 3]) {
    const { cluster, puppets } = await begun();
    const [late, other] = puppets as [Puppet, Puppet];
    // Both serve the first pair; then somebody resets caBundle, so that the late one has something to write.
    for (const puppet of [other, late]) {
      cluster.now += secondMs;
      await puppet.advance();
      await puppet.finish();
    }
    const before = late.served;
    cluster.setBundle("");
    cluster.now += secondMs;
    for (let call = 0; call < calls; call += 1) await late.advance();
    while (other.served?.cert === before?.cert) {
      cluster.now += secondMs;
      await other.advance();
      await other.finish();
    }
    await late.finish();
    expect(isTrusted(other.served as ServingPair, cluster.bundle)).toBe(true);
  }
});

test("whatever happened, replicas that are let go come to rest with one pair, and with its authority alone", {
  timeout: 60_000,
}, async () => {
  const disturbances: ReadonlyArray<(cluster: Cluster) => void> = [
    (cluster) => cluster.setBundle(""),
    (cluster) => {
      cluster.secret = undefined;
    },
    (cluster) => {
      const data = cluster.secret?.data ?? {};
      cluster.secret = { data: { ...data, "tls.key": "" }, version: cluster.now };
    },
  ];
  const disturbance = fc.constantFrom(...disturbances);
  await fc.assert(
    fc.asyncProperty(events, disturbance, events, async (before, disturb, after) => {
      const { cluster, puppets } = await begun();
      await play(cluster, puppets, before.slice(0, 200), () => {});
      disturb(cluster);
      await play(cluster, puppets, after.slice(0, 200), () => {});
      // Long enough for a rotation to end, too short for the next one to begin and not to end.
      const restAt = () => {
        const state = decodeState(cluster.secret?.data ?? {});
        return state !== undefined && state.next === undefined && state.previousCa === undefined && state;
      };
      for (let turn = 0; turn < 60; turn += 1) {
        cluster.now += secondMs;
        for (const puppet of puppets) {
          await puppet.advance();
          await puppet.finish();
        }
        const state = restAt();
        if (state && cluster.bundle === bundleOf(state) && turn > 2) break;
      }
      const state = restAt();
      if (!state) throw new Error("the rotation has not ended");
      expect(cluster.bundle).toBe(state.serving.ca);
      expect(puppets.map(({ served }) => served?.cert)).toEqual(puppets.map(() => state.serving.cert));
    }),
    { numRuns: 15, seed: 1, endOnFailure: true },
  );
});

test("a Secret that is deleted or broken: calls go on with what is in memory until a new pair has been announced", async () => {
  for (const data of [undefined, {}, { "tls.crt": "", "tls.key": "" }]) {
    const { cluster, puppets } = await begun();
    const before = puppets[0]?.served;
    cluster.secret = data && { data, version: 0 };
    const pairs = new Set<string>();
    for (let turn = 0; turn < 30; turn += 1) {
      cluster.now += secondMs;
      for (const puppet of puppets) {
        await puppet.advance();
        await puppet.finish();
        if (puppet.served === undefined) continue;
        pairs.add(puppet.served.cert);
        for (const bundle of cluster.bundlesInUse()) expect(isTrusted(puppet.served, bundle)).toBe(true);
      }
    }
    expect([...pairs][0]).toBe(before?.cert);
    expect(pairs.size).toBe(2);
  }
});

test("a Secret is deleted, and a new process makes another: who has served goes on with what is trusted", {
  timeout: 60_000,
}, async () => {
  const steps = fc.array(
    fc.oneof(
      { weight: 20, arbitrary: fc.record({ on: replica }) },
      { weight: 8, arbitrary: fc.record({ passMs: fc.integer({ min: 100, max: 1_000 }) }) },
    ),
    { minLength: 100, maxLength: 300, size: "max" },
  );
  let switched = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      const { cluster, puppets } = await begun();
      for (const puppet of puppets.slice(0, 2)) {
        cluster.now += secondMs;
        await puppet.advance();
        await puppet.finish();
      }
      const before = puppets[0]?.served?.cert;
      cluster.secret = undefined;
      const fresh = new Puppet(cluster);
      puppets[2] = fresh;
      // Its Secret is there before the others look.
      while (cluster.secret === undefined) await fresh.advance();
      const check = () => {
        for (const { served } of puppets.slice(0, 2)) {
          if (served === undefined) throw new Error("nothing is served");
          if (!cluster.bundlesInUse().every((bundle) => isTrusted(served, bundle)))
            throw new Error("a call would fail");
        }
      };
      await play(cluster, puppets, sequence, check);
      if (puppets[0]?.served?.cert !== before) switched += 1;
    }),
    { numRuns: 30, seed: 1, endOnFailure: true },
  );
  // Or it would have shown nothing.
  expect(switched).toBeGreaterThan(5);
});

test("a Secret of somebody else is left alone, told of once, and no reason to stop looking", async () => {
  const cluster = new Cluster();
  const { secrets, configurations } = cluster.ports(() => Promise.resolve());
  const told: unknown[] = [];
  let looks = 0;
  let isOurs = false;
  cluster.secret = { data: { "tls.crt": "another's" }, version: 1 };
  const logger = { ...silent, warn: ({ error }: { error?: unknown }) => told.push(error) };
  const read: SecretStore["read"] = async (signal) => {
    looks += 1;
    // Somebody puts it in order.
    isOurs = looks > 3;
    const secret = await secrets.read(signal);
    return secret && { ...secret, isOurs };
  };
  const clock = { ...cluster.clock, sleep: () => new Promise<void>((resolve) => setImmediate(resolve)) };
  const certificate = selfSigned({
    names: ["hook"],
    secrets: { ...secrets, read },
    configurations,
    clock,
    logger,
    periods,
  });
  const pair = await certificate.first(new AbortController().signal);
  await certificate.close();
  expect(looks).toBeGreaterThan(3);
  expect(told.map(String)).toEqual([expect.stringContaining("Secret ns/certificate was not made by this webhook")]);
  expect(pair.cert).toBe(cluster.secret?.data["tls.crt"]);
});

test("without rights to the configuration there is at least something to serve", async () => {
  const cluster = new Cluster();
  const { secrets, configurations } = cluster.ports(() => Promise.resolve());
  const read = () => Promise.reject(new Error("forbidden"));
  const clock = { ...cluster.clock, sleep: () => new Promise<void>((resolve) => setImmediate(resolve)) };
  const options = {
    names: ["hook"],
    secrets,
    configurations: { ...configurations, read },
    clock,
    logger: silent,
    periods,
  };
  const certificate = selfSigned(options);
  expect((await certificate.first(new AbortController().signal)).cert).toBe(cluster.secret?.data["tls.crt"]);
  await certificate.close();
});

test("waiting for a first pair ends with the signal, and with being closed", async () => {
  const never: SecretStore = {
    ...new Cluster().ports(() => Promise.resolve()).secrets,
    read: () => Promise.reject(new Error("down")),
  };
  const cluster = new Cluster();
  const { configurations } = cluster.ports(() => Promise.resolve());
  const clock = { ...cluster.clock, sleep: () => new Promise<void>((resolve) => setImmediate(resolve)) };
  const open = () => selfSigned({ names: ["hook"], secrets: never, configurations, clock, logger: silent, periods });
  const one = open();
  await expect(one.first(AbortSignal.abort(new Error("stop")))).rejects.toThrow("stop");
  await one.close();
  const two = open();
  const waiting = two.first(new AbortController().signal);
  await Promise.all([expect(waiting).rejects.toThrow("aborted"), two.close()]);
});
