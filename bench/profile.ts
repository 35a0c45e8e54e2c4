// The top of a CPU profile: which functions the time was spent in, by themselves.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What is used of V8's .cpuprofile. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  /** Microseconds between samples. */
  readonly timeDeltas: readonly number[];
}

/** Functions by their own time, the most expensive first. */
export function topOf(profile: CpuProfile, count: number): readonly { readonly name: string; readonly ms: number }[] {
  const names = new Map(
    profile.nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const file = url.slice(url.lastIndexOf("/") + 1);
      return [id, `${functionName || "(anonymous)"} ${file === "" ? "" : `${file}:${lineNumber + 1}`}`.trim()];
    }),
  );
  const own = new Map<string, number>();
  for (const [index, id] of profile.samples.entries()) {
    const name = names.get(id) ?? "?";
    own.set(name, (own.get(name) ?? 0) + (profile.timeDeltas[index] ?? 0) / 1_000);
  }
  return [...own]
    .map(([name, ms]) => ({ name, ms }))
    .toSorted((a, b) => b.ms - a.ms)
    .slice(0, count);
}

/** The tops of all profiles in a directory, for people. */
export function profileSummary(directory: string): string {
  const files = readdirSync(directory).filter((file) => file.endsWith(".cpuprofile"));
  return files
    .map((file) => {
      const profile: CpuProfile = JSON.parse(readFileSync(join(directory, file), "utf8"));
      const lines = topOf(profile, 15).map(({ name, ms }) => `  ${String(Math.round(ms)).padStart(7)} ms  ${name}`);
      return [file, ...lines].join("\n");
    })
    .join("\n");
}
