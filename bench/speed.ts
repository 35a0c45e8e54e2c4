// The scenarios of a first sync: ours next to the floor in turns, and ours next to another operator.
import { apiVersion } from "../src/api/kinds.ts";
import type { Cluster } from "./cluster.ts";
import { type FirstSync, firstSync, floor } from "./first-sync.ts";
import { Population } from "./population.ts";
import { type Figure, rounded } from "./report.ts";
import type { Settings } from "./settings.ts";
import { median } from "./stats.ts";

/** What a scenario works with. */
export interface Bench {
  readonly cluster: Cluster;
  readonly settings: Settings;
  /** Takes a figure down. */
  readonly found: (figure: Figure) => void;
  readonly say: (text: string) => void;
}

/** Our own operator's, where nothing shall be looked at twice. */
export const withoutResync = ["--sync-period-seconds=0"];

/** The operator's default for --max-concurrent-reconciles. */
const concurrency = 16;

/** Ours between two floors, in rounds, each on objects of its own. */
export async function firstSyncScenario(bench: Bench): Promise<void> {
  const { settings } = bench;
  const status = await warmUp(bench);
  const ratios: number[] = [];
  for (let round = 0; round < settings.rounds; round += 1) {
    bench.say(` round ${round + 1} of ${settings.rounds}`);
    ratios.push(await firstSyncRound(bench, status));
  }
  bench.found({
    name: "first sync, ratio to the floor",
    value: median(ratios),
    unit: "x",
    atMost: 1.5,
    note: `${settings.objects} objects x ${settings.keys} keys; by round: ${ratios.map(rounded).join(", ")}`,
  });
}

/** First sync by ours, or by another operator. */
export async function firstSyncOf(bench: Bench, who: string, command?: string): Promise<void> {
  const { cluster, settings } = bench;
  const population = await populationOf(bench, settings.objects);
  const subject = command === undefined ? { flags: withoutResync } : { command };
  tellFirstSync(bench, who, await firstSync(cluster, population, subject));
}

async function populationOf({ cluster, settings }: Bench, objects: number): Promise<Population> {
  const population = await Population.create(cluster, settings.engine, settings.keys);
  await population.grow(objects);
  return population;
}

/** Servers are faster once they have done a thing. @returns a status as the operator writes it */
async function warmUp(bench: Bench): Promise<object> {
  const { cluster, settings } = bench;
  const population = await populationOf(bench, 100);
  await firstSync(cluster, population, { flags: withoutResync });
  const { status } = await cluster.kube.get({
    apiVersion,
    plural: "kmsvaultsecrets",
    namespace: population.place.namespace,
    name: population.nameOf(0),
  });
  await floor(cluster, { ...settings, objects: 100 }, { kmsBy: "sdk", concurrency, status });
  return status;
}

/**
 * What comes later finds servers that hold more, so ours stands between two floors.
 * @returns the ratio to their mean
 * @throws Error when the floor was slower: then something else was measured
 */
async function firstSyncRound(bench: Bench, status: object): Promise<number> {
  const earlier = await floorAsRound(bench, "sdk", status);
  const ours = await oursAsRound(bench);
  const later = await floorAsRound(bench, "sdk", status);
  await floorAsRound(bench, "http", status);
  const ratio = (2 * ours) / (earlier + later);
  if (ratio < 1) throw new Error(`ours was faster than the calls alone (${rounded(ratio)}): the machine is not quiet`);
  return ratio;
}

async function oursAsRound(bench: Bench): Promise<number> {
  const { cluster, settings } = bench;
  const { profile: profileDirectory, objects } = settings;
  const population = await populationOf(bench, objects);
  const options = { flags: withoutResync, ...(profileDirectory !== undefined && { profileDirectory }) };
  const ours = await firstSync(cluster, population, options);
  tellFirstSync(bench, "ours", ours);
  return ours.ms;
}

async function floorAsRound({ cluster, settings, found }: Bench, kmsBy: "sdk" | "http", status: object) {
  const { msToLastWrite, ms, cpuMs, cpuMsPerDecrypt } = await floor(cluster, settings, { kmsBy, concurrency, status });
  const perSecond = rounded((settings.objects * 1_000) / msToLastWrite);
  found({
    name: `floor, KMS by ${kmsBy === "sdk" ? "AWS's SDK" : "bare HTTP"}: to the last write`,
    value: msToLastWrite,
    unit: "ms",
    note: `${perSecond} objects/s; ${rounded(ms)} ms to the last status and event; CPU ${rounded(cpuMs / 1_000)} s, ${rounded(cpuMsPerDecrypt)} ms a Decrypt`,
  });
  return msToLastWrite;
}

function tellFirstSync({ settings, found }: Bench, who: string, done: FirstSync): void {
  const { ms, msToLastStatus, msFromStart, calls, usage } = done;
  const { objects } = settings;
  const each = (count: number) => rounded(count / objects);
  found({
    name: `first sync, ${who}: to the last write`,
    value: ms,
    unit: "ms",
    note: `${rounded((objects * 1_000) / ms)} objects/s; ${rounded(msToLastStatus)} ms to the last status and event; ${rounded(msFromStart)} ms from the start of the process; CPU ${rounded(usage.cpuSeconds)} s, RSS ${rounded(usage.rssMiB)} MiB`,
  });
  found({
    name: `first sync, ${who}: calls per object`,
    value: (calls.kms + calls.vault + calls.kubeWrites) / objects,
    unit: "",
    note: `KMS ${each(calls.kms)}, Vault ${each(calls.vault)}, kube writes ${each(calls.kubeWrites)}; kube reads in all ${calls.kubeReads}`,
  });
}
