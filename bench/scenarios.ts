// What can be measured, by name: each scenario sets its objects up, measures, and tells its figures next to what they
// should be.
import { firstSync } from "./first-sync.ts";
import { busyEdits, idleEdits, type Restart, restart, resync, startUps } from "./life.ts";
import { Population } from "./population.ts";
import { rounded } from "./report.ts";
import { type Bench, firstSyncOf, firstSyncScenario, withoutResync } from "./speed.ts";
import { latencyOf, median } from "./stats.ts";
import { webhookScenario } from "./webhook.ts";

/** Every scenario. */
export const scenarios: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  start: startScenario,
  "first-sync": firstSyncScenario,
  steady: steadyScenario,
  edits: editsScenario,
  scale: scaleScenario,
  webhook: webhookScenario,
  // These two come with --subject.
  ours: (bench) => firstSyncOf(bench, "ours"),
  subject: (bench) => firstSyncOf(bench, "the other", bench.settings.subject),
};

async function startScenario({ cluster, settings, found }: Bench): Promise<void> {
  const population = await Population.create(cluster, "v2", settings.keys);
  // The first start fills Node's compile cache.
  await startUps(cluster, population, 1);
  const taken = await startUps(cluster, population, 5);
  const note = `median of ${taken.length}, best ${rounded(Math.min(...taken))} ms`;
  found({ name: "start-up to ready, no objects", value: median(taken), unit: "ms", atMost: 1_000, note });
}

async function steadyScenario(bench: Bench): Promise<void> {
  const { cluster, settings, found } = bench;
  const population = await synced(bench);
  const { reads, writes, kms, kubeWrites, kubeReads, others } = (await restart(cluster, population)).calls;
  found({
    name: "restart: Vault reads per object",
    value: reads / population.count,
    unit: "",
    exactly: 1,
    note: `in all besides: ${others} requests to Vault, ${kubeReads} reads of kube`,
  });
  const writesOfRestart = kms + writes + kubeWrites;
  found({ name: "restart: KMS calls, writes to Vault, writes to kube", value: writesOfRestart, unit: "", exactly: 0 });
  const { calls, ...refreshed } = await resync(cluster, population, settings.quick ? 5 : 20);
  found({ name: "resync: Vault reads per object", value: refreshed.readsPerRefresh, unit: "", exactly: 1 });
  found({
    name: "resync: Vault reads per object and period",
    value: refreshed.readsPerObjectAndPeriod,
    unit: "",
    atMost: 1.12,
    note: `over ${refreshed.periods} periods, each shortened by up to 10 %`,
  });
  const writesOfResync = calls.kms + calls.writes + calls.kubeWrites;
  found({ name: "resync: KMS calls, writes to Vault, writes to kube", value: writesOfResync, unit: "", exactly: 0 });
}

async function editsScenario(bench: Bench): Promise<void> {
  const { cluster, settings, found } = bench;
  const population = await synced(bench);
  const count = settings.quick ? 50 : 300;
  const { latencies, calls } = await idleEdits(cluster, population, count);
  const latency = latencyOf(latencies);
  const note = `${count} edits, one after the other, from sending the edit to the API server`;
  found({ name: "edit to Vault, idle, p50", value: latency.p50, unit: "ms", atMost: 50, note });
  found({ name: "edit to Vault, idle, p99", value: latency.p99, unit: "ms", atMost: 200 });
  const each = (total: number) => rounded(total / count);
  // The edits themselves are writes to kube too.
  const kubeWrites = calls.kubeWrites - count;
  found({
    name: "edit: calls per object",
    value: (calls.kms + calls.vault + kubeWrites) / count,
    unit: "",
    note: `KMS ${each(calls.kms)}, Vault ${each(calls.vault)}, kube writes ${each(kubeWrites)}`,
  });
}

async function scaleScenario(bench: Bench): Promise<void> {
  const { cluster, settings, found } = bench;
  const population = await Population.create(cluster, "v2", settings.keys);
  for (let size = 100; size <= settings.largest; size *= 10) await scaleTo(bench, population, size);
  const again = await restart(cluster, population);
  const many = `${population.count} objects in sync`;
  found({ name: `restart, ${many}: ready`, value: again.msToReady, unit: "ms", atMost: 5_000 });
  found({ name: `restart, ${many}: all verified`, value: again.msToVerified, unit: "ms", atMost: 15_000 });
  const { rssMiB, cpuSeconds } = again.usage;
  const note = `CPU ${rounded(cpuSeconds)} s`;
  found({ name: `restart, ${many}: RSS`, value: rssMiB, unit: "MiB", atMost: 256, note });
  await editsWhileRefreshing(bench, population);
  await editsWhileStarting(bench, population, again);
}

async function scaleTo({ cluster, found }: Bench, population: Population, size: number): Promise<void> {
  const fresh = size - population.count;
  await population.grow(size);
  const { ms, usage } = await firstSync(cluster, population, { fresh, flags: withoutResync });
  found({
    name: `${size} objects, RSS after sync`,
    value: usage.rssMiB,
    unit: "MiB",
    ...(size >= 10_000 && { atMost: 256 }),
    note: `peak ${rounded(usage.peakRssMiB ?? Number.NaN)} MiB; ${fresh} of them new in ${rounded(ms / 1_000)} s, CPU ${rounded(usage.cpuSeconds)} s`,
  });
}

async function editsWhileRefreshing(bench: Bench, population: Population): Promise<void> {
  const [period, seconds] = bench.settings.quick ? [20, 10] : [120, 60];
  const flags = [`--sync-period-seconds=${period}`];
  const options = { flags, perSecond: 10, seconds, after: "verified" as const };
  const what = `edit to Vault while ${population.count} refresh over ${period} s, p99`;
  tellLatency(bench, what, { latencies: await busyEdits(bench.cluster, population, options), atMost: 200 });
}

async function editsWhileStarting(bench: Bench, population: Population, again: Restart): Promise<void> {
  const latencies: number[] = [];
  // Edits make the pass last longer, so that the last ones still fall into it.
  const seconds = (again.msToVerified - again.msToReady) / 1_000;
  const options = { flags: withoutResync, perSecond: 10, seconds, after: "ready" as const };
  for (let turn = 0; turn < (bench.settings.quick ? 1 : 3); turn += 1) {
    latencies.push(...(await busyEdits(bench.cluster, population, options)));
  }
  const what = `edit to Vault during the restart pass over ${population.count}, p99`;
  tellLatency(bench, what, { latencies, atMost: 500 });
}

function tellLatency(
  { found }: Bench,
  name: string,
  { latencies, atMost }: { readonly latencies: readonly number[]; readonly atMost: number },
): void {
  const { p99, p50, max, count } = latencyOf(latencies);
  const note = `${count} edits, 10 a second; p50 ${rounded(p50)} ms, slowest ${rounded(max)} ms`;
  found({ name, value: p99, unit: "ms", atMost, note });
}

/** Objects that are in Vault, with no operator running. */
async function synced({ cluster, settings }: Bench): Promise<Population> {
  const population = await Population.create(cluster, "v2", settings.keys);
  await population.grow(settings.objects);
  await firstSync(cluster, population, { flags: withoutResync });
  return population;
}
