// vitest's global setup: one stack for the whole run, with our CRDs in it. Test files get a namespace and a mount of
// their own in it (context.ts); files that stop or seal a server start one of their own (private.ts).
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { parseAllDocuments } from "yaml";
import { bundle } from "../../tools/bundle.ts";
import { timedProgress } from "../../tools/toolchain/progress.ts";
import { resolveToolchain } from "../../tools/toolchain/resolve.ts";
import { eventually } from "./eventually.ts";
import { KubeClient, type Manifest } from "./kube-client.ts";
import type { KubernetesInfo } from "./kubernetes.ts";
import { type StackInfo, startStack } from "./stack.ts";

declare module "vitest" {
  interface ProvidedContext {
    stack: StackInfo;
    /** The operator as `make build` would bundle it, from the source as it is now. */
    operatorProgram: string;
  }
}

const crdDirectory = join(import.meta.dirname, "..", "..", "deploy", "crds");

/** Starts the stack; the function returned stops it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const programs = await resolveToolchain(["etcd", "kube-apiserver", "kubectl", "bao"], timedProgress(process.stderr));
  const stack = await startStack({ programs });
  try {
    const [operator] = await Promise.all([
      bundle(join(stack.info.directory, "operator")),
      applyCrds(stack.info.kubernetes),
    ]);
    project.provide("stack", stack.info);
    project.provide("operatorProgram", operator.main);
  } catch (error) {
    await stack.stop();
    throw error;
  }
  return () => stack.stop();
}

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
