// docs/upgrade-from-v0.md, followed from top to bottom: each way of having installed the Go operator in a cluster of its
// own, upgraded as the page says; the last of them checked, taken back and, its CRDs deleted, restored, with the operator at
// work.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, inject } from "vitest";
import { apiVersion, deleteFinalizer, softDeleteFinalizer } from "../../../src/api/kinds.ts";
import type { AuditMark } from "../../env/audit.ts";
import { readPage } from "../../env/doc-page.ts";
import { runPage } from "../../env/doc-pages.ts";
import { DocShell } from "../../env/doc-shell.ts";
import { chartDirectory } from "../../env/helm.ts";
import { eventually } from "../../env/eventually.ts";
import { kmsVaultSecret, secretPath } from "../../gen/manifests.ts";
import { type Cluster, type Memory, release, startCluster } from "../../upgrade/cluster.ts";
import type { Generation } from "../../upgrade/old-crds.ts";
import {
  applyManifests,
  createMetricsService,
  createTillersNotes,
  type ManifestOptions,
} from "../../upgrade/old-manifests.ts";
import { openWorld, type World } from "../world.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const { sections } = readPage(readFileSync(join(root, "docs", "upgrade-from-v0.md"), "utf8"));

/** In a state of Terraform's, beside what the module made. */
const othersInState = [
  "data.kubernetes_namespace_v1.all",
  "kubernetes_manifest.customresourcedefinition_certificates_cert_manager_io",
  'kubernetes_manifest.secrets["shop/kmsvaultsecrets"]',
  'kubernetes_namespace_v1.ns["shop"]',
  "kubernetes_namespace_v1.shop",
  "module.cert_manager.helm_release.release",
  "module.kms_vault_operator.kubernetes_deployment_v1.kms_vault_operator",
];

const cleanUp = new AsyncDisposableStack();
let shell: DocShell;
let cluster: Cluster;
let memory: Memory;
/** Where the operator is at work at the end. */
let shopCluster: Cluster;
let world: World;
/** The end of Vault's audit log before the objects came back. */
let mark: AuditMark;

afterAll(() => cleanUp.disposeAsync());

/** Another cluster for the same terminal. */
async function useCluster(other?: Cluster): Promise<void> {
  cluster = other ?? cleanUp.use(await startCluster());
  await shell.run(`export KUBECONFIG='${cluster.kubernetes.info.kubeconfig}'`);
}

/** One object, and one with the finalizer. */
async function createObjects(generation: Generation, namespace = release): Promise<void> {
  const login = generation === "first" ? { vaultAuthMethod: "k8s" } : {};
  const secrets = [{ key: "k", encryptedSecret: "YQ==" }];
  const spec = { path: "secret/data/shop", kvSettings: { engineVersion: "v2", casIndex: 0 }, secrets, ...login };
  await cluster.kube.create(kmsVaultSecret({ namespace, name: "plain" }, spec));
  await cluster.kube.create(kmsVaultSecret({ namespace, name: "final" }, spec, { finalizers: [deleteFinalizer] }));
  memory = await cluster.remember();
}

async function installChart(generation: Generation, on?: Cluster, ...flags: readonly string[]): Promise<void> {
  await useCluster(on);
  await cluster.helm("helm3", "install", release, await cluster.oldChart(generation), ...flags);
  await eventually(() => cluster.kube.list({ apiVersion, plural: "kmsvaultsecrets" }));
}

/** Manifests in another cluster. */
async function installManifests(labels: object, options: ManifestOptions = {}): Promise<void> {
  await useCluster();
  await applyManifests(cluster, labels, options);
}

/** Runs a section once more, where the reader comes by it again. */
async function follow(title: string): Promise<void> {
  const section = sections.find((one) => one.title === title);
  if (section === undefined) throw new Error(`the page has no section "${title}"`);
  for (const step of section.steps) await shell.follow(step);
}

async function deployment(namespace = release) {
  const { spec } = await cluster.kube.get({ apiVersion: "apps/v1", plural: "deployments", namespace, name: release });
  return { replicas: spec.replicas, labels: spec.selector.matchLabels, container: spec.template.spec.containers[0] };
}

/**
 * @param watched what WATCH_NAMESPACE says: nothing after the last generation, which worked in all namespaces
 */
async function expectUpgraded({ namespace = release, watched = "" } = {}): Promise<void> {
  const { replicas, labels, container } = await deployment(namespace);
  expect(replicas).toBe(1);
  expect(labels).toEqual({ app: release });
  expect(container.command).toEqual(["kms-vault-operator"]);
  const variable = container.env.find(({ name }: { readonly name: string }) => name === "WATCH_NAMESPACE");
  expect(variable?.value ?? "").toBe(watched);
  await cluster.expectNothingDeleted(memory);
}

/** The last chart of several revisions, upgraded, our operator at work, and objects that stand in each way. */
async function openShop(): Promise<void> {
  await installChart("last", shopCluster);
  await cluster.helm("helm3", "upgrade", release, await cluster.oldChart("last"), "--set=syncPeriodSeconds=60");
  await cluster.helm("helm3", "upgrade", release, await cluster.oldChart("last"), "--set=syncPeriodSeconds=90");
  const kvSettings = { engineVersion: "v2" };
  const secrets = await world.entries({ k: "v" });
  const create = (name: string, metadata: object = {}) =>
    world.create(name, { path: `${world.v2}/data/${name}`, kvSettings, secrets }, metadata);
  await world.foreignV2("in-sync", { k: "v" });
  await world.foreignV2("db", { k: "by hand" });
  await world.foreignV1("old", { k: "v", p: "partial" });
  await create("in-sync", { finalizers: [deleteFinalizer] });
  await create("db");
  await world.createPartial("part", { secrets: await world.entries({ p: "partial" }) });
  const includeSecrets = ["part"];
  await world.create("old", { path: `${world.v1}/old`, kvSettings: { engineVersion: "v1" }, secrets, includeSecrets });
  await follow("Before you start / The revision of the release");
  memory = await cluster.remember();
  await cluster.helm(
    "helm",
    "upgrade",
    release,
    chartDirectory,
    "--reset-then-reuse-values",
    "--set=vault.skipVerify=true",
  );
  await world.start();
  await world.settled("in-sync");
  await world.settled("old");
  await world.settled("db", "AdoptionRequired");
}

/** Whose state of Terraform holds what the module made, and more. */
async function openTerraform(): Promise<void> {
  await installManifests({ app: release }, { by: "Terraform" });
  await createObjects("last");
  const [forgotten = ""] = sections
    .filter(({ title }) => title === "The Terraform module")
    .flatMap(({ steps }) => steps.flatMap((step) => (step.kind === "command" ? [step.output.join("\n")] : [])))
    .filter((output) => output.includes("kubernetes_namespace_v1"));
  writeFileSync(join(shell.directory, "terraform.state"), `${[...othersInState, forgotten].join("\n")}\n`);
}

/** The manifests of old, and then ours, from which somebody goes back. */
async function openManifests(): Promise<void> {
  await installManifests({ name: release });
  await createObjects("first");
  await follow("Before you start / Back up");
  await follow("Plain manifests");
  await follow("Plain manifests / Into our manifests");
  await expectUpgraded();
}

/** What the page warns of. */
async function deleteCrds(): Promise<void> {
  await useCluster(shopCluster);
  await follow("Before you start / Back up");
  await cluster.helm("helm", "uninstall", release);
  await eventually(async () => expect(await listed()).toEqual([["in-sync", true]]));
  mark = await world.mark();
}

/** The objects that are there, and whether they are being deleted. */
async function listed() {
  const all = await cluster.kube.list({ apiVersion, plural: "kmsvaultsecrets" });
  return all.map(({ metadata }) => [metadata.name, metadata.deletionTimestamp !== undefined]);
}

/** Our operator finds the objects as they were, and writes no data. */
async function expectRestored(): Promise<void> {
  await follow("Plain manifests / Into the chart");
  await world.start();
  for (const name of ["in-sync", "db", "old"]) await world.settled(name);
  expect(await listed()).toEqual([
    ["db", false],
    ["in-sync", false],
    ["old", false],
  ]);
  expect(await world.finalizersOf("in-sync")).toEqual([deleteFinalizer]);
  await world.operator.stop();
  expect(await world.atV2("in-sync")).toEqual({ k: "v" });
  expect(await world.versionOf("in-sync")).toBe(1);
  expect(await world.atV2("db")).toEqual({ k: "v" });
  expect(await world.versionOf("db")).toBe(2);
  expect(await world.atV1("old")).toEqual({ k: "v", p: "partial" });
  const asked = await world.asked(mark);
  expect(asked.map(({ path }) => path)).toContain(`${world.v2}/data/in-sync`);
  const changes = asked.filter(({ operation }) => operation !== "read");
  expect(changes.filter(({ path }) => !path.startsWith(`${world.v2}/metadata/`))).toEqual([]);
  expect(changes.filter(({ operation }) => operation === "delete")).toEqual([]);
}

runPage("docs/upgrade-from-v0.md", {
  async open() {
    const programs = { terraform: join(root, "test", "upgrade", "terraform.sh") };
    shell = await DocShell.open({ stack: inject("stack"), programs });
    shopCluster = cleanUp.use(await startCluster());
    const servers = { kubernetes: shopCluster.kubernetes.info };
    world = cleanUp.use(await openWorld({ servers, args: ["--sync-period-seconds=0"] }));
    return shell;
  },
  replace: () => ({ "-n shop": `-n ${world.namespace}` }),
  before: {
    "Before you start / Which installation is it": async () => {
      // Which that operator ignored.
      await installChart("last", undefined, `--set=watchNamespace=${release}`);
      await createObjects("last");
    },
    "The last chart / Helm finds no matches for a kind": async () => {
      await installChart("last");
      await createObjects("last");
      await cluster.ageRelease();
    },
    "The first chart": async () => {
      await installChart("first");
      await createObjects("first");
      await createMetricsService(cluster);
    },
    "The first chart / A release of Helm 2": async () => {
      await installManifests({ name: release });
      await createObjects("first");
      await shell.run(`kubectl -n ${release} delete deployment ${release}`);
      for (const name of [release, "another"]) await createTillersNotes(cluster, name);
    },
    "Plain manifests": async () => {
      await installManifests({ name: release });
      await createObjects("first");
      await createMetricsService(cluster);
    },
    "Plain manifests / Into the chart": async () => {
      await installManifests({ name: release });
      await createObjects("first");
      await shell.run(`kubectl -n ${release} delete deployment ${release}`);
    },
    Kustomize: async () => {
      await installManifests({ "control-plane": "controller-manager" }, { namespace: "vault", by: "kustomize" });
      await createObjects("last", "vault");
    },
    "The Terraform module": openTerraform,
    "The Terraform module / The chart in its place": async () => {
      await shell.run(`kubectl -n ${release} delete deployment/${release} sa/${release} role/${release}`);
    },
    "How to check": openShop,
    "Going back / Fields": async () => {
      await cluster.expectNothingDeleted(memory);
      const binary = { path: `${world.v2}/data/binary`, deletionPolicy: "Destroy" };
      const [entry] = await world.entries({ k: "v" });
      await world.sync("binary", { ...binary, secrets: [{ ...entry, encoding: "utf8" }] });
    },
    "Going back / Finalizers": async () => {
      await world.edit("in-sync", { deletionPolicy: "Destroy" });
      await world.edit("db", { deletionPolicy: "SoftDelete" });
      await world.settled("db");
      expect(await world.finalizersOf("db")).toEqual([softDeleteFinalizer]);
    },
    "Going back / Back by manifests": openManifests,
    "If the CRDs were deleted / Stop the operator": deleteCrds,
  },
  after: {
    "The last chart": () => expectUpgraded(),
    "The last chart / Helm finds no matches for a kind": () => expectUpgraded(),
    "The first chart": () => expectUpgraded({ watched: release }),
    "The first chart / A release of Helm 2": async () => {
      await expectUpgraded({ watched: release });
      const notes = await cluster.kube.list({ apiVersion: "v1", plural: "configmaps", namespace: "kube-system" });
      const names = notes.filter(({ metadata }) => metadata.labels?.OWNER === "TILLER");
      expect(names.map(({ metadata }) => metadata.name)).toEqual(["another.v1"]);
    },
    "Plain manifests / Into our manifests": () => expectUpgraded(),
    "Plain manifests / Into the chart": () => expectUpgraded({ watched: release }),
    Kustomize: () => expectUpgraded({ namespace: "vault" }),
    "The Terraform module / The chart in its place": () => expectUpgraded(),
    "The Terraform module": async () => {
      const left = readFileSync(join(shell.directory, "terraform.state"), "utf8");
      expect(left.trim().split("\n")).toEqual(othersInState);
    },
    "How to check / Adopt or not": async () => {
      expect(await world.atV2("db")).toEqual({ k: "v" });
      expect(await world.versionOf("db")).toBe(2);
      expect(await world.versionOf("in-sync")).toBe(1);
    },
    "Going back / Fields": async () => {
      await expect(world.get("binary")).rejects.toThrow("404");
      expect(await world.atV2("binary")).toEqual({ k: "v" });
      // The reader deleted that one; none of the others from here on.
      memory = await cluster.remember();
    },
    "Going back / Back by Helm": async () => {
      await world.operator.stop();
      expect(await world.finalizersOf("db")).toEqual([]);
      expect(await world.finalizersOf("in-sync")).toEqual([deleteFinalizer]);
      expect(await world.versionOf("db")).toBe(2);
      const { container } = await deployment();
      expect(container.command).toEqual(["/manager"]);
      expect(container.args).toContain("--sync-period-seconds=90");
      expect((await world.get("db")).spec.kvSettings).toEqual({ engineVersion: "v2" });
      await cluster.expectNothingDeleted(memory);
    },
    "Going back / Back by manifests": async () => {
      expect((await deployment()).labels).toEqual({ name: release });
      await cluster.expectNothingDeleted(memory);
      // The first CRD is there again.
      const edit = { spec: { vaultAuthMethod: null } };
      await eventually(() =>
        expect(cluster.kube.patch(secretPath({ namespace: release, name: "plain" }), edit)).rejects.toThrow("422"),
      );
    },
    "If the CRDs were deleted / Put the objects back": expectRestored,
  },
});
