// How much of the processors went to programs that are no part of the bench: figures of a machine that does something else
// at the same time say little, and nothing in them shows it.
import { readFileSync } from "node:fs";
import { cpus } from "node:os";

/** Seconds of all processors together. */
export interface Spent {
  /** Idle or not. */
  readonly all: number;
  readonly busy: number;
  /** Of this process and of its children that have ended. */
  readonly ours: number;
}

const ticksPerSecond = 100;

/** @returns undefined where the operating system does not tell what ended children used (all but Linux) */
export function spentSoFar(): Spent | undefined {
  if (process.platform !== "linux") return undefined;
  let [all, busy] = [0, 0];
  for (const { times } of cpus()) {
    const working = times.user + times.nice + times.sys + times.irq;
    all += (working + times.idle) / 1_000;
    busy += working / 1_000;
  }
  return { all, busy, ours: secondsWithChildren(readFileSync("/proc/self/stat", "utf8")) };
}

/** @param stat of /proc/<pid>/stat */
export function secondsWithChildren(stat: string): number {
  // After the name, which may hold anything but ends at the last bracket, begins field 3: fields 14 to 17 are utime,
  // stime, and the same of children that were waited for.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / ticksPerSecond;
}

/** The share of the processors, 0 to 1, that others had between two moments at which no child of ours was running. */
export function shareOfOthers(earlier: Spent, later: Spent): number {
  const others = later.busy - earlier.busy - (later.ours - earlier.ours);
  return Math.max(0, others) / Math.max(Number.EPSILON, later.all - earlier.all);
}
