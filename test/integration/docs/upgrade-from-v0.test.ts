// docs/upgrade-from-v0.md, followed from top to bottom: each way of having installed the Go operator in a cluster of its
// own, upgraded as the page says; the last of them checked and taken back with the operator at work.
import { afterAll, expect, inject } from "vitest";
import { apiVersion, deleteFinalizer, softDeleteFinalizer } from "../../../src/api/kinds.ts";
import { runPage } from "../../env/doc-pages.ts";
import { DocShell } from "../../env/doc-shell.ts";
import { chartDirectory } from "../../env/helm.ts";
import { eventually } from "../../env/eventually.ts";
import { kmsVaultSecret } from "../../gen/manifests.ts";
import { type Cluster, type Memory, release, startCluster } from "../../upgrade/cluster.ts";
import { applyOldCrds, type Generation } from "../../upgrade/old-crds.ts";
import { openWorld, type World } from "../world.ts";

const cleanUp = new AsyncDisposableStack();
let shell: DocShell;
let cluster: Cluster;
let memory: Memory;
/** Where the operator is at work at the end. */
let shopCluster: Cluster;
let world: World;

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

async function installChart(generation: Generation, on?: Cluster): Promise<void> {
  await useCluster(on);
  await cluster.helm("helm3", "install", release, await cluster.oldChart(generation));
  await eventually(() => cluster.kube.list({ apiVersion, plural: "kmsvaultsecrets" }));
}

/** The Deployment, the ServiceAccount and the rights of manifests that no chart made. */
async function applyManifests(labels: object, { namespace = release, kustomize = false } = {}): Promise<void> {
  await useCluster();
  await applyOldCrds(cluster.kube, kustomize ? "last" : "first");
  if (namespace !== release)
    await cluster.kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  const metadata = { name: release, namespace };
  const container = { name: release, image: "patoarvizu/kms-vault-operator:latest" };
  const spec = {
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers: [container] } },
  };
  await cluster.kubectlApply(
    { apiVersion: "v1", kind: "ServiceAccount", metadata },
    { apiVersion: "apps/v1", kind: "Deployment", metadata, spec },
    ...rightsOf(namespace, kustomize),
  );
}

function rightsOf(namespace: string, kustomize: boolean) {
  const rbac = "rbac.authorization.k8s.io";
  const rules = [{ apiGroups: ["k8s.patoarvizu.dev"], resources: ["*"], verbs: ["*"] }];
  const pair = (kind: "Role" | "ClusterRole", name: string, binding: string) => {
    const at = kind === "Role" ? { namespace } : {};
    return [
      { apiVersion: `${rbac}/v1`, kind, metadata: { name, ...at }, rules },
      {
        apiVersion: `${rbac}/v1`,
        kind: `${kind}Binding`,
        metadata: { name: binding, ...at },
        roleRef: { apiGroup: rbac, kind, name },
        subjects: [{ kind: "ServiceAccount", name: release, namespace }],
      },
    ];
  };
  if (!kustomize) return pair("Role", release, release);
  return [
    ...pair("ClusterRole", "manager-role", "manager-rolebinding"),
    ...pair("Role", "leader-election-role", "leader-election-rolebinding"),
  ];
}

async function expectUpgraded(namespace = release): Promise<void> {
  const path = { apiVersion: "apps/v1", plural: "deployments", namespace, name: release };
  const { spec } = await cluster.kube.get(path);
  expect(spec.selector.matchLabels).toEqual({ app: release });
  expect(spec.template.spec.containers[0].command).toEqual(["kms-vault-operator"]);
  await cluster.expectNothingDeleted(memory);
}

/** The last chart upgraded, our operator at work, and objects that stand in each way. */
async function openShop(): Promise<void> {
  await installChart("last", shopCluster);
  const kvSettings = { engineVersion: "v2" };
  const secrets = await world.entries({ k: "v" });
  const create = (name: string, metadata: object = {}) =>
    world.create(name, { path: `${world.v2}/data/${name}`, kvSettings, secrets }, metadata);
  await world.foreignV2("in-sync", { k: "v" });
  await world.foreignV2("db", { k: "by hand" });
  await create("in-sync", { finalizers: [deleteFinalizer] });
  await create("db");
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
  await world.settled("db", "AdoptionRequired");
}

runPage("docs/upgrade-from-v0.md", {
  async open() {
    shell = await DocShell.open({ stack: inject("stack") });
    shopCluster = cleanUp.use(await startCluster());
    const servers = { kubernetes: shopCluster.kubernetes.info };
    world = cleanUp.use(await openWorld({ servers, args: ["--sync-period-seconds=0"] }));
    return shell;
  },
  replace: () => ({ "-n shop": `-n ${world.namespace}` }),
  before: {
    "Before you start / Which installation is it": async () => {
      await installChart("last");
      await createObjects("last");
    },
    "The first chart": async () => {
      await installChart("first");
      await createObjects("first");
      await createMetricsService();
    },
    "Plain manifests": async () => {
      await applyManifests({ name: release });
      await createObjects("first");
      await createMetricsService();
    },
    "Plain manifests / Into the chart": async () => {
      await applyManifests({ name: release });
      await createObjects("first");
      await shell.run(`kubectl -n ${release} delete deployment ${release}`);
    },
    Kustomize: async () => {
      await applyManifests({ "control-plane": "controller-manager" }, { namespace: "vault", kustomize: true });
      await createObjects("last", "vault");
    },
    "How to check": openShop,
    "Going back": async () => {
      await world.edit("in-sync", { deletionPolicy: "Destroy" });
      await world.edit("db", { deletionPolicy: "SoftDelete" });
      await world.settled("db");
      expect(await world.finalizersOf("db")).toEqual([softDeleteFinalizer]);
    },
  },
  after: {
    "The last chart": () => expectUpgraded(),
    "The first chart": () => expectUpgraded(),
    "Plain manifests / Into our manifests": () => expectUpgraded(),
    "Plain manifests / Into the chart": () => expectUpgraded(),
    Kustomize: () => expectUpgraded("vault"),
    "How to check / Adopt or not": async () => {
      expect(await world.atV2("db")).toEqual({ k: "v" });
      expect(await world.versionOf("db")).toBe(2);
      expect(await world.versionOf("in-sync")).toBe(1);
    },
    "Going back": async () => {
      await world.operator.stop();
      expect(await world.finalizersOf("db")).toEqual([]);
      expect(await world.finalizersOf("in-sync")).toEqual([deleteFinalizer]);
      expect(await world.versionOf("db")).toBe(2);
      const { spec } = await cluster.kube.get({
        apiVersion: "apps/v1",
        plural: "deployments",
        namespace: release,
        name: release,
      });
      expect(spec.template.spec.containers[0].command).toEqual(["/manager"]);
      expect((await world.get("db")).spec.kvSettings).toEqual({ engineVersion: "v2" });
      await cluster.expectNothingDeleted(memory);
    },
  },
});

/** As the operator of 2019 made it at its start. */
async function createMetricsService(): Promise<void> {
  const metadata = { name: "kms-vault-operator-metrics", namespace: release };
  const spec = { selector: { name: release }, ports: [{ name: "metrics", port: 8383 }] };
  await cluster.kube.create({ apiVersion: "v1", kind: "Service", metadata, spec });
}
