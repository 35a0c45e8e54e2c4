// `helm install`, `helm upgrade` and `helm uninstall` on an API server that has none of our kinds yet, with the present
// Helm and the one before it: what is installed is what was rendered, an upgrade that changes nothing changes nothing, and
// the kinds with their objects outlive the release.
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import {
  chartDirectory,
  type HelmProgram,
  objectOf,
  type Rendered,
  renderChart,
  runHelm,
  type Values,
} from "../env/helm.ts";
import { KubeClient, pathOf } from "../env/kube-client.ts";
import { type Stack, startStack } from "../env/stack.ts";
import { kmsVaultSecret, secretPath } from "../gen/manifests.ts";

const release = "kms-vault-operator";
const values: Values = {
  serviceAccountLogin: { enabled: true },
  policy: { enabled: true, rules: [{ name: "all", vaultPaths: ["**"] }] },
  networkPolicy: { enabled: true },
  validatingWebhook: { enabled: true, replicas: 2, certificates: "selfSigned" },
};

describe.each(["helm", "helm3"] as const)("%s", (program: HelmProgram) => {
  let stack: Stack;
  let kube: KubeClient;
  let rendered: Rendered;

  beforeAll(async () => {
    stack = await startStack({ programs: inject("stack").programs });
    kube = new KubeClient(stack.info.kubernetes);
    rendered = await renderChart(values);
  });
  afterAll(async () => {
    await kube.close();
    await stack.stop();
  });

  async function helm(...args: string[]): Promise<string> {
    const flags = [`--kubeconfig=${stack.info.kubernetes.kubeconfig}`, `--namespace=${release}`];
    const { code, stdout, stderr } = await runHelm([...args, ...flags], values, program);
    if (code !== 0) throw new Error(stderr);
    return stdout;
  }

  /** What changes when somebody changes the object, for each of them. */
  async function versions(): Promise<Record<string, unknown>> {
    const objects = await Promise.all(rendered.manifests.map((manifest) => kube.get(pathOf(manifest))));
    const entries = objects.map(({ kind, metadata }) => [`${kind} ${metadata.name}`, metadata.resourceVersion]);
    return Object.fromEntries(entries);
  }

  test("install: every object that is rendered is there", async () => {
    const notes = await helm("install", release, chartDirectory, "--create-namespace", "--values=-");
    expect(notes).toContain("STATUS: deployed");
    expect(Object.keys(await versions()).length).toBeGreaterThan(15);
  });

  test("upgrade with the same values changes no object, however often", async () => {
    const before = await versions();
    for (const revision of ["2", "3"]) {
      expect(await helm("upgrade", release, chartDirectory, "--values=-")).toContain(`REVISION: ${revision}`);
      expect(await versions()).toEqual(before);
    }
  });

  test("upgrade keeps the caBundle that the webhook has written", async () => {
    const path = pathOf(objectOf(rendered, "ValidatingWebhookConfiguration", "kms-vault-validating-webhook"));
    const { webhooks } = await kube.get(path);
    const caBundle = Buffer.from(stack.info.kubernetes.caPem).toString("base64");
    const clientConfig = { ...webhooks[0].clientConfig, caBundle };
    await kube.patch(path, { webhooks: [{ ...webhooks[0], clientConfig }] });
    await helm("upgrade", release, chartDirectory, "--values=-", "--set=validatingWebhook.timeoutSeconds=7");
    const [entry] = (await kube.get(path)).webhooks;
    expect(entry).toMatchObject({ timeoutSeconds: 7, clientConfig: { caBundle } });
  });

  test("uninstall leaves the kinds and their objects, and nothing else", async () => {
    // The webhook that does not run here would be asked.
    await kube.patch(
      { apiVersion: "v1", plural: "namespaces", name: release },
      { metadata: { labels: { [release]: "" } } },
    );
    const at = { namespace: release, name: "kept" };
    await kube.create(kmsVaultSecret(at, { path: "secret/kept", secrets: [{ key: "k", emptySecret: true }] }));
    await helm("uninstall", release);
    for (const manifest of rendered.manifests) {
      const found = await kube.find(pathOf(manifest));
      const isKind = manifest.kind === "CustomResourceDefinition";
      expect(found !== undefined, `${manifest.kind} ${manifest.metadata.name}`).toBe(isKind);
    }
    const { metadata } = await kube.get(secretPath(at));
    expect(metadata.deletionTimestamp).toBeUndefined();
  });

  test("install over what an uninstall left behind", async () => {
    expect(await helm("install", release, chartDirectory, "--values=-")).toContain("STATUS: deployed");
  });
});
