// The part of a cluster that the tests' API server lacks, as far as a page of the documentation waits for it: Deployments
// of ours get a pod, which is a process here with the rendered arguments, variables, files and rights, and become available
// when it is ready; namespaces that are being deleted go.
import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { JsonClient } from "../../env/http.ts";
import { KubeClient, type Manifest } from "../../env/kube-client.ts";
import { OperatorProcess } from "../../env/operator.ts";
import { freePorts } from "../../env/ports.ts";
import { ProcessGroup } from "../../env/processes.ts";
import type { StackInfo } from "../../env/stack.ts";
import { operatorName, podProcess, podSpecOf, webhookName } from "../pods.ts";

const program = join(import.meta.dirname, "..", "..", "..", "bin", "kms-vault-operator");
const listens = /^--?(metrics-addr|listen-addr)\b/;

interface Deployment extends Manifest {
  readonly metadata: Manifest["metadata"] & { readonly uid: string; readonly generation: number };
  readonly spec: { readonly replicas: number };
}

/** A pod that runs. */
interface Pod {
  readonly generation: number;
  readonly group: ProcessGroup;
  readonly process: OperatorProcess;
}

/** The nodes of a stack, and the controllers that a cluster has beside its API server. `await using` ends them. */
export class Nodes implements AsyncDisposable {
  readonly #stack: StackInfo;
  readonly #kube: KubeClient;
  readonly #client: JsonClient;
  readonly #pods = new Map<string, Pod>();
  readonly #ended = new AbortController();
  readonly #work: Promise<void>;
  /** Why pods do not start, as `kubectl describe pod` would say, and what those said that have ended. */
  readonly problems: string[] = [];

  constructor(stack: StackInfo) {
    this.#stack = stack;
    this.#kube = new KubeClient(stack.kubernetes);
    const { server, caPem, admin } = stack.kubernetes;
    this.#client = new JsonClient(server, { caPem, ...admin });
    this.#work = this.#loop();
  }

  async #loop(): Promise<void> {
    while (!this.#ended.signal.aborted) {
      try {
        await this.#look();
      } catch (error) {
        // As with a kubelet: what is missing may come. A page that waits for the pod fails by its own time-out.
        this.problems.push(String(error));
      }
      await sleep(100);
    }
  }

  async #look(): Promise<void> {
    const deployments = await this.#kube.list({ apiVersion: "apps/v1", plural: "deployments" });
    const ours = deployments
      .filter(({ metadata }) => [operatorName, webhookName].includes(metadata.name))
      .map((one): Deployment => ({ ...one, apiVersion: "apps/v1", kind: "Deployment" }));
    const uids = ours.map(({ metadata }) => metadata.uid);
    for (const uid of this.#pods.keys()) if (!uids.includes(uid)) await this.#end(uid);
    for (const deployment of ours) await this.#bringUp(deployment);
    const namespaces = await this.#kube.list({ apiVersion: "v1", plural: "namespaces" });
    for (const namespace of namespaces) {
      if (namespace.metadata.deletionTimestamp !== undefined) await this.#letGo(namespace);
    }
  }

  /** A namespace goes with all that pages put into it. */
  async #letGo(namespace: Manifest): Promise<void> {
    const { name } = namespace.metadata;
    for (const plural of ["secrets", "serviceaccounts"]) {
      await this.#kube.delete({ apiVersion: "v1", plural, namespace: name });
    }
    await this.#kube.delete({ apiVersion: "apps/v1", plural: "deployments", namespace: name });
    const path = `/api/v1/namespaces/${name}/finalize`;
    await this.#client.send({ method: "PUT", path, body: { ...namespace, spec: { finalizers: [] } } });
  }

  async #bringUp(deployment: Deployment): Promise<void> {
    const { uid, generation, name, namespace = "" } = deployment.metadata;
    if (this.#pods.get(uid)?.generation === generation) return;
    await this.#end(uid);
    const pod = await this.#start(deployment);
    this.#pods.set(uid, pod);
    await pod.process.untilReady();
    const { replicas } = deployment.spec;
    const status = { observedGeneration: generation, replicas, updatedReplicas: replicas };
    await this.#kube.patch(
      { apiVersion: "apps/v1", plural: "deployments", namespace, name, subresource: "status" },
      { status: { ...status, readyReplicas: replicas, availableReplicas: replicas } },
    );
  }

  async #start(deployment: Deployment): Promise<Pod> {
    const group = await ProcessGroup.create();
    try {
      const node = {
        kube: this.#kube,
        kubernetes: this.#stack.kubernetes,
        directory: mkdtempSync(join(group.directory, "pod-")),
      };
      const { args, env, kubeconfig } = await podProcess(deployment, node);
      const [metrics = 0, https = 0] = await freePorts(2);
      const isWebhook = deployment.metadata.name === webhookName;
      const listen = isWebhook ? [`--listen-addr=127.0.0.1:${https}`] : [];
      const flags = [...args.filter((arg) => !listens.test(arg)), `--kubeconfig=${kubeconfig}`, ...listen];
      const child = spawn(program, [isWebhook ? "webhook" : "run", ...flags, `--metrics-addr=127.0.0.1:${metrics}`], {
        cwd: node.directory,
        stdio: ["ignore", "pipe", "pipe"],
        env: {
          PATH: process.env["PATH"],
          HOME: process.env["HOME"],
          AWS_ENDPOINT_URL_KMS: this.#stack.kms.endpoint,
          ...(await this.#wholeSecrets(deployment)),
          ...env,
        },
      });
      group.adopt(child);
      const running = new OperatorProcess(child, `http://127.0.0.1:${metrics}`, () => group.stop());
      return { generation: deployment.metadata.generation, group, process: running };
    } catch (error) {
      await group.stop();
      throw error;
    }
  }

  /** The variables of `envFrom`. */
  async #wholeSecrets(deployment: Deployment): Promise<Record<string, string>> {
    const { namespace = "" } = deployment.metadata;
    const [{ envFrom = [] }] = podSpecOf(deployment).containers as [
      { readonly envFrom?: ReadonlyArray<{ readonly secretRef: { readonly name: string } }> },
    ];
    const secrets = await Promise.all(
      envFrom.map(({ secretRef }) =>
        this.#kube.get({ apiVersion: "v1", plural: "secrets", namespace, name: secretRef.name }),
      ),
    );
    return Object.fromEntries(
      secrets.flatMap(({ data }) =>
        Object.entries(data as Record<string, string>).map(([name, value]) => [
          name,
          Buffer.from(value, "base64").toString(),
        ]),
      ),
    );
  }

  async #end(uid: string): Promise<void> {
    const pod = this.#pods.get(uid);
    this.#pods.delete(uid);
    await pod?.process.stop();
    if (pod !== undefined) this.problems.push(pod.process.output().trimEnd().split("\n").slice(-10).join("\n"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#work;
    for (const uid of this.#pods.keys()) await this.#end(uid);
    await Promise.all([this.#kube.close(), this.#client.close()]);
  }
}
