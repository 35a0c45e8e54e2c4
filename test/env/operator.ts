// The operator as a process of its own, as a user starts it: real flags and environment, its output captured, a port of
// its own for metrics and probes. It dies with the test process.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { inject } from "vitest";
import { request } from "undici";
import { awsEnvironment } from "./kms-client.ts";
import { freePort } from "./ports.ts";
import { ProcessGroup } from "./processes.ts";
import { type ServiceAccount, writeKubeconfig } from "./service-account.ts";

const root = join(import.meta.dirname, "..", "..");

export interface OperatorOptions {
  /** Becomes WATCH_NAMESPACE. A test names its own, or it would reconcile the objects of every other. */
  readonly namespace: string;
  /** Arguments after `run`. */
  readonly args?: readonly string[];
  /** Over the defaults: root token of the shared Vault, the shared KMS, us-east-1. undefined takes one away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Run as this service account (service-account.ts) instead of system:masters. */
  readonly serviceAccount?: ServiceAccount;
  /** Over the shared stack's, for a private stack. */
  readonly kubeconfig?: string;
  /** bin/kms-vault-operator and what `make build` made, in place of a bundle made for this run. */
  readonly built?: boolean;
  /** What to wait for: /readyz (default), or nothing, for tests of a start that fails. */
  readonly until?: "ready" | "started";
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One line of the operator's JSON log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** A running operator. `await using` ends it by SIGTERM. */
export interface Operator extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` of /metrics, /healthz and /readyz. */
  readonly metricsUrl: string;
  /** Resolves when the process has ended. */
  readonly exit: Promise<Exit>;
  /** Everything that it wrote, stdout and stderr. */
  output(): string;
  /** The lines of the output that are JSON objects. */
  logs(): LogLine[];
  /** The body of /metrics. */
  metrics(): Promise<string>;
  /** One sample of /metrics: the sum over all series of that name whose labels hold the given ones. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM (or another signal), and the exit that follows; SIGKILL after 30 s. */
  stop(signal?: NodeJS.Signals): Promise<Exit>;
  /** What /readyz says. */
  isReady(): Promise<boolean>;
}

/**
 * Starts `kms-vault-operator run`.
 * @throws Error with the output when the process ends before it is ready
 */
export async function startOperator(options: OperatorOptions): Promise<Operator> {
  const group = await ProcessGroup.create();
  try {
    return await start(group, options);
  } catch (error) {
    await group.stop();
    throw error;
  }
}

async function start(group: ProcessGroup, options: OperatorOptions): Promise<Operator> {
  const { kubernetes } = inject("stack");
  const port = await freePort();
  const kubeconfig =
    options.serviceAccount === undefined
      ? (options.kubeconfig ?? kubernetes.kubeconfig)
      : writeKubeconfig(kubernetes, options.serviceAccount, group.directory);
  const [program, ...before] = commandOf(options.built ?? false);
  const flags = [`--metrics-addr=127.0.0.1:${port}`, `--kubeconfig=${kubeconfig}`, ...(options.args ?? [])];
  const child = spawn(program, [...before, "run", ...flags], {
    cwd: group.directory,
    env: environmentOf(options),
    stdio: ["ignore", "pipe", "pipe"],
  });
  group.adopt(child);
  const operator = new OperatorProcess(child, `http://127.0.0.1:${port}`, () => group.stop());
  if ((options.until ?? "ready") === "ready") await operator.untilReady();
  return operator;
}

function commandOf(built: boolean): [string, ...string[]] {
  return built
    ? [join(root, "bin", "kms-vault-operator")]
    : [process.execPath, "--enable-source-maps", inject("operatorProgram")];
}

function environmentOf(options: OperatorOptions): NodeJS.ProcessEnv {
  const { vault, kms, directory } = inject("stack");
  return {
    PATH: process.env["PATH"],
    HOME: process.env["HOME"],
    NODE_COMPILE_CACHE: join(directory, "compile"),
    WATCH_NAMESPACE: options.namespace,
    POD_NAMESPACE: options.serviceAccount?.namespace ?? options.namespace,
    VAULT_ADDR: vault.address,
    VAULT_CACERT: vault.caFile,
    VAULT_TOKEN: vault.rootToken,
    AWS_ENDPOINT_URL_KMS: kms.endpoint,
    ...awsEnvironment,
    ...options.env,
  };
}

/** A child that serves metrics and probes. */
export class OperatorProcess implements Operator {
  readonly metricsUrl: string;
  readonly exit: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #cleanUp: () => Promise<void>;
  #output = "";

  constructor(child: ChildProcess, metricsUrl: string, cleanUp: () => Promise<void>) {
    this.metricsUrl = metricsUrl;
    this.#child = child;
    this.#cleanUp = cleanUp;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output += text;
      });
    }
    // "close" comes after the last output, "exit" may come before it.
    this.exit = once(child, "close").then(([code, signal]) => ({ code, signal }));
  }

  output(): string {
    return this.#output;
  }

  logs(): LogLine[] {
    return this.#output
      .split("\n")
      .filter((line) => line.startsWith("{") && line.endsWith("}"))
      .map((line) => JSON.parse(line) as LogLine);
  }

  async metrics(): Promise<string> {
    const { body } = await request(`${this.metricsUrl}/metrics`);
    return body.text();
  }

  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    const lines = (await this.metrics()).split("\n");
    return lines
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .filter((line) => wanted.every((label) => line.includes(label)))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Exit> {
    this.#child.kill(signal);
    const exit = await Promise.race([this.exit, sleep(30_000, undefined, { ref: false })]);
    // Kills what has not ended, too.
    await this.#cleanUp();
    return exit ?? this.exit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async untilReady(): Promise<void> {
    const until = performance.now() + 30_000;
    while (!(await this.isReady())) {
      const ended = this.#child.exitCode !== null || this.#child.signalCode !== null;
      if (ended || performance.now() > until) {
        if (ended) await this.exit;
        throw new Error(`the operator ${ended ? "ended before it was" : "is not"} ready:\n${this.#output}`);
      }
      await sleep(20);
    }
  }

  async isReady(): Promise<boolean> {
    try {
      const { statusCode, body } = await request(`${this.metricsUrl}/readyz`);
      await body.dump();
      return statusCode === 200;
    } catch {
      // Not listening yet; untilReady gives up in time.
      return false;
    }
  }
}
