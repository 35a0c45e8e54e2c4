// What the chart makes of an installation that is there: it refuses what would harm it before anything changes, and
// leaves caBundle of the webhook's configuration to whoever writes it.
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  chartDirectory,
  type HelmProgram,
  refusalOf,
  releaseNamespace,
  renderChart,
  runHelm,
  type Values,
} from "../env/helm.ts";
import { KubeClient } from "../env/kube-client.ts";
import { type Private, privateStack } from "../env/private.ts";
import type { Stack } from "../env/stack.ts";

const configurations = {
  apiVersion: "admissionregistration.k8s.io/v1",
  plural: "validatingwebhookconfigurations",
  name: "kms-vault-validating-webhook",
};
const crds = ["kmsvaultsecrets", "partialkmsvaultsecrets"].map((plural) => ({
  apiVersion: "apiextensions.k8s.io/v1",
  plural: "customresourcedefinitions",
  name: `${plural}.k8s.patoarvizu.dev`,
}));
/** What Helm puts on whatever it installs. */
const owned = {
  labels: { "app.kubernetes.io/managed-by": "Helm" },
  annotations: {
    "meta.helm.sh/release-name": "kms-vault-operator",
    "meta.helm.sh/release-namespace": releaseNamespace,
  },
};

let stack: Private<Stack>;
let kube: KubeClient;

beforeAll(async () => {
  stack = await privateStack();
  kube = new KubeClient(stack.info.kubernetes);
  await kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: releaseNamespace } });
});
afterAll(() => stack[Symbol.asyncDispose]());

/** An upgrade for which the chart can look up what is there. */
function live(): { readonly args: readonly string[] } {
  return { args: [`--kubeconfig=${stack.info.kubernetes.kubeconfig}`, "--dry-run=server", "--is-upgrade"] };
}

function deployment(
  namespace: string,
  labels: Readonly<Record<string, string>>,
  env: readonly object[] = [],
): Promise<unknown> {
  const container = { name: "kms-vault-operator", image: "patoarvizu/kms-vault-operator:v0.17.0", env };
  return kube.create({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "kms-vault-operator", namespace },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container] } },
    },
  });
}

async function namespaceWith(
  name: string,
  ...deployed: [Readonly<Record<string, string>>, (readonly object[])?]
): Promise<string> {
  await kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
  await deployment(name, ...deployed);
  return name;
}

describe("an operator that does not verify Vault's certificate", () => {
  let namespace: string;
  beforeAll(async () => {
    namespace = await namespaceWith("unverified", { app: "kms-vault-operator" }, [
      { name: "VAULT_SKIP_VERIFY", value: "true" },
    ]);
  });

  test("is not upgraded by values that do not say whether it shall stay so", async () => {
    const said = await refusalOf({}, { ...live(), namespace });
    expect(said).toContain("the operator that is there does not verify Vault's certificate");
    expect(said).toContain("set tls.enable: true with tls.secretName");
  });

  const deciding: readonly Values[] = [
    { tls: { enable: true, secretName: "vault-ca" } },
    { tls: { enable: false } },
    { vault: { skipVerify: true } },
    { vault: { skipVerify: false } },
    { vault: { address: "http://vault:8200" } },
    { extraEnv: [{ name: "VAULT_CACERT", value: "/ca.crt" }] },
    { authMethodVariables: [{ name: "VAULT_SKIP_VERIFY", value: "1" }] },
  ];
  test.each(deciding)("is upgraded by %j", async (values) => {
    expect((await renderChart(values, { ...live(), namespace })).manifests).not.toEqual([]);
  });
});

test("an operator that verifies it is upgraded without a word", async () => {
  const namespace = await namespaceWith("verified", { app: "kms-vault-operator" });
  expect((await renderChart({}, { ...live(), namespace })).manifests).not.toEqual([]);
});

test("a Deployment of the first chart is in the way, and it is said how to take it away", async () => {
  const namespace = await namespaceWith("first", { name: "kms-vault-operator" });
  const said = await refusalOf({}, { ...live(), namespace });
  expect(said).toContain('selects its pods by other labels ({"name":"kms-vault-operator"}), which cannot be changed');
  expect(said).toContain("kubectl -n first delete deployment kms-vault-operator");
});

test("CRDs that the last chart installed are not left out, which would delete every object, until they are kept", async () => {
  const values = { crds: { install: false } };
  for (const crd of crds) await kube.patch(crd, { metadata: owned });
  const said = await refusalOf(values, live());
  for (const { name } of crds) {
    expect(said).toContain(`crds.install: false would delete the CustomResourceDefinition ${name} and all its objects`);
  }
  for (const crd of crds) await kube.patch(crd, { metadata: { annotations: { "helm.sh/resource-policy": "keep" } } });
  expect((await renderChart(values, live())).manifests).not.toEqual([]);
});

describe.each(["helm", "helm3"] as const)("caBundle, with %s", (program) => {
  test("is not Helm's where this chart installed the webhook", async () => {
    await helm(program, "install");
    await write("Zmlyc3Q=");
    await helm(program, "upgrade");
    expect(await caBundle()).toBe("Zmlyc3Q=");
    await write("c2Vjb25k");
    await helm(program, "upgrade");
    expect(await caBundle()).toBe("c2Vjb25k");
  });

  test("stays as it is where the last chart did, which had it in its manifest", async () => {
    await using directory = lastChart();
    await helm("helm3", "install", directory.path);
    expect(await caBundle()).toBe("Cg==");
    await write("Zmlyc3Q=");
    await helm(program, "upgrade");
    expect(await caBundle()).toBe("Zmlyc3Q=");
    await write("c2Vjb25k");
    await helm(program, "upgrade");
    expect(await caBundle()).toBe("c2Vjb25k");
  });

  afterEach(() => helm(program, "uninstall"));
});

test("--reuse-values, which would leave all that is new without a default, is told from --reset-then-reuse-values", async () => {
  await using directory = lastChart();
  await helm("helm3", "install", directory.path);
  const upgrade = ["upgrade", "kms-vault-operator", chartDirectory, ...cluster()];
  for (const program of ["helm", "helm3"] as const) {
    const { code, stderr } = await runHelm([...upgrade, "--reuse-values"], {}, program);
    expect(code).toBe(1);
    expect(stderr).toContain("write --reset-then-reuse-values in its place");
  }
  const { code, stderr } = await runHelm([...upgrade, "--reset-then-reuse-values"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  await helm("helm", "uninstall");
});

/** The webhook's configuration in a chart of its own, as far as the last chart's said what matters here. */
function lastChart(): { readonly path: string } & AsyncDisposable {
  const path = mkdtempSync(join(tmpdir(), "last-chart-"));
  const { apiVersion, name } = configurations;
  const webhook = {
    name: "kms-vault-validating-webhook.patoarvizu.dev",
    admissionReviewVersions: ["v1beta1", "v1"],
    sideEffects: "None",
    clientConfig: { caBundle: "Cg==", service: { name, namespace: releaseNamespace } },
  };
  const manifest = { apiVersion, kind: "ValidatingWebhookConfiguration", metadata: { name }, webhooks: [webhook] };
  mkdirSync(join(path, "templates"));
  writeFileSync(join(path, "Chart.yaml"), "{apiVersion: v2, name: kms-vault-operator, version: 0.4.0}");
  writeFileSync(join(path, "templates", "webhook.yaml"), JSON.stringify(manifest));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

/** As cert-manager's injector or the webhook itself writes it. */
async function write(bundle: string): Promise<void> {
  const { webhooks } = await kube.get(configurations);
  webhooks[0].clientConfig.caBundle = bundle;
  await kube.patch(configurations, { webhooks });
}

async function caBundle(): Promise<unknown> {
  return (await kube.get(configurations)).webhooks[0].clientConfig.caBundle;
}

async function helm(
  program: HelmProgram,
  verb: "install" | "upgrade" | "uninstall",
  directory = chartDirectory,
): Promise<void> {
  const chart = verb === "uninstall" ? [] : [directory, "--values=-"];
  const values = { crds: { install: false }, validatingWebhook: { enabled: true, certificates: "selfSigned" } };
  const { code, stderr } = await runHelm([verb, "kms-vault-operator", ...chart, ...cluster()], values, program);
  if (code !== 0) throw new Error(`helm ${verb}: ${stderr}`);
}

function cluster(): string[] {
  return [`--kubeconfig=${stack.info.kubernetes.kubeconfig}`, `--namespace=${releaseNamespace}`];
}
