// The operator under measurement: ours as it is built, or any other program that speaks the same CRDs. What it costs is
// asked of the operating system, what it did of the servers; nothing is believed of itself but /readyz.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { request } from "undici";
import { freePort } from "../test/env/ports.ts";
import { checkout, type Cluster, pause, type Place } from "./cluster.ts";

export interface SubjectOptions {
  readonly place: Place;
  /** A command line; `{kubeconfig}` in it is replaced. Absent: our own. */
  readonly command?: string;
  /** Flags of our own operator. */
  readonly flags?: readonly string[];
  /** Directory for a CPU profile of our own operator, written when it stops. */
  readonly profileDirectory?: string;
}

/** What a process has used so far. */
export interface Usage {
  readonly rssMiB: number;
  readonly peakRssMiB: number;
  readonly cpuSeconds: number;
}

/** Ticks of /proc/<pid>/stat, on every Linux that Node runs on. */
const ticksPerSecond = 100;

export class Subject {
  /** When the process was spawned, ms since the epoch. */
  readonly startedAt: number;
  readonly log: string;
  readonly #child: ChildProcess;
  readonly #probes: string | undefined;

  private constructor(child: ChildProcess, startedAt: number, log: string, probes: string | undefined) {
    this.#child = child;
    this.startedAt = startedAt;
    this.log = log;
    this.#probes = probes;
  }

  static async start(cluster: Cluster, options: SubjectOptions): Promise<Subject> {
    const port = await freePort();
    const log = join(cluster.info.directory, `subject-${port}.log`);
    const descriptor = openSync(log, "a");
    const [program = "", ...args] = commandOf(cluster, options, port);
    const startedAt = epochNow();
    const child = spawn(program, args, {
      env: cluster.environment(options.place),
      stdio: ["ignore", descriptor, descriptor],
      detached: true,
    });
    closeSync(descriptor);
    cluster.group.adopt(child, "subject");
    return new Subject(child, startedAt, log, options.command === undefined ? `http://127.0.0.1:${port}` : undefined);
  }

  /** Waits for /readyz; returns the ms since the process was spawned. Of another program: at once. */
  async ready(): Promise<number> {
    while (this.#probes !== undefined && !(await this.#isReady(this.#probes))) {
      this.assertAlive();
      await pause(5);
    }
    return epochNow() - this.startedAt;
  }

  /** @throws Error with its last words when it has ended */
  assertAlive(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) return;
    const words = readFileSync(this.log, "utf8").trimEnd().split("\n").slice(-10).join("\n");
    throw new Error(`the subject ended (${this.#child.exitCode ?? this.#child.signalCode}):\n${words}`);
  }

  usage(): Usage {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, "utf8");
    const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? Number.NaN);
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, "utf8");
    // After the name, which may hold anything but ends at the last bracket: utime and stime are fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const cpuSeconds = (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
    return { rssMiB: kib("VmRSS") / 1024, peakRssMiB: kib("VmHWM") / 1024, cpuSeconds };
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    const late = setTimeout(() => this.#child.kill("SIGKILL"), 30_000);
    await exited;
    clearTimeout(late);
  }

  async #isReady(probes: string): Promise<boolean> {
    try {
      const { statusCode, body } = await request(`${probes}/readyz`);
      await body.dump();
      return statusCode === 200;
    } catch {
      // Not listening yet; `ready` gives up when the process has ended.
      return false;
    }
  }
}

/** Milliseconds since the epoch, with fractions: the clock that Vault's audit log is written by. */
export function epochNow(): number {
  return performance.timeOrigin + performance.now();
}

function commandOf(cluster: Cluster, options: SubjectOptions, port: number): string[] {
  const { command, flags = [], profileDirectory } = options;
  const { kubeconfig } = cluster.info.kubernetes;
  if (command !== undefined) return ["sh", "-c", `exec ${command.replaceAll("{kubeconfig}", kubeconfig)}`];
  const run = ["run", `--metrics-addr=127.0.0.1:${port}`, `--kubeconfig=${kubeconfig}`, ...flags];
  if (profileDirectory === undefined) return [join(checkout, "bin/kms-vault-operator"), ...run];
  const profiling = ["--cpu-prof", `--cpu-prof-dir=${profileDirectory}`];
  return [process.execPath, ...profiling, join(checkout, "dist/kms-vault-operator.js"), ...run];
}
