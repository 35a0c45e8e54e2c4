// docs/install.md, followed on a cluster that nobody has touched: each way of installing leads to an operator that works (as
// a process, nodes.ts), and each fragment of values to manifests that an API server takes.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, inject, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { DocShell } from "../../env/doc-shell.ts";
import { runPage } from "../../env/doc-pages.ts";
import { eventually } from "../../env/eventually.ts";
import { renderChart } from "../../env/helm.ts";
import { KmsTestClient } from "../../env/kms-client.ts";
import { KubeClient } from "../../env/kube-client.ts";
import { startStack, type Stack } from "../../env/stack.ts";
import { uniqueName } from "../../env/unique.ts";
import { VaultClient } from "../../env/vault-client.ts";
import { kmsVaultSecret, secretPath } from "../../gen/manifests.ts";
import { kubectl } from "../pods.ts";
import { Nodes } from "./nodes.ts";

const page = readFileSync(join(import.meta.dirname, "..", "..", "..", "docs", "install.md"), "utf8");
const topics = page.split("## Values by topic\n")[1]?.split(/^## /m)[0] ?? "";
const fragments = [...topics.matchAll(/^```yaml\n([^]*?)^```/gm)].map(([, text = ""]) => text);
const manifests = [...page.matchAll(/^```yaml (argocd|flux)\.yaml\n([^]*?)^```/gm)].map(([, , text = ""]) => text);

const cleanUp = new AsyncDisposableStack();
let stack: Stack;
let nodes: Nodes;
let vault: VaultClient;
let kube: KubeClient;
let kms: KmsTestClient;
let key: string;

afterAll(() => cleanUp.disposeAsync());

runPage("docs/install.md", {
  explain: () => nodes.problems.join("\n"),
  async open() {
    stack = await startStack({ programs: inject("stack").programs });
    cleanUp.defer(() => stack.stop());
    vault = new VaultClient(stack.info.vault);
    kube = new KubeClient(stack.info.kubernetes);
    kms = new KmsTestClient(stack.info.kms);
    cleanUp.defer(async () => void (await Promise.all([vault.close(), kube.close(), kms.close()])));
    key = await kms.createKey();
    await vault.write("sys/mounts/secret", { type: "kv", options: { version: "2" } });
    await eventually(async () => expect(await vault.read("secret/config")).toBeDefined());
    await kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } });
    nodes = cleanUp.use(new Nodes(stack.info));
    return DocShell.open({ stack: stack.info });
  },
  replace: () => ({ "https://vault.example.com:8200": stack.info.vault.address, "eu-west-1": "us-east-1" }),
  before: {
    "Kustomize / Your kustomization": makeSecrets,
    // One that would take its data along.
    "Remove everything / Keep the data in Vault": () => createWritten("kept"),
    // As somebody has it who installed the webhook by its files.
    async "Remove everything / Objects, operator, CRDs"() {
      await kubectl(stack.info.kubernetes, ["apply", "-f", "deploy/webhook"]);
    },
  },
  after: {
    "Helm / Install": expectWritten,
    "Helm / Upgrade": expectWritten,
    "Helm / Back to the revision before": expectWritten,
    "Chart without a release / Apply": expectWritten,
    "Kustomize / Your kustomization": expectWritten,
    async "Remove everything / Objects, operator, CRDs"() {
      expect((await vault.read("secret/data/kept"))?.data).toEqual({ k: "kept" });
      const left = await kube.list({ apiVersion: "apps/v1", plural: "deployments" });
      expect(left).toEqual([]);
      // Those of the webhook that this section alone takes away, cluster-wide ones among them.
      for (const [apiVersion, plural] of [
        ["admissionregistration.k8s.io/v1", "validatingwebhookconfigurations"],
        ["rbac.authorization.k8s.io/v1", "clusterroles"],
        ["rbac.authorization.k8s.io/v1", "clusterrolebindings"],
      ] as const) {
        const names = (await kube.list({ apiVersion, plural })).map(({ metadata }) => metadata.name);
        expect(names.filter((name) => name.startsWith("kms-vault-"))).toEqual([]);
      }
    },
  },
});

test("the fragments of values are rendered, and taken by an API server", { timeout: 180_000 }, async () => {
  expect(fragments.length).toBeGreaterThan(10);
  const { kubernetes } = inject("stack");
  for (const fragment of fragments) {
    const { manifests: rendered } = await renderChart(parse(fragment), { namespace: "default" });
    // The kinds of others are not in this cluster; and namespaces that a fragment names need not be.
    const items = rendered.filter(
      ({ apiVersion, metadata }) =>
        !/monitoring\.coreos|cert-manager/.test(apiVersion) && [undefined, "default"].includes(metadata.namespace),
    );
    const list = JSON.stringify({ apiVersion: "v1", kind: "List", items });
    await kubectl(kubernetes, ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-"], list);
  }
});

test("what Argo CD and Flux are given as values is taken by the chart", async () => {
  const documents = manifests.flatMap((text) => parseAllDocuments(text).map((one) => one.toJS()));
  const values = documents.map(({ spec }) => spec.values ?? spec.source?.helm.valuesObject).filter(Boolean);
  expect(values).toHaveLength(2);
  for (const given of values) expect((await renderChart(given)).manifests.length).toBeGreaterThan(10);
});

/** What the page has under Before: it went with the namespace. */
async function makeSecrets(): Promise<void> {
  const namespace = "kms-vault-operator";
  await kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  const secrets = {
    "vault-ca": { "ca.crt": stack.info.vault.caPem },
    "aws-credentials": { AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" },
  };
  for (const [name, stringData] of Object.entries(secrets)) {
    await kube.create({ apiVersion: "v1", kind: "Secret", metadata: { name, namespace }, stringData });
  }
}

/** The operator that was installed writes a secret. */
async function expectWritten(): Promise<void> {
  const name = uniqueName("written");
  await createWritten(name);
  await kube.delete(secretPath({ namespace: "shop", name }));
  await eventually(async () => expect(await vault.read(`secret/metadata/${name}`)).toBeUndefined());
}

/** An object whose data goes with it, and that is in Vault. */
async function createWritten(name: string): Promise<void> {
  const secrets = [{ key: "k", encryptedSecret: await kms.encrypt(key, name) }];
  const spec = { path: `secret/data/${name}`, deletionPolicy: "Destroy", secrets };
  await kube.create(kmsVaultSecret({ namespace: "shop", name }, spec));
  await eventually(async () => expect((await vault.read(spec.path))?.data).toEqual({ k: name }), { timeoutMs: 30_000 });
}
