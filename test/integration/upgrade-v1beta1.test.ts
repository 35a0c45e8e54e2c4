// CRDs that were created through apiextensions.k8s.io/v1beta1, as those of 2019 were, are stored as no API server takes them
// any more: with preserveUnknownFields: true and a schema without types. Ours go over them all the same; unknown fields are
// kept until the guide's command says otherwise.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { chartDirectory } from "../env/helm.ts";
import { eventually } from "../env/eventually.ts";
import { kmsVaultSecret, secretPath } from "../gen/manifests.ts";
import { type Cluster, release, startCluster } from "../upgrade/cluster.ts";
import { applyOldCrds, oldCrds } from "../upgrade/old-crds.ts";

const definitions = "/registry/apiextensions.k8s.io/customresourcedefinitions/";
const crds = join(import.meta.dirname, "..", "..", "deploy", "crds");
let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster[Symbol.asyncDispose]());

/** Puts the first generation's CRDs there as v1beta1 stored them. */
async function storeOldCrds(): Promise<void> {
  const { etcd } = cluster.kubernetes;
  await applyOldCrds(cluster.kube, "first");
  for (const [key, value] of await etcd.at(await etcd.revision(), definitions)) {
    const stored = JSON.parse(value);
    stored.spec.preserveUnknownFields = true;
    // v1beta1 is how they are stored to this day.
    delete stored.spec.validation.openAPIV3Schema.type;
    delete stored.spec.validation.openAPIV3Schema["x-kubernetes-preserve-unknown-fields"];
    // Applied through v1beta1 by a client that knew no field managers.
    delete stored.metadata.managedFields;
    await etcd.put(key, JSON.stringify(stored));
  }
  for (const { metadata } of oldCrds("first")) {
    await eventually(async () => expect((await crd(metadata.name)).spec.preserveUnknownFields).toBe(true));
  }
}

function crd(name: string) {
  const plural = "customresourcedefinitions";
  return cluster.kube.get({ apiVersion: "apiextensions.k8s.io/v1", plural, name });
}

/** Ours hold, and once the guide's command has been run unknown fields are dropped. */
async function expectOurs(): Promise<void> {
  const at = { namespace: release, name: "object" };
  const create = (path: string) =>
    cluster.kube.create(kmsVaultSecret(at, { path, colour: "red", secrets: [{ key: "k", emptySecret: true }] }));
  await eventually(() => expect(create("kv/../x")).rejects.toThrow("path must not have a segment"));
  for (const { metadata } of oldCrds("first")) {
    await kubectl("patch", "crd", metadata.name, "--type=merge", "-p", '{"spec":{"preserveUnknownFields":false}}');
  }
  await eventually(async () => {
    const { spec } = await create("kv/x");
    await cluster.kube.delete(secretPath(at));
    expect(spec).not.toHaveProperty("colour");
  });
}

async function kubectl(...args: readonly string[]): Promise<void> {
  await promisify(execFile)(inject("stack").programs.kubectl ?? "kubectl", args, { env: cluster.environment });
}

test.each([{ flags: ["--server-side", "--force-conflicts"] }, { flags: [] }])(
  "kubectl apply $flags",
  async ({ flags }) => {
    await storeOldCrds();
    await kubectl("apply", ...flags, "-f", crds);
    await expectOurs();
  },
);

test.each([
  ["helm3", ["--take-ownership"]],
  // It applies on the server, where the CRDs have another manager.
  ["helm", ["--take-ownership", "--force-conflicts"]],
] as const)("%s upgrade --install %s", async (helm, flags) => {
  await storeOldCrds();
  await cluster.helm(helm, "upgrade", "--install", release, chartDirectory, ...flags);
  await expectOurs();
  await cluster.helm(helm, "uninstall", release);
});
