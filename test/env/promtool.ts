// Prometheus's own engine, by its promtool: for tests of alerts and dashboards, on made-up series and on what a real
// process tells.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { timedProgress } from "../../tools/toolchain/progress.ts";
import { resolveToolchain } from "../../tools/toolchain/resolve.ts";

/** Series → its values, one a minute, in promtool's notation (`2x60`: 2 and so 60 times more; `0+1x60`: growing by 1). */
export type Series = Readonly<Record<string, string>>;

/** What an expression shall come to. */
export interface Expectation {
  readonly expr: string;
  /** Time since the first values, `1h30m`. */
  readonly eval_time: string;
  readonly exp_samples: ReadonlyArray<{ readonly labels: string; readonly value: number }>;
}

/**
 * Runs promtool.
 * @returns what it printed
 * @throws Error with that, when it finds something
 */
export async function promtool(...args: readonly string[]): Promise<string> {
  const { promtool: program } = await resolveToolchain(["promtool"], timedProgress(process.stderr));
  try {
    return (await promisify(execFile)(program, args)).stdout;
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { readonly stdout?: string; readonly stderr?: string };
    throw new Error(`${stdout}\n${stderr}`, { cause: error });
  }
}

/** Fails unless each expression, evaluated on the series and on what a file of rules makes of them, comes to what it shall. */
export async function expectSamples(
  series: Series,
  expectations: readonly Expectation[],
  ruleFiles: readonly string[] = [],
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "promtool-"));
  const file = join(directory, "test.json");
  const input = Object.entries(series).map(([name, values]) => ({ series: name, values }));
  const tests = [{ interval: "1m", input_series: input, promql_expr_test: expectations }];
  try {
    await writeFile(file, JSON.stringify({ rule_files: ruleFiles, evaluation_interval: "1m", tests }));
    await promtool("test", "rules", file);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/**
 * The samples of a scrape, as Prometheus stores them from a pod, for three hours without a change.
 * @param target the labels that Prometheus gives them, as they stand between the braces
 */
export function asScraped(exposition: string, target: string): Series {
  return Object.fromEntries(samplesOf(exposition, target).map(([series, value]) => [series, `${value}x180`]));
}

/** The same of two scrapes: the first one's samples for ten minutes, then the second one's, some of which may be new. */
export function asScrapedTwice(first: string, second: string, target: string): Series {
  const before = new Map(samplesOf(first, target));
  return Object.fromEntries(
    samplesOf(second, target).map(([series, value]) => [series, `${before.get(series) ?? "_"}x9 ${value}x180`]),
  );
}

/** Series, as they are stored → their values. */
function samplesOf(exposition: string, target: string): Array<[string, string]> {
  const samples = [...exposition.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)];
  if (samples.length < 30) throw new Error(`only ${samples.length} samples in what was scraped:\n${exposition}`);
  return samples
    .filter(([, , , value = ""]) => Number.isFinite(Number(value)))
    .map(([, name, labels, value = ""]) => [`${name}{${labels === undefined ? "" : `${labels},`}${target}}`, value]);
}
