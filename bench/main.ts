// `make bench`: sets up objects on the real servers, measures the operator on them, and prints what it found next to what
// it should find. Nothing is measured that a test depends on; a missed target is told, and fails only with --check.
import { mkdirSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { resolveToolchain } from "../tools/toolchain/resolve.ts";
import { Cluster } from "./cluster.ts";
import { latencyOf, median } from "./stats.ts";
import { firstSync, type FirstSync, floor } from "./first-sync.ts";
import { busyEdits, idleEdits, restart, resync, startUp } from "./life.ts";
import { Population } from "./population.ts";
import { profileSummary } from "./profile.ts";
import { type Figure, rounded, table, verdict } from "./report.ts";

const kmsLatencyMs = 10;
/** Of the operator's default for --max-concurrent-reconciles. */
const concurrency = 16;

const usage = `make bench ARGS='…'
  --scenario a,b     of: ${["start", "first-sync", "steady", "edits", "scale"].join(", ")} (default: all)
  --objects N        of first-sync, steady and edits (1000)
  --keys N           of each object (5)
  --largest N        of scale, which goes 100, 1000, … up to it (10000)
  --engine v1|v2     of first-sync (v2)
  --rounds N         first-sync: ours and the floor in turns (2)
  --subject COMMAND  first sync by another operator next to ours, on such objects each; {kubeconfig} is replaced
  --profile DIR      first-sync: CPU profiles of our operator, with the top of each
  --quick            small numbers: everything in about two minutes
  --json FILE        where the figures go as JSON (bench-results.json)
  --check            exit code 1 when a target was missed`;

const { values: given } = parseArgs({
  options: {
    scenario: { type: "string", default: "start,first-sync,steady,edits,scale" },
    objects: { type: "string" },
    keys: { type: "string", default: "5" },
    largest: { type: "string" },
    engine: { type: "string", default: "v2" },
    rounds: { type: "string", default: "2" },
    subject: { type: "string" },
    profile: { type: "string" },
    quick: { type: "boolean", default: false },
    json: { type: "string", default: "bench-results.json" },
    check: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

interface Settings {
  readonly objects: number;
  readonly keys: number;
  readonly largest: number;
  readonly engine: "v1" | "v2";
  readonly rounds: number;
  readonly quick: boolean;
  readonly subject: string | undefined;
  readonly profile: string | undefined;
}

const settings: Settings = {
  objects: Number(given.objects ?? (given.quick ? 200 : 1_000)),
  keys: Number(given.keys),
  largest: Number(given.largest ?? (given.quick ? 1_000 : 10_000)),
  engine: given.engine === "v1" ? "v1" : "v2",
  rounds: given.quick ? 1 : Number(given.rounds),
  quick: given.quick,
  subject: given.subject,
  profile: given.profile,
};

const figures: Figure[] = [];

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function found(figure: Figure): void {
  figures.push(figure);
  const { name, value, unit, note } = figure;
  say(
    `  ${name}: ${rounded(value)} ${unit}${note === undefined ? "" : ` (${note})`} ${verdict(figure) ?? ""}`.trimEnd(),
  );
}

const scenarios: Readonly<Record<string, (cluster: Cluster) => Promise<void>>> = {
  async start(cluster) {
    const population = await Population.create(cluster, "v2", settings.keys);
    await startUp(cluster, population, 1);
    const ms = await startUp(cluster, population, 5);
    found({ name: "start-up to ready, no objects", value: ms, unit: "ms", atMost: 1_000, note: "median of 5" });
  },

  async "first-sync"(cluster) {
    await warmUp(cluster);
    const ratios: number[] = [];
    for (let round = 0; round < settings.rounds; round += 1) ratios.push(...(await firstSyncRound(cluster, round)));
    if (ratios.length > 0) {
      found({
        name: "first sync, ratio to the floor",
        value: median(ratios),
        unit: "x",
        atMost: 1.5,
        note: `${settings.objects} objects x ${settings.keys} keys; each round: ${ratios.map(rounded).join(", ")}`,
      });
    }
  },

  ours: (cluster) => firstSyncOf(cluster, "ours"),
  subject: (cluster) => firstSyncOf(cluster, "the other", settings.subject),

  async steady(cluster) {
    const population = await synced(cluster, settings.objects);
    const again = await restart(cluster, population);
    const { reads, writes, kms, kubeWrites } = again.calls;
    exactly("restart: Vault reads per object", reads / population.count, 1);
    exactly("restart: KMS calls, writes to Vault, writes to kube", kms + writes + kubeWrites, 0);
    const refreshed = await resync(cluster, population, settings.quick ? 5 : 20);
    const { calls } = refreshed;
    found({
      name: "resync: Vault reads per object and period",
      value: refreshed.readsPerObjectAndPeriod,
      unit: "",
      atMost: 1.12,
      note: `${refreshed.periods} periods that are shortened by up to 10 %; of one object never closer than ${rounded(refreshed.closestReads)} periods`,
    });
    exactly("resync: KMS calls, writes to Vault, writes to kube", calls.kms + calls.writes + calls.kubeWrites, 0);
  },

  async edits(cluster) {
    const population = await synced(cluster, settings.objects);
    const count = settings.quick ? 50 : 300;
    const { latencies, calls } = await idleEdits(cluster, population, count);
    const latency = latencyOf(latencies);
    found({ name: "edit to Vault, idle, p50", value: latency.p50, unit: "ms", atMost: 50, note: `${count} edits` });
    found({ name: "edit to Vault, idle, p99", value: latency.p99, unit: "ms", atMost: 200 });
    const each = (total: number) => rounded(total / count);
    found({
      name: "edit: calls per object",
      value: (calls.kms + calls.vault + calls.kubeWrites) / count - 1,
      unit: "",
      note: `KMS ${each(calls.kms)}, Vault ${each(calls.vault)}, kube ${each(calls.kubeWrites - count)}`,
    });
  },

  async scale(cluster) {
    const population = await Population.create(cluster, "v2", settings.keys);
    for (let size = 100; size <= settings.largest; size *= 10) await scaleTo(cluster, population, size);
    const size = population.count;
    const again = await restart(cluster, population);
    const many = `${size} objects in sync`;
    found({ name: `restart, ${many}: ready`, value: again.msToReady, unit: "ms", atMost: 5_000 });
    found({ name: `restart, ${many}: all verified`, value: again.msToVerified, unit: "ms", atMost: 15_000 });
    found({ name: `restart, ${many}: RSS`, value: again.usage.rssMiB, unit: "MiB", atMost: 256 });
    const seconds = settings.quick ? 10 : 60;
    const period = settings.quick ? 20 : 120;
    const flags = [`--sync-period-seconds=${period}`];
    const refreshing = latencyOf(
      await busyEdits(cluster, population, { flags, perSecond: 10, seconds, after: "verified" }),
    );
    found({
      name: `edit to Vault while ${size} refresh over ${period} s, p99`,
      value: refreshing.p99,
      unit: "ms",
      atMost: 200,
      note: `${refreshing.count} edits, 10 a second, p50 ${rounded(refreshing.p50)} ms`,
    });
    const latencies: number[] = [];
    for (let turn = 0; turn < (settings.quick ? 1 : 3); turn += 1) {
      const pass = {
        flags: ["--sync-period-seconds=0"],
        perSecond: 10,
        seconds: (0.7 * again.msToVerified) / 1_000,
        after: "ready" as const,
      };
      latencies.push(...(await busyEdits(cluster, population, pass)));
    }
    const starting = latencyOf(latencies);
    found({
      name: `edit to Vault during the restart pass over ${size}, p99`,
      value: starting.p99,
      unit: "ms",
      atMost: 500,
      note: `${starting.count} edits, 10 a second, p50 ${rounded(starting.p50)} ms`,
    });
  },
};

function exactly(name: string, value: number, wanted: number): void {
  found({ name, value, unit: "", atMost: wanted, ...(value < wanted && { note: `fewer than ${wanted}` }) });
}

async function synced(cluster: Cluster, objects: number): Promise<Population> {
  const population = await Population.create(cluster, "v2", settings.keys);
  await population.grow(objects);
  await firstSync(cluster, population, { flags: ["--sync-period-seconds=0"] });
  return population;
}

/** Servers are faster once they have done a thing. */
async function warmUp(cluster: Cluster): Promise<void> {
  const population = await synced(cluster, 100);
  await floor(
    cluster,
    { ...settings, engine: "v2", objects: 100 },
    { kmsBy: "sdk", concurrency, status: await statusOf(cluster, population) },
  );
}

async function statusOf(cluster: Cluster, population: Population): Promise<object> {
  const apiVersion = "k8s.patoarvizu.dev/v1alpha1";
  const object = await cluster.kube.get({
    apiVersion,
    plural: "kmsvaultsecrets",
    namespace: population.place.namespace,
    name: population.nameOf(0),
  });
  return object.status;
}

/** @returns the ratio to the floor, where there is one */
async function firstSyncRound(cluster: Cluster, round: number): Promise<readonly number[]> {
  const { objects, keys, engine, profile } = settings;
  say(`round ${round + 1}`);
  const population = await Population.create(cluster, engine, keys);
  await population.grow(objects);
  const ours = await firstSync(cluster, population, {
    flags: ["--sync-period-seconds=0"],
    ...(profile !== undefined && { profileDirectory: profile }),
  });
  if (engine === "v1") {
    // The floor knows the calls of KV v2 alone.
    tellFirstSync("ours", ours);
    return [];
  }
  const status = await statusOf(cluster, population);
  const sdk = await floor(cluster, settings, { kmsBy: "sdk", concurrency, status });
  const bare = await floor(cluster, settings, { kmsBy: "http", concurrency, status });
  tellFirstSync("ours", ours);
  const perSecond = (ms: number) => `${rounded((objects * 1_000) / ms)} objects/s`;
  found({
    name: "floor, AWS SDK, to the last write",
    value: sdk.msToLastWrite,
    unit: "ms",
    note: `${perSecond(sdk.msToLastWrite)}, CPU ${rounded(sdk.cpuMs)} ms, ${rounded(sdk.cpuMsPerDecrypt)} ms a Decrypt`,
  });
  found({
    name: "floor, bare HTTP, to the last write",
    value: bare.msToLastWrite,
    unit: "ms",
    note: `${perSecond(bare.msToLastWrite)}, CPU ${rounded(bare.cpuMs)} ms, ${rounded(bare.cpuMsPerDecrypt)} ms a Decrypt`,
  });
  return [ours.ms / sdk.msToLastWrite];
}

function tellFirstSync(who: string, { ms, msFromStart, calls, usage: used }: FirstSync): void {
  const { objects } = settings;
  const each = (count: number) => rounded(count / objects);
  found({
    name: `first sync, ${who}, to the last write`,
    value: ms,
    unit: "ms",
    note: `${rounded((objects * 1_000) / ms)} objects/s; ${rounded(msFromStart)} ms from the start of the process; CPU ${rounded(used.cpuSeconds)} s, RSS ${rounded(used.rssMiB)} MiB`,
  });
  found({
    name: `first sync, ${who}: calls per object`,
    value: (calls.kms + calls.vault + calls.kubeWrites) / objects,
    unit: "",
    note: `KMS ${each(calls.kms)}, Vault ${each(calls.vault)}, kube writes ${each(calls.kubeWrites)}`,
  });
}

/** On servers of its own: the original works on every namespace, whatever it is told. */
async function firstSyncOf(cluster: Cluster, who: string, command?: string): Promise<void> {
  const population = await Population.create(cluster, settings.engine, settings.keys);
  await population.grow(settings.objects);
  const flags = ["--sync-period-seconds=0"];
  tellFirstSync(who, await firstSync(cluster, population, command === undefined ? { flags } : { command }));
}

async function scaleTo(cluster: Cluster, population: Population, size: number): Promise<void> {
  const added = size - population.count;
  await population.grow(size);
  const { ms, usage: used } = await firstSync(cluster, population, {
    fresh: added,
    flags: ["--sync-period-seconds=0"],
  });
  found({
    name: `${size} objects, RSS after sync`,
    value: used.rssMiB,
    unit: "MiB",
    ...(size >= 10_000 && { atMost: 256 }),
    note: `peak ${rounded(used.peakRssMiB)} MiB; ${added} of them new in ${rounded(ms / 1_000)} s, CPU ${rounded(used.cpuSeconds)} s`,
  });
}

async function main(): Promise<number> {
  if (given.help) {
    say(usage);
    return 0;
  }
  const chosen = [...given.scenario.split(","), ...(settings.subject === undefined ? [] : ["ours", "subject"])];
  const unknown = chosen.filter((name) => scenarios[name] === undefined);
  if (unknown.length > 0) throw new Error(`no scenario ${unknown.join(", ")}\n${usage}`);
  if (settings.profile !== undefined) mkdirSync(settings.profile, { recursive: true });
  const programs = await resolveToolchain(["etcd", "kube-apiserver", "bao"], say);
  for (const name of chosen) {
    say(name);
    // Servers of its own: what a scenario left behind is no part of the next.
    const cluster = await Cluster.start(programs, kmsLatencyMs);
    try {
      await scenarios[name]?.(cluster);
    } finally {
      await cluster.stop();
    }
  }
  say(`\n${table(figures)}`);
  if (settings.profile !== undefined) say(`\n${profileSummary(settings.profile)}`);
  writeFileSync(given.json, `${JSON.stringify({ settings, figures }, undefined, 2)}\n`);
  const missed = figures.some((figure) => verdict(figure) === "MISSED");
  return given.check && missed ? 1 : 0;
}

process.exit(await main());
