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

/** A Deployment of the Go operator's, or what takes its place. */
function deploymentOf(
  name: string,
  labels: Readonly<Record<string, string>>,
  { env = [], ...pod }: { readonly env?: readonly object[]; readonly serviceAccountName?: string } = {},
) {
  const container = { name, image: "patoarvizu/kms-vault-operator:v0.17.0", env };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { ...pod, containers: [container] } },
    },
  };
}

async function create(manifest: ReturnType<typeof deploymentOf>, namespace: string): Promise<void> {
  await kube.create({ ...manifest, metadata: { ...manifest.metadata, namespace } });
}

async function namespaceWith(
  name: string,
  ...deployed: [Readonly<Record<string, string>>, (readonly object[])?]
): Promise<string> {
  await kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
  const [labels, env = []] = deployed;
  await create(deploymentOf("kms-vault-operator", labels, { env }), name);
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

describe("a webhook whose service account has an AWS role", () => {
  const role = { "eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/operator" };
  const webhook = (values: Values = {}): Values => ({
    validatingWebhook: { enabled: true, certificates: "selfSigned", ...values },
  });

  async function former(namespace: string, annotations: Readonly<Record<string, string>>): Promise<string> {
    await kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
    await kube.create({
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: "kms-vault-operator", namespace, annotations },
    });
    const app = "kms-vault-validating-webhook";
    await create(deploymentOf(app, { app }, { serviceAccountName: "kms-vault-operator" }), namespace);
    return namespace;
  }

  describe("which is the operator's, as in the last chart", () => {
    let namespace: string;
    beforeAll(async () => {
      namespace = await former("irsa", role);
    });

    test("is not upgraded to one that has none", async () => {
      for (const decrypt of ["deny", "warn"]) {
        const said = await refusalOf(webhook({ decrypt }), { ...live(), namespace });
        expect(said).toContain("runs as the service account kms-vault-operator, whose AWS role arn:aws:iam::1234");
        expect(said).toContain(`set validatingWebhook.serviceAccount.annotations: ${JSON.stringify(role)}`);
        expect(said).toContain("or validatingWebhook.serviceAccount.name: kms-vault-operator");
      }
    });

    const deciding: readonly Values[] = [
      webhook({ serviceAccount: { annotations: role } }),
      webhook({ serviceAccount: { name: "kms-vault-operator" } }),
      webhook({ serviceAccount: { create: false } }),
      webhook({ extraEnvFrom: [{ secretRef: { name: "aws" } }] }),
      webhook({ extraEnv: [{ name: "AWS_PROFILE", value: "operator" }] }),
      webhook({ decrypt: "off" }),
      { ...webhook(), aws: { iamCredentialsSecrets: [{ name: "AWS_ACCESS_KEY_ID", value: "AKIA" }] } },
      {},
    ];
    test.each(deciding)("is upgraded by %j", async (values) => {
      expect((await renderChart(values, { ...live(), namespace })).manifests).not.toEqual([]);
    });

    test("is upgraded once the new account has a role by other hands", async () => {
      const metadata = { name: "kms-vault-validating-webhook", namespace, annotations: role };
      await kube.create({ apiVersion: "v1", kind: "ServiceAccount", metadata });
      expect((await renderChart(webhook(), { ...live(), namespace })).manifests).not.toEqual([]);
    });
  });

  test("or had none: is upgraded without a word", async () => {
    const namespace = await former("no-irsa", {});
    expect((await renderChart(webhook(), { ...live(), namespace })).manifests).not.toEqual([]);
  });
});

describe.each(["helm", "helm3"] as const)("leader election turned off, with %s", (program) => {
  const off = "--set=leaderElection.enabled=false";
  const strategy = async () => {
    const deployments = { apiVersion: "apps/v1", plural: "deployments", namespace: releaseNamespace };
    return (await kube.get({ ...deployments, name: "kms-vault-operator" })).spec.strategy;
  };

  test("the old pod ends before the new one begins, and back again", async () => {
    await helm(program, "install");
    await helm(program, "upgrade", chartDirectory, off);
    expect(await strategy()).toEqual({ type: "Recreate" });
    await helm(program, "upgrade", chartDirectory, off);
    await helm(program, "upgrade");
    expect(await strategy()).toMatchObject({ type: "RollingUpdate", rollingUpdate: { maxUnavailable: "25%" } });
  });

  test("at once in the place of the last chart, which said nothing of it", async () => {
    await using directory = chartOf(deploymentOf("kms-vault-operator", { app: "kms-vault-operator" }));
    await helm("helm3", "install", directory.path);
    expect(await strategy()).toMatchObject({ type: "RollingUpdate" });
    await helm(program, "upgrade", chartDirectory, off);
    expect(await strategy()).toEqual({ type: "Recreate" });
  });

  afterEach(() => helm(program, "uninstall"));
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

  test("none is kept where there is none yet", async () => {
    await using directory = lastChart({});
    await helm("helm3", "install", directory.path);
    await helm(program, "upgrade");
    const { metadata, webhooks } = await kube.get(configurations);
    expect(webhooks[0].clientConfig).not.toHaveProperty("caBundle");
    expect(metadata.annotations).not.toHaveProperty("k8s.patoarvizu.dev/ca-bundle");
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
function lastChart(bundle: object = { caBundle: "Cg==" }): Chart {
  const { apiVersion, name } = configurations;
  const webhook = {
    name: "kms-vault-validating-webhook.patoarvizu.dev",
    admissionReviewVersions: ["v1beta1", "v1"],
    sideEffects: "None",
    clientConfig: { ...bundle, service: { name, namespace: releaseNamespace } },
  };
  return chartOf({ apiVersion, kind: "ValidatingWebhookConfiguration", metadata: { name }, webhooks: [webhook] });
}

interface Chart extends AsyncDisposable {
  /** Its directory. */
  readonly path: string;
}

/** A chart of one object. */
function chartOf(manifest: object): Chart {
  const path = mkdtempSync(join(tmpdir(), "last-chart-"));
  mkdirSync(join(path, "templates"));
  writeFileSync(join(path, "Chart.yaml"), "{apiVersion: v2, name: kms-vault-operator, version: 0.4.0}");
  writeFileSync(join(path, "templates", "object.yaml"), JSON.stringify(manifest));
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
  ...flags: readonly string[]
): Promise<void> {
  const chart = verb === "uninstall" ? [] : [directory, "--values=-"];
  const values = { crds: { install: false }, validatingWebhook: { enabled: true, certificates: "selfSigned" } };
  const { code, stderr } = await runHelm(
    [verb, "kms-vault-operator", ...chart, ...flags, ...cluster()],
    values,
    program,
  );
  if (code !== 0) throw new Error(`helm ${verb}: ${stderr}`);
}

function cluster(): string[] {
  return [`--kubeconfig=${stack.info.kubernetes.kubeconfig}`, `--namespace=${releaseNamespace}`];
}
