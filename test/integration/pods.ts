// What the chart renders, as it is run: `kubectl apply`, and the pods of its Deployments as processes of this machine, with
// the arguments, the variables, the files and the service account that a kubelet would give them.
import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { inject } from "vitest";
import type { KubeClient, Manifest } from "../env/kube-client.ts";
import type { KubernetesInfo } from "../env/kubernetes.ts";
import { writeKubeconfig } from "../env/service-account.ts";

const root = join(import.meta.dirname, "..", "..");
/** The service account's directory of a pod. */
const tokenDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";

export const operatorName = "kms-vault-operator";
export const webhookName = "kms-vault-validating-webhook";

/**
 * Runs kubectl as system:masters, in the repository; `input` is its standard input.
 * @returns its standard output
 * @throws Error with what kubectl says
 */
export async function kubectl(kubernetes: KubernetesInfo, args: readonly string[], input = ""): Promise<string> {
  const program = inject("stack").programs.kubectl ?? "kubectl";
  const running = promisify(execFile)(program, [`--kubeconfig=${kubernetes.kubeconfig}`, ...args], {
    cwd: root,
    timeout: 50_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  running.child.stdin?.end(input);
  return (await running).stdout;
}

/** A pod's only container, and what it stands in, as far as tests look at it. */
export interface PodSpec {
  readonly serviceAccountName: string;
  readonly volumes?: readonly Volume[];
  readonly containers: readonly [Container];
}

interface Container {
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly Variable[];
  readonly volumeMounts?: ReadonlyArray<{ readonly name: string; readonly mountPath: string }>;
}

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly fieldRef?: { readonly fieldPath: string };
    readonly secretKeyRef?: { readonly name: string; readonly key: string };
  };
}

interface Volume {
  readonly name: string;
  readonly configMap?: { readonly name: string };
  readonly secret?: { readonly secretName: string };
  readonly projected?: {
    readonly sources: ReadonlyArray<{
      readonly serviceAccountToken?: { readonly path: string; readonly audience?: string };
    }>;
  };
}

/** The pod of a Deployment. */
export function podSpecOf(deployment: Manifest): PodSpec {
  return (deployment["spec"] as { readonly template: { readonly spec: PodSpec } }).template.spec;
}

/** What a process needs to be a container of the pod. */
export interface PodProcess {
  /** Without the subcommand `run` or `webhook`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Logs in as the pod's service account. */
  readonly kubeconfig: string;
}

export interface Node {
  readonly kube: KubeClient;
  readonly kubernetes: KubernetesInfo;
  /** Becomes the pod's file system. */
  readonly directory: string;
}

/** Does what a kubelet does before it starts a container: variables, mounted files, the service account's token. */
export async function podProcess(deployment: Manifest, { kube, kubernetes, directory }: Node): Promise<PodProcess> {
  const { serviceAccountName, volumes = [], containers } = podSpecOf(deployment);
  const namespace = deployment.metadata.namespace ?? "";
  const account = { name: serviceAccountName, namespace };
  const { args = [], env = [], volumeMounts = [] } = containers[0];
  const token = await kube.serviceAccountToken(account);
  writeFiles(join(directory, tokenDirectory), { token });
  for (const { name, mountPath } of volumeMounts) {
    const volume = volumes.find((one) => one.name === name);
    if (volume === undefined) throw new Error(`volumeMount ${name} has no volume`);
    writeFiles(join(directory, mountPath), await filesOf(volume, account, kube));
  }
  const mountPaths = [tokenDirectory, ...volumeMounts.map(({ mountPath }) => mountPath)];
  const moved = (text: string) =>
    mountPaths.reduce((moving, path) => moving.replace(`${path}/`, `${join(directory, path)}/`), text);
  const variables = await Promise.all(
    env.map(async (one) => [one.name, moved(await valueOf(one, namespace, kube))] as const),
  );
  return {
    args: args.filter((arg) => arg !== "run" && arg !== "webhook").map(moved),
    env: {
      // The default of a pod, which no manifest has to say.
      VAULT_K8S_TOKEN_FILE: join(directory, tokenDirectory, "token"),
      ...Object.fromEntries(variables),
    },
    kubeconfig: writeKubeconfig(kubernetes, { ...account, token }, directory),
  };
}

async function valueOf({ name, value, valueFrom }: Variable, namespace: string, kube: KubeClient): Promise<string> {
  if (value !== undefined) return value;
  if (valueFrom?.fieldRef?.fieldPath === "metadata.namespace") return namespace;
  if (valueFrom?.fieldRef?.fieldPath === "metadata.name") return "pod-0";
  if (valueFrom?.secretKeyRef === undefined) throw new Error(`variable ${name} has a source that tests do not know`);
  const { name: secret, key } = valueFrom.secretKeyRef;
  const { data } = await kube.get({ apiVersion: "v1", plural: "secrets", namespace, name: secret });
  return Buffer.from(data[key], "base64").toString("utf8");
}

/** File name → content. */
async function filesOf(
  { name, configMap, secret, projected }: Volume,
  account: { readonly name: string; readonly namespace: string },
  kube: KubeClient,
): Promise<Readonly<Record<string, string>>> {
  const { namespace } = account;
  if (configMap !== undefined) {
    return (await kube.get({ apiVersion: "v1", plural: "configmaps", namespace, name: configMap.name })).data;
  }
  if (secret !== undefined) {
    const { data } = await kube.get({ apiVersion: "v1", plural: "secrets", namespace, name: secret.secretName });
    const decoded = Object.entries(data as Record<string, string>).map(([file, content]) => [
      file,
      Buffer.from(content, "base64").toString("utf8"),
    ]);
    return Object.fromEntries(decoded);
  }
  if (projected === undefined) throw new Error(`volume ${name} has a source that tests do not know`);
  const tokens = projected.sources.map(async ({ serviceAccountToken }) => {
    if (serviceAccountToken === undefined) throw new Error(`volume ${name} projects what tests do not know`);
    const { path, audience } = serviceAccountToken;
    const audiences = audience === undefined ? {} : { audiences: [audience] };
    return [path, await kube.serviceAccountToken({ ...account, ...audiences })] as const;
  });
  return Object.fromEntries(await Promise.all(tokens));
}

function writeFiles(directory: string, files: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(files)) {
    const file = join(directory, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content, { mode: 0o600 });
  }
}
