// Our CRDs, as a cluster gets them.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { eventually } from "./eventually.ts";
import { KubeClient, type Manifest } from "./kube-client.ts";
import type { KubernetesInfo } from "./kubernetes.ts";

const crdDirectory = join(import.meta.dirname, "..", "..", "deploy", "crds");

/** Applies every CRD of deploy/crds and resolves when the API server serves them. */
export async function applyCrds(kubernetes: KubernetesInfo): Promise<void> {
  const kube = new KubeClient(kubernetes);
  const crds = await readCrds();
  await Promise.all(crds.map((crd) => kube.apply(crd)));
  await Promise.all(crds.map((crd) => eventually(() => expectServed(kube, crd))));
  await kube.close();
}

async function readCrds(): Promise<Manifest[]> {
  const files = (await readdir(crdDirectory)).filter((file) => file.endsWith(".yaml"));
  if (files.length === 0) throw new Error(`${crdDirectory} holds no CRD; run "make generate"`);
  const texts = await Promise.all(files.map((file) => readFile(join(crdDirectory, file), "utf8")));
  return texts.flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as Manifest));
}

async function expectServed(kube: KubeClient, crd: Manifest): Promise<void> {
  const found = await kube.get({
    apiVersion: crd.apiVersion,
    plural: "customresourcedefinitions",
    name: crd.metadata.name,
  });
  const conditions: Array<{ type: string; status: string }> = found.status?.conditions ?? [];
  if (!conditions.some(({ type, status }) => type === "Established" && status === "True")) {
    throw new Error(`${crd.metadata.name} is not served: ${JSON.stringify(conditions)}`);
  }
}
