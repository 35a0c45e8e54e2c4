// The operator's own identity: the service account, roles and bindings of deploy/, put into a namespace of the test, and
// a kubeconfig that logs in with them. So a test runs with exactly the rights that a user installs.
import { existsSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import type { KubeClient, Manifest } from "./kube-client.ts";
import { type KubernetesInfo, renderKubeconfig } from "./kubernetes.ts";

const deployDirectory = join(import.meta.dirname, "..", "..", "deploy");
const operatorFiles = ["service_account.yaml", "role.yaml", "role_binding.yaml"];

export interface ServiceAccount {
  readonly name: string;
  readonly namespace: string;
  readonly token: string;
}

/**
 * Applies deploy/{service_account,role,role_binding}.yaml, or other files of deploy/, with `namespace` in place of theirs.
 * @returns the service account, with a token for an hour
 */
export async function installServiceAccount(
  kube: KubeClient,
  namespace: string,
  files: readonly string[] = operatorFiles,
): Promise<ServiceAccount> {
  const manifests = (await Promise.all(files.map(readManifests))).flat().map((manifest) => moveTo(manifest, namespace));
  for (const manifest of manifests) await kube.apply(manifest);
  const account = manifests.find(({ kind }) => kind === "ServiceAccount");
  if (account === undefined) throw new Error(`${files.join(", ")} hold no ServiceAccount`);
  const { name } = account.metadata;
  return { name, namespace, token: await kube.serviceAccountToken({ name, namespace }) };
}

/** Writes a kubeconfig that logs in as the service account. @returns its path */
export function writeKubeconfig(kubernetes: KubernetesInfo, account: ServiceAccount, directory: string): string {
  const file = join(directory, "kubeconfig");
  const { server, caPem } = kubernetes;
  const user = { token: account.token };
  const content = renderKubeconfig({ server, caPem, user, namespace: account.namespace });
  writeFileSync(file, content, { mode: 0o600 });
  return file;
}

async function readManifests(file: string): Promise<Manifest[]> {
  const path = join(deployDirectory, file);
  if (!existsSync(path)) return [];
  return parseAllDocuments(await readFile(path, "utf8")).map((document) => document.toJS() as Manifest);
}

/** Namespaced objects go into the namespace; cluster-wide bindings get a name of their own, or tests would share one. */
function moveTo(manifest: Manifest, namespace: string): Manifest {
  const isClusterWide = manifest.kind.startsWith("Cluster");
  const subjects = (manifest["subjects"] as Array<Record<string, string>> | undefined)?.map((subject) =>
    subject["kind"] === "ServiceAccount" ? { ...subject, namespace } : subject,
  );
  const { name } = manifest.metadata;
  const metadata = isClusterWide
    ? { ...manifest.metadata, name: manifest.kind === "ClusterRoleBinding" ? `${name}-${namespace}` : name }
    : { ...manifest.metadata, namespace };
  return { ...manifest, metadata, ...(subjects !== undefined && { subjects }) };
}
