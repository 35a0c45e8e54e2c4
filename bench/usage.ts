// What a subject costs, asked of the operating system: the sum over its process group, because another program may be
// started by a script that stays beside it.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** What a process group has used so far. */
export interface Usage {
  readonly rssMiB: number;
  /** Absent where the operating system does not tell. */
  readonly peakRssMiB?: number;
  readonly cpuSeconds: number;
}

/** Ticks of /proc/<pid>/stat, on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** @returns zeros when no process of the group is left */
export function usageOf(processGroup: number): Usage {
  return process.platform === "linux" ? usageByProc(processGroup) : usageByPs(processGroup, listProcesses());
}

function usageByProc(processGroup: number): Usage {
  let [rssMiB, peakRssMiB, cpuSeconds] = [0, 0, 0];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const stat = textOf(`/proc/${pid}/stat`);
    // After the name, which may hold anything but ends at the last bracket: state, parent, group, …
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (Number(fields[2]) !== processGroup) continue;
    const status = textOf(`/proc/${pid}/status`);
    rssMiB += mebibytesOf(status, "VmRSS");
    peakRssMiB += mebibytesOf(status, "VmHWM");
    // utime and stime.
    cpuSeconds += (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  }
  return { rssMiB, peakRssMiB, cpuSeconds };
}

/** Empty when the process has ended since it was listed. */
function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return "";
    throw error;
  }
}

function mebibytesOf(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) / 1024;
}

/** Everywhere but on Linux, where it knows whole seconds only. */
function listProcesses(): string {
  return execFileSync("ps", ["-axo", "pgid=,rss=,time="], { encoding: "utf8" });
}

/** @param list lines of group, KiB in memory, CPU time as `[[days-]hours:]minutes:seconds` */
export function usageByPs(processGroup: number, list: string): Usage {
  let [rssMiB, cpuSeconds] = [0, 0];
  for (const line of list.split("\n")) {
    const [group, kib, time = ""] = line.trim().split(/\s+/);
    if (Number(group) !== processGroup) continue;
    rssMiB += Number(kib) / 1024;
    const [days, clock] = time.includes("-") ? (time.split("-") as [string, string]) : ["0", time];
    cpuSeconds += Number(days) * 86_400 + clock.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  }
  return { rssMiB, cpuSeconds };
}
