// What comes after the first sync: restarts, resyncs, edits — how long they take and what the servers are asked.
import type { Calls, Cluster } from "./cluster.ts";
import type { Population } from "./population.ts";
import { Subject } from "./subject.ts";
import { epochNow, pause, until } from "./time.ts";
import type { Usage } from "./usage.ts";
import { differenceOf, readsOf, settled, untilAll, writesOf } from "./waiting.ts";

/** A start of the operator in front of objects that are in sync. */
export interface Restart {
  readonly msToReady: number;
  readonly msToVerified: number;
  readonly calls: Calls & {
    readonly reads: number;
    readonly writes: number;
    /** Whatever else Vault was asked: about its mount, the token. */
    readonly others: number;
  };
  readonly usage: Usage;
}

export async function restart(cluster: Cluster, population: Population): Promise<Restart> {
  await cluster.audit.reset();
  const before = await cluster.calls();
  const subject = await Subject.start(cluster, { place: population.place, flags: ["--sync-period-seconds=0"] });
  try {
    const msToReady = await subject.ready();
    const last = await untilAll(subject, population.count, () => readsOf(cluster, population));
    const { calls } = await settled(cluster, before);
    const [reads, writes] = await Promise.all([readsOf(cluster, population), writesOf(cluster, population)]);
    const others = (await cluster.audit.requests("")).length - reads.length - writes.length;
    return {
      msToReady,
      msToVerified: last - subject.startedAt,
      calls: { ...calls, reads: reads.length, writes: writes.length, others },
      usage: subject.usage(),
    };
  } finally {
    await subject.stop();
  }
}

/** What resyncs ask. */
export interface Resync {
  readonly periods: number;
  readonly readsPerObjectAndPeriod: number;
  /** Reads of one object that are closer than half a period belong to one refresh. */
  readonly readsPerRefresh: number;
  readonly calls: Calls & { readonly writes: number };
}

/** Watches the refreshes of three periods, once each object has had its first. */
export async function resync(cluster: Cluster, population: Population, periodSeconds: number): Promise<Resync> {
  const flags = [`--sync-period-seconds=${periodSeconds}`];
  await cluster.audit.reset();
  const subject = await Subject.start(cluster, { place: population.place, flags });
  try {
    // The first look at all, then one for each anywhere in the period.
    await untilAll(subject, population.count, () => readsOf(cluster, population));
    await pause(periodSeconds * 1_000 + 1_000);
    await cluster.audit.reset();
    const before = await cluster.calls();
    const periods = 3;
    await pause(periods * periodSeconds * 1_000);
    const [reads, writes] = await Promise.all([readsOf(cluster, population), writesOf(cluster, population)]);
    // Without waiting for quiet: there is always something to refresh.
    const calls = differenceOf(await cluster.calls(), before);
    return {
      periods,
      readsPerObjectAndPeriod: reads.length / population.count / periods,
      readsPerRefresh: reads.length / burstsOf(reads, (periodSeconds * 1_000) / 2),
      calls: { ...calls, writes: writes.length },
    };
  } finally {
    await subject.stop();
  }
}

/** Edits one after the other, nothing else going on. */
export async function idleEdits(
  cluster: Cluster,
  population: Population,
  count: number,
): Promise<{ readonly latencies: readonly number[]; readonly calls: Calls & { readonly vault: number } }> {
  await cluster.audit.reset();
  const subject = await Subject.start(cluster, { place: population.place, flags: ["--sync-period-seconds=0"] });
  try {
    await untilAll(subject, population.count, () => readsOf(cluster, population));
    await settled(cluster, await cluster.calls());
    await cluster.audit.reset();
    const before = await cluster.calls();
    const sent: Sent[] = [];
    for (let turn = 0; turn < count; turn += 1) {
      sent.push(await edit(population, turn % population.count));
      const look = async () => {
        subject.assertAlive();
        return (await writesOf(cluster, population)).length > turn || undefined;
      };
      await until("the edit in Vault", look, { everyMs: 5 });
    }
    const latencies = await latenciesOf(cluster, population, sent);
    const { calls } = await settled(cluster, before);
    return {
      latencies,
      calls: { ...calls, vault: (await cluster.audit.requests(`${population.place.mount}/`)).length },
    };
  } finally {
    await subject.stop();
  }
}

/** Edits at a steady rate while the subject is busy with what its flags make it do. */
export async function busyEdits(
  cluster: Cluster,
  population: Population,
  options: {
    readonly flags: readonly string[];
    readonly perSecond: number;
    readonly seconds: number;
    /** To wait for before the first edit: the first look at all objects, or readiness alone. */
    readonly after: "verified" | "ready";
  },
): Promise<readonly number[]> {
  await cluster.audit.reset();
  const subject = await Subject.start(cluster, { place: population.place, flags: options.flags });
  try {
    await subject.ready();
    if (options.after === "verified") await untilAll(subject, population.count, () => readsOf(cluster, population));
    const sent: Promise<Sent>[] = [];
    const total = Math.round(options.perSecond * options.seconds);
    // Spread over all objects, no object twice.
    const step = Math.max(1, Math.floor(population.count / total));
    for (let turn = 0; turn < total; turn += 1) {
      sent.push(edit(population, turn * step));
      await pause(1_000 / options.perSecond);
    }
    const edits = await Promise.all(sent);
    const edited = new Set(edits.map(({ path }) => path));
    await untilAll(subject, edited.size, async () => {
      return (await writesOf(cluster, population)).filter(({ path }) => edited.has(path));
    });
    return await latenciesOf(cluster, population, edits);
  } finally {
    await subject.stop();
  }
}

/** Start-ups without objects. @returns the ms to readiness of each */
export async function startUps(cluster: Cluster, population: Population, times: number): Promise<readonly number[]> {
  const taken: number[] = [];
  for (let turn = 0; turn < times; turn += 1) {
    const subject = await Subject.start(cluster, { place: population.place });
    taken.push(await subject.ready());
    await subject.stop();
  }
  return taken;
}

/** An edit that was sent. */
interface Sent {
  readonly path: string;
  /** ms since the epoch: before the request to the API server. */
  readonly at: number;
}

async function edit(population: Population, index: number): Promise<Sent> {
  const at = epochNow();
  await population.edit(index);
  return { path: population.writePathOf(index), at };
}

/** From sending the edit to the API server until Vault has written it. */
async function latenciesOf(
  cluster: Cluster,
  population: Population,
  sent: readonly Sent[],
): Promise<readonly number[]> {
  const writes = await writesOf(cluster, population);
  return sent.map((one) => {
    const write = writes.find(({ path, at }) => path === one.path && at >= one.at);
    if (write === undefined) throw new Error(`the edit of ${one.path} never came to Vault`);
    return write.at - one.at;
  });
}

/** How often places were looked at, when looks at one place with less than `gapMs` between them count as one. */
export function burstsOf(reads: readonly { readonly path: string; readonly at: number }[], gapMs: number): number {
  const last = new Map<string, number>();
  let bursts = 0;
  for (const { path, at } of reads) {
    if (at - (last.get(path) ?? Number.NEGATIVE_INFINITY) >= gapMs) bursts += 1;
    last.set(path, at);
  }
  return bursts;
}
