// A release of a chart as the Go operator's were, with objects in the cluster, upgraded in place to ours by either Helm,
// rolled back, uninstalled: no object and no CRD is ever deleted, and the Deployments stay the ones they were.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { applyForeignCrds } from "../env/foreign-crds.ts";
import { chartDirectory } from "../env/helm.ts";
import { kmsVaultSecret, partialKMSVaultSecret } from "../gen/manifests.ts";
import { type Cluster, type Helm, type Memory, release, startCluster } from "../upgrade/cluster.ts";
import { eventually } from "../env/eventually.ts";
import type { Generation } from "../upgrade/old-crds.ts";

const kvSettings = { engineVersion: "v2", casIndex: 0 };
const secrets = [{ key: "k", encryptedSecret: "YQ==" }];
const verifying = ["--set=vault.skipVerify=false"];
let cluster: Cluster;
let before: Memory;

/** Installs the old chart by Helm 3 and creates objects, one of them with the finalizer. */
async function install(generation: Generation, ...flags: readonly string[]): Promise<void> {
  cluster = await startCluster();
  await applyForeignCrds(cluster.kube);
  await cluster.helm("helm3", "install", release, await cluster.oldChart(generation), ...flags);
  const spec = {
    path: "secret/data/shop",
    kvSettings,
    secrets,
    ...(generation === "first" && { vaultAuthMethod: "k8s" }),
  };
  const at = { namespace: release };
  await eventually(() => cluster.kube.create(partialKMSVaultSecret({ ...at, name: "partial" }, { secrets })));
  await cluster.kube.create(kmsVaultSecret({ ...at, name: "plain" }, spec));
  await cluster.kube.create(kmsVaultSecret({ ...at, name: "final" }, spec, { finalizers: [deleteFinalizer] }));
  before = await cluster.remember();
}

function upgrade(helm: Helm, ...flags: readonly string[]): Promise<string> {
  return cluster.helm(helm, "upgrade", release, chartDirectory, ...flags);
}

function deployment(name: string = release) {
  return cluster.kube.get({ apiVersion: "apps/v1", plural: "deployments", namespace: release, name });
}

async function crds() {
  const all = await cluster.kube.list({ apiVersion: "apiextensions.k8s.io/v1", plural: "customresourcedefinitions" });
  return all.filter(({ spec }) => spec.group === "k8s.patoarvizu.dev");
}

describe.each<Helm>(["helm3", "helm"])("the last chart, upgraded by %s", (helm) => {
  let uids: readonly string[];
  const webhook = [
    "--set=validatingWebhook.enabled=true",
    "--set=validatingWebhook.failurePolicy=Ignore",
    "--set=validatingWebhook.certManager.apiVersion=cert-manager.io/v1",
    "--set=global.prometheusMonitoring.enable=true",
  ];
  const names = [release, "kms-vault-validating-webhook"];
  const uidsNow = async () =>
    (await Promise.all(names.map((name) => deployment(name)))).map(({ metadata }) => metadata.uid);

  beforeAll(async () => {
    await install("last", ...webhook);
    uids = await uidsNow();
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  test("is refused while nobody has said whether Vault's certificate is verified; nothing changes", async () => {
    const { metadata } = await deployment();
    await expect(upgrade(helm, "--reset-then-reuse-values")).rejects.toThrow("tls.enable was false unless set");
    expect((await deployment()).metadata.resourceVersion).toBe(metadata.resourceVersion);
  });

  test("goes in place: the same Deployments, our image and command, CRDs that stay", async () => {
    await upgrade(
      helm,
      "--reset-then-reuse-values",
      ...verifying,
      "--set=validatingWebhook.certManager.apiVersion=cert-manager.io/v1",
    );
    expect(await uidsNow()).toEqual(uids);
    const { spec } = await deployment();
    expect(spec.selector.matchLabels).toEqual({ app: release });
    const [container] = spec.template.spec.containers;
    expect(container.command).toEqual(["kms-vault-operator"]);
    const variables = container.env.map(({ name }: { readonly name: string }) => name);
    expect(variables).toEqual(expect.arrayContaining(["VAULT_ADDR", "VAULT_K8S_ROLE", "POD_NAMESPACE"]));
    expect(variables).not.toContain("VAULT_SKIP_VERIFY");
    for (const { metadata } of await crds()) expect(metadata.annotations["helm.sh/resource-policy"]).toBe("keep");
    await cluster.expectNothingDeleted(before);
  });

  test("there is one webhook configuration, with our conditions", async () => {
    const apiVersion = "admissionregistration.k8s.io/v1";
    const all = await cluster.kube.list({ apiVersion, plural: "validatingwebhookconfigurations" });
    expect(all.map(({ metadata }) => metadata.name)).toEqual(["kms-vault-validating-webhook"]);
    expect(all[0].webhooks).toHaveLength(1);
    expect(all[0].webhooks[0].matchConditions).toHaveLength(2);
  });

  test("a rollback to the old chart and an upgrade again delete nothing either", async () => {
    await cluster.helm(helm, "rollback", release, "1");
    expect(await uidsNow()).toEqual(uids);
    expect((await deployment()).spec.template.spec.containers[0].command).toEqual(["/manager"]);
    await upgrade(
      helm,
      "--reset-then-reuse-values",
      ...verifying,
      "--set=validatingWebhook.certManager.apiVersion=cert-manager.io/v1",
    );
    expect(await uidsNow()).toEqual(uids);
    await cluster.expectNothingDeleted(before);
  });

  test("uninstalled, the CRDs and all objects stay", async () => {
    await cluster.helm(helm, "uninstall", release);
    await expect(deployment()).rejects.toThrow("404");
    expect(await crds()).toHaveLength(2);
    await cluster.expectNothingDeleted(before);
  });

  test("and the next installation takes the CRDs over", async () => {
    await cluster.helm(helm, "install", release, chartDirectory);
    await cluster.expectNothingDeleted(before);
  });
});

describe("the first chart", () => {
  beforeAll(() => install("first"));
  afterAll(() => cluster[Symbol.asyncDispose]());

  test("is refused in place: its Deployment selects by another label; nothing changes", async () => {
    const { metadata } = await deployment();
    const refused = upgrade("helm3", "--reset-then-reuse-values", ...verifying);
    await expect(refused).rejects.toThrow("kubectl -n kms-vault-operator delete deployment kms-vault-operator");
    expect((await deployment()).metadata).toEqual(metadata);
  });

  test("goes once that Deployment is deleted; objects and CRDs stay throughout", async () => {
    await cluster.kube.delete({ apiVersion: "apps/v1", plural: "deployments", namespace: release, name: release });
    await upgrade("helm", "--reset-then-reuse-values", ...verifying);
    expect((await deployment()).spec.selector.matchLabels).toEqual({ app: release });
    await cluster.expectNothingDeleted(before);
    await cluster.helm("helm", "uninstall", release);
    expect(await crds()).toHaveLength(2);
    await cluster.expectNothingDeleted(before);
  });
});

test("what the checks are for: a chart without the CRDs deletes every object, and that is seen", async () => {
  await install("last");
  await using _ = cluster;
  await cluster.helm("helm3", "upgrade", release, await cluster.oldChart("last", { crds: false }));
  await expect(cluster.expectNothingDeleted(before)).rejects.toThrow(/at revision \d+/);
});
