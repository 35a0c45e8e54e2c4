// The servers of a run: the real stack of the tests, and the KMS emulator as a process of its own with a latency like
// that of a KMS in the same region, so that neither shares a thread with what measures.
import { once } from "node:events";
import { join } from "node:path";
import { spawn } from "node:child_process";
import { Agent, type Dispatcher, request } from "undici";
import { mountKv, uniqueName } from "../test/env/unique.ts";
import { applyCrds } from "../test/env/crds.ts";
import { awsEnvironment, KmsTestClient } from "../test/env/kms-client.ts";
import { KubeClient } from "../test/env/kube-client.ts";
import { freePort } from "../test/env/ports.ts";
import { ProcessGroup } from "../test/env/processes.ts";
import { type Programs, type Stack, type StackInfo, startStack } from "../test/env/stack.ts";
import { VaultClient } from "../test/env/vault-client.ts";
import { AuditTail } from "./audit-tail.ts";
import { sumOf } from "./prometheus.ts";
import { until } from "./time.ts";

export const checkout = join(import.meta.dirname, "..");

/** What was asked of the three servers, all told by the servers themselves. */
export interface Calls {
  readonly kms: number;
  /** Watches count when they end. */
  readonly kubeReads: number;
  readonly kubeWrites: number;
}

/** A set of objects of its own: a namespace, a mount and the subject's view of both. */
export interface Place {
  readonly namespace: string;
  readonly mount: string;
  readonly engine: "v1" | "v2";
}

export class Cluster {
  readonly info: StackInfo;
  readonly kube: KubeClient;
  readonly vault: VaultClient;
  readonly kms: KmsTestClient;
  readonly group: ProcessGroup;
  readonly audit: AuditTail;
  readonly kmsEndpoint: string;
  /** To the API server as administrator, with as many connections as are needed at once. */
  readonly kubeAgent: Dispatcher;
  readonly #stack: Stack;

  private constructor(stack: Stack, group: ProcessGroup, audit: AuditTail, kmsEndpoint: string) {
    const { kubernetes, vault } = stack.info;
    this.#stack = stack;
    this.info = stack.info;
    this.group = group;
    this.audit = audit;
    this.kmsEndpoint = kmsEndpoint;
    this.kube = new KubeClient(kubernetes);
    this.vault = new VaultClient(vault);
    this.kms = new KmsTestClient({ endpoint: kmsEndpoint });
    const { certPem: cert, keyPem: key } = kubernetes.admin;
    this.kubeAgent = new Agent({ allowH2: false, connections: 32, connect: { ca: kubernetes.caPem, cert, key } });
  }

  /** @param kmsLatencyMs added to each answer of KMS */
  static async start(programs: Programs, kmsLatencyMs: number): Promise<Cluster> {
    const [stack, group] = await Promise.all([startStack({ programs }), ProcessGroup.create()]);
    await applyCrds(stack.info.kubernetes);
    const endpoint = await startEmulator(group);
    const cluster = new Cluster(stack, group, await AuditTail.open(stack.info.vault.auditLog), endpoint);
    await cluster.kms.faults({ latencyMs: kmsLatencyMs });
    return cluster;
  }

  async place(engine: "v1" | "v2"): Promise<Place> {
    const namespace = uniqueName("bench");
    await this.kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
    const mount = await mountKv(this.vault, engine);
    // A new KV v2 mount refuses requests until it has set itself up.
    return until("the new mount", async () => {
      const { status } = await this.vault.ask({ method: "GET", path: `/v1/${mount}/config` });
      return status === 400 ? undefined : { namespace, mount, engine };
    });
  }

  /** A request to the API server; rejects unless it is answered with 2xx. */
  async kubeRequest(method: "POST" | "PATCH", path: string, body: object): Promise<void> {
    const answer = await request(this.info.kubernetes.server + path, {
      method,
      dispatcher: this.kubeAgent,
      headers: { "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json" },
      body: JSON.stringify(body),
    });
    const text = await answer.body.text();
    if (answer.statusCode > 299) throw new Error(`${method} ${path} answered ${answer.statusCode}: ${text}`);
  }

  async calls(): Promise<Calls> {
    const [{ operations }, metrics] = await Promise.all([this.kms.calls(), this.#apiServerMetrics()]);
    // What the API server does for itself is of other resources.
    const isOurs = (labels: string) => /resource="(kmsvaultsecrets|partialkmsvaultsecrets|events)"/.test(labels);
    const count = (verbs: string) =>
      sumOf(
        metrics,
        "apiserver_request_total",
        (labels) => isOurs(labels) && new RegExp(`verb="(${verbs})"`).test(labels),
      );
    return {
      kms: operations["Decrypt"] ?? 0,
      kubeReads: count("GET|LIST|WATCH"),
      kubeWrites: count("POST|PUT|PATCH|APPLY|DELETE"),
    };
  }

  /** Environment of a subject: all that it is told of the servers. */
  environment(place: Place): NodeJS.ProcessEnv {
    const { vault, kubernetes } = this.info;
    return {
      PATH: process.env["PATH"],
      HOME: process.env["HOME"],
      KUBECONFIG: kubernetes.kubeconfig,
      WATCH_NAMESPACE: place.namespace,
      POD_NAMESPACE: place.namespace,
      VAULT_ADDR: vault.address,
      VAULT_CACERT: vault.caFile,
      VAULT_TOKEN: vault.rootToken,
      AWS_ENDPOINT_URL_KMS: this.kmsEndpoint,
      ...awsEnvironment,
    };
  }

  async stop(): Promise<void> {
    await Promise.all([this.kube.close(), this.vault.close(), this.kms.close(), this.kubeAgent.destroy()]);
    await this.audit.close();
    await Promise.all([this.group.stop(), this.#stack.stop()]);
  }

  async #apiServerMetrics(): Promise<string> {
    const { server } = this.info.kubernetes;
    const { body } = await request(`${server}/metrics`, { dispatcher: this.kubeAgent });
    return body.text();
  }
}

async function startEmulator(group: ProcessGroup): Promise<string> {
  const port = await freePort();
  const child = spawn(join(checkout, "bin/kms-vault-operator"), ["kms-emulator", `--listen=127.0.0.1:${port}`], {
    stdio: ["ignore", "pipe", "ignore"],
    detached: true,
  });
  group.adopt(child, "kms-emulator");
  // The first thing that it says is that it listens.
  await Promise.race([once(child.stdout, "data"), once(child, "exit").then(() => Promise.reject(new Error("no KMS")))]);
  return `http://127.0.0.1:${port}`;
}
