// A cluster to install, upgrade and uninstall charts in, with an API server of its own: CRDs and webhook configurations are
// for the whole of it. Its store remembers every state that it was in, so that a test can ask what happened at any point.
import { execFile } from "node:child_process";
import { cp, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { gunzipSync, gzipSync } from "node:zlib";
import { expect, inject } from "vitest";
import { stringify } from "yaml";
import { resolveToolchain } from "../../tools/toolchain/resolve.ts";
import { KubeClient, type Manifest } from "../env/kube-client.ts";
import { type Kubernetes, startKubernetes } from "../env/kubernetes.ts";
import { ProcessGroup } from "../env/processes.ts";
import { type Generation, oldCrds } from "./old-crds.ts";

/** Helm 4, and Helm 3, of which old releases are. */
export type Helm = "helm" | "helm3";

/** The name of the release and of its namespace, in all charts of the operator. */
export const release = "kms-vault-operator";

const charts = join(import.meta.dirname, "charts");
const customResources = "/registry/k8s.patoarvizu.dev/";
const definitions = "/registry/apiextensions.k8s.io/customresourcedefinitions/";

/** Starts one. `await using` ends it. */
export async function startCluster(): Promise<Cluster> {
  const group = await ProcessGroup.create();
  try {
    const kubernetes = await startKubernetes(group, inject("stack").programs);
    const programs = await resolveToolchain(["helm", "helm3"], () => {});
    const cluster = new Cluster(group, kubernetes, programs);
    await cluster.kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: release } });
    return cluster;
  } catch (error) {
    await group.stop();
    throw error;
  }
}

export class Cluster implements AsyncDisposable {
  readonly kube: KubeClient;
  readonly kubernetes: Kubernetes;
  readonly #group: ProcessGroup;
  readonly #programs: Readonly<Record<Helm, string>>;

  constructor(group: ProcessGroup, kubernetes: Kubernetes, programs: Readonly<Record<Helm, string>>) {
    this.#group = group;
    this.kubernetes = kubernetes;
    this.#programs = programs;
    this.kube = new KubeClient(kubernetes.info);
  }

  /** What a user's shell has, with Helm's own files in a place that goes with the cluster. */
  get environment(): NodeJS.ProcessEnv {
    const home = this.#group.directory;
    return {
      PATH: [dirname(this.#programs.helm), dirname(this.#programs.helm3), process.env["PATH"]].join(":"),
      HOME: home,
      KUBECONFIG: this.kubernetes.info.kubeconfig,
      HELM_NAMESPACE: release,
    };
  }

  /**
   * Runs Helm in the release's namespace. @returns what it printed, notes and warnings too
   * @throws Error with what Helm says, when it refuses
   */
  async helm(program: Helm, ...args: readonly string[]): Promise<string> {
    const options = { env: this.environment, timeout: 120_000 };
    const { stdout, stderr } = await promisify(execFile)(this.#programs[program], args, options);
    return `${stdout}${stderr}`;
  }

  /** The chart of a generation, with its CRDs among the templates unless told otherwise. @returns its directory */
  async oldChart(generation: Generation, { crds: withCrds = true } = {}): Promise<string> {
    const chart = join(this.#group.directory, `chart-${generation}`);
    await cp(join(charts, generation), chart, { recursive: true });
    const crds = (withCrds ? oldCrds(generation) : []).map((crd) => stringify(crd));
    await writeFile(join(chart, "templates", "crds.yaml"), crds.join("---\n"));
    return chart;
  }

  /** Has Helm's record of the first revision name the CRDs as charts did when Kubernetes had v1beta1 of them. */
  async ageRelease(): Promise<void> {
    const name = `sh.helm.release.v1.${release}.v1`;
    const path = { apiVersion: "v1", plural: "secrets", namespace: release, name };
    const { data } = await this.kube.get(path);
    // Helm packs the record, and Kubernetes encodes it once more.
    const packed = Buffer.from(Buffer.from(data.release, "base64").toString(), "base64");
    const record = JSON.parse(gunzipSync(packed).toString());
    const manifest = record.manifest.replaceAll("apiextensions.k8s.io/v1", "apiextensions.k8s.io/v1beta1");
    expect(manifest).not.toBe(record.manifest);
    const aged = gzipSync(JSON.stringify({ ...record, manifest })).toString("base64");
    await this.kube.patch(path, { data: { release: Buffer.from(aged).toString("base64") } });
  }

  /** Applies objects as a user does, so that kubectl is their manager. */
  async kubectlApply(...manifests: readonly Manifest[]): Promise<void> {
    const file = join(this.#group.directory, "manifests.json");
    await writeFile(file, JSON.stringify({ apiVersion: "v1", kind: "List", items: manifests }));
    const options = { env: this.environment, timeout: 60_000 };
    await promisify(execFile)(inject("stack").programs.kubectl ?? "kubectl", ["apply", "-f", file], options);
  }

  /** Remembers what is there now, for `expectNothingDeleted`. */
  async remember(): Promise<Memory> {
    const revision = await this.kubernetes.etcd.revision();
    return { revision, keys: [...(await this.#at(revision)).keys()] };
  }

  /**
   * In every state that the store was in since, each object and each CRD of ours that was there is there, and none of them
   * is being deleted.
   */
  async expectNothingDeleted(since: Memory): Promise<void> {
    expect(since.keys.length).toBeGreaterThan(2);
    const now = await this.kubernetes.etcd.revision();
    for (let revision = since.revision; revision <= now; revision++) {
      const state = await this.#at(revision);
      expect([...state.keys()], `at revision ${revision}`).toEqual(expect.arrayContaining([...since.keys]));
      for (const [key, value] of state) {
        expect(JSON.parse(value).metadata.deletionTimestamp, `${key} at revision ${revision}`).toBeUndefined();
      }
    }
  }

  async #at(revision: number): Promise<Map<string, string>> {
    const { etcd } = this.kubernetes;
    const [objects, crds] = await Promise.all([etcd.at(revision, customResources), etcd.at(revision, definitions)]);
    return new Map([...objects, ...crds]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kube.close();
    await this.#group.stop();
  }
}

/** What was there at a revision of the store. */
export interface Memory {
  readonly revision: number;
  readonly keys: readonly string[];
}
