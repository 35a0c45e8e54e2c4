// The operator under measurement: ours as it is built, or any other program that speaks the same CRDs. What it costs is
// asked of the operating system, what it did of the servers; nothing is believed of itself but /readyz.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { request } from "undici";
import { freePort } from "../test/env/ports.ts";
import { checkout, type Cluster, type Place } from "./cluster.ts";
import { epochNow, until } from "./time.ts";
import { type Usage, usageOf } from "./usage.ts";

export interface SubjectOptions {
  readonly place: Place;
  /** A command line; `{kubeconfig}` in it is replaced. Absent: our own. */
  readonly command?: string;
  /** Flags of our own operator. */
  readonly flags?: readonly string[];
  /** Directory for a CPU profile of our own operator, written when it stops. */
  readonly profileDirectory?: string;
}

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
      env: { ...cluster.environment(options.place), ...profiling(options) },
      stdio: ["ignore", descriptor, descriptor],
      detached: true,
    });
    closeSync(descriptor);
    cluster.group.adopt(child, "subject");
    return new Subject(child, startedAt, log, options.command === undefined ? `http://127.0.0.1:${port}` : undefined);
  }

  /** Waits for /readyz; returns the ms since the process was spawned. Of another program: at once. */
  async ready(): Promise<number> {
    const look = async () => {
      if (this.#probes === undefined || (await this.#isReady(this.#probes))) return epochNow() - this.startedAt;
      this.assertAlive();
      return undefined;
    };
    return until("readiness", look, { everyMs: 5 });
  }

  /** @throws Error with its last words when it has ended */
  assertAlive(): void {
    if (this.#child.exitCode === null && this.#child.signalCode === null) return;
    const words = readFileSync(this.log, "utf8").trimEnd().split("\n").slice(-10).join("\n");
    throw new Error(`the subject ended (${this.#child.exitCode ?? this.#child.signalCode}):\n${words}`);
  }

  usage(): Usage {
    return usageOf(this.#pid);
  }

  /** Ends the process and what it has started beside itself, which may outlive it. */
  async stop(): Promise<void> {
    this.#signalGroup("SIGTERM");
    const look = async () => this.#signalGroup(0) || undefined;
    try {
      await until("the end of the subject", look, { timeoutMs: 30_000 });
    } catch (error) {
      this.#signalGroup("SIGKILL");
      throw error;
    }
  }

  /** It leads a group of its own. @returns whether nobody is left in it */
  #signalGroup(signal: NodeJS.Signals | 0): boolean {
    try {
      process.kill(-this.#pid, signal);
      return false;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ESRCH") return true;
      throw error;
    }
  }

  get #pid(): number {
    if (this.#child.pid === undefined) throw new Error("the subject could not be started");
    return this.#child.pid;
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

function commandOf(cluster: Cluster, options: SubjectOptions, port: number): string[] {
  const { command, flags = [] } = options;
  const { kubeconfig } = cluster.info.kubernetes;
  if (command !== undefined) return ["sh", "-c", `exec ${command.replaceAll("{kubeconfig}", kubeconfig)}`];
  const program = join(checkout, "bin/kms-vault-operator");
  return [program, "run", `--metrics-addr=127.0.0.1:${port}`, `--kubeconfig=${kubeconfig}`, ...flags];
}

/** By the environment, so that what is profiled is started as it always is. */
function profiling({ profileDirectory }: SubjectOptions): NodeJS.ProcessEnv {
  if (profileDirectory === undefined) return {};
  return { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${resolve(profileDirectory)}` };
}
