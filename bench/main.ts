// `make bench`: sets up objects on the real servers, measures the operator on them, and prints what it found next to what
// it should find. Nothing is measured that a test depends on; a missed target is told, and fails only with --check. What
// could not be measured fails always.
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import type { Programs } from "../test/env/stack.ts";
import { resolveToolchain } from "../tools/toolchain/resolve.ts";
import { Cluster } from "./cluster.ts";
import { shareOfOthers, spentSoFar } from "./neighbours.ts";
import { profileSummary } from "./profile.ts";
import { type Figure, rounded, table, underNeighbours, verdict } from "./report.ts";
import { scenarios } from "./scenarios.ts";
import { type Settings, settingsOf, usage } from "./settings.ts";

const kmsLatencyMs = 10;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** While it runs: without verdicts, which depend on how quiet the machine was until the end. */
function tell({ name, value, unit, note }: Figure): void {
  say(`  ${name}: ${rounded(value)} ${unit}${note === undefined ? "" : ` (${note})`}`.trimEnd());
}

/** Runs the scenarios one after the other; `failures` names those that could not be measured. */
async function measure(settings: Settings) {
  const figures: Figure[] = [];
  const failures: string[] = [];
  const programs = await resolveToolchain(["etcd", "kube-apiserver", "bao"], say);
  for (const name of settings.scenarios) {
    say(name);
    const run = await runScenario(name, settings, programs);
    figures.push(...run.figures);
    if (run.failure === undefined) continue;
    failures.push(`${name}: ${run.failure}`);
    say(`  could not be measured: ${run.failure}`);
  }
  return { figures, failures };
}

/** On servers of its own: what a scenario left behind is no part of the next, and other operators watch everything. */
async function runScenario(name: string, settings: Settings, programs: Programs) {
  const figures: Figure[] = [];
  const found = (figure: Figure) => {
    figures.push(figure);
    tell(figure);
  };
  let failure: string | undefined;
  const before = spentSoFar();
  const cluster = await Cluster.start(programs, kmsLatencyMs);
  try {
    await scenarios[name]?.({ cluster, settings, found, say });
  } catch (error) {
    failure = String(error);
  } finally {
    await cluster.stop();
  }
  const after = spentSoFar();
  if (before === undefined || after === undefined) return { figures, failure };
  const share = shareOfOthers(before, after);
  found({ name: `processors' time that other programs had during ${name}`, value: 100 * share, unit: "%" });
  return { figures: underNeighbours(figures, share), failure };
}

async function main(settings: Settings): Promise<number> {
  const unknown = settings.scenarios.filter((name) => scenarios[name] === undefined);
  if (unknown.length > 0) throw new Error(`no scenario ${unknown.join(", ")}`);
  if (settings.profile !== undefined) mkdirSync(settings.profile, { recursive: true });
  const { figures, failures } = await measure(settings);
  say(`\n${table(figures)}`);
  for (const failure of failures) say(`could not be measured: ${failure}`);
  if (settings.profile !== undefined) say(`\n${profileSummary(settings.profile)}`);
  const machine = { processors: availableParallelism(), platform: process.platform, node: process.version };
  writeFileSync(settings.json, `${JSON.stringify({ settings, machine, figures, failures }, undefined, 2)}\n`);
  const allMet = figures.every((figure) => ["ok", undefined].includes(verdict(figure)));
  return failures.length > 0 || (settings.check && !allMet) ? 1 : 0;
}

try {
  const settings = settingsOf(process.argv.slice(2));
  if (settings === undefined) say(usage);
  process.exit(settings === undefined ? 0 : await main(settings));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}\n`);
  process.exit(2);
}
