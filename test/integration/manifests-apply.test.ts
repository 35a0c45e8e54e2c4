// What is installed, as the real API server takes it, with every field checked: deploy/ really applied, the chart for each
// way to install it and kustomize/ as a dry run. And the pods are such that the restricted profile admits them.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyForeignCrds } from "../env/foreign-crds.ts";
import { manifestsIn, objectOf, renderChart } from "../env/helm.ts";
import { KubeClient } from "../env/kube-client.ts";
import { type Private, privateStack } from "../env/private.ts";
import type { Stack } from "../env/stack.ts";
import { matrix } from "./chart-matrix.ts";
import { kubectl, operatorName, webhookName } from "./pods.ts";

const root = join(import.meta.dirname, "..", "..");
const dryRun = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict"];
let stack: Private<Stack>;
let kube: KubeClient;

beforeAll(async () => {
  stack = await privateStack();
  kube = new KubeClient(stack.info.kubernetes);
  await applyForeignCrds(kube);
  // Where the values of the matrix have something; a dry run makes no namespace. deploy/ brings its own.
  for (const name of ["team-a", "team-b", "456", "007"]) {
    await kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
  }
  await run(["apply", "--validate=strict", "-f", "deploy/crds", "-f", "deploy"]);
});
afterAll(async () => {
  await kube.close();
  await stack[Symbol.asyncDispose]();
});

/** @returns a line for each object */
async function run(args: readonly string[], input?: string): Promise<string[]> {
  return (await kubectl(stack.info.kubernetes, args, input)).trimEnd().split("\n");
}

test("kubectl apply -f deploy/crds -f deploy: nothing but the operator, and a second time nothing changes", async () => {
  const lines = await run(["apply", "-f", "deploy/crds", "-f", "deploy"]);
  expect(lines).toHaveLength(10);
  expect(lines.filter((line) => !line.endsWith(" unchanged"))).toEqual([]);
  const deployment = { apiVersion: "apps/v1", plural: "deployments", namespace: operatorName };
  expect((await kube.list(deployment)).map(({ metadata }) => metadata.name)).toEqual([operatorName]);
});

test("deploy/ holds what `kubectl apply -f` takes, and nothing more", () => {
  const yaml = readdirSync(join(root, "deploy")).filter((file) => /\.(ya?ml|json)$/.test(file));
  for (const file of yaml) {
    const manifests = manifestsIn(readFileSync(join(root, "deploy", file), "utf8"));
    for (const { apiVersion } of manifests) expect(apiVersion).not.toContain("kustomize");
  }
});

test.each([
  ["-f", "deploy/webhook"],
  ["-f", "deploy/opt-in"],
  ["-k", "deploy"],
  ["-k", "deploy/webhook"],
])("kubectl apply %s %s", async (flag, directory) => {
  expect((await run([...dryRun, flag, directory])).length).toBeGreaterThan(3);
});

test.each(readdirSync(join(root, "kustomize", "overlays")))(
  "kubectl apply -k kustomize/overlays/%s",
  async (overlay) => {
    const lines = await run([...dryRun, "-k", `kustomize/overlays/${overlay}`]);
    expect(lines).toContain(`deployment.apps/${operatorName} serverside-applied (server dry run)`);
  },
);

test.each(Object.entries(matrix))("helm template … | kubectl apply -f -: %s", async (_, values) => {
  // Beside the installation that is there: a dry run cannot take over what others have set in it.
  const { text, manifests } = await renderChart(values, { namespace: "team-b" });
  expect(await run([...dryRun, "-f", "-"], text)).toHaveLength(manifests.length);
});

test("a field that does not exist would be refused", async () => {
  const { text } = await renderChart({ global: { prometheusMonitoring: { enable: true } } });
  for (const [right, wrong] of [
    ["terminationGracePeriodSeconds:", "terminationGraceSeconds:"],
    ["endpoints:", "endpoint:"],
  ] as const) {
    const refusal = run([...dryRun, "-f", "-"], text.replace(right, wrong));
    await expect(refusal).rejects.toThrow(/field not declared in schema|unknown field/);
  }
});

describe("PodSecurity, restricted, as deploy/namespace.yaml has it", () => {
  const pods = [operatorName, webhookName];

  async function podOf(name: string): Promise<{ readonly spec: { readonly containers: readonly [object] } }> {
    const rendered = await renderChart({ validatingWebhook: { enabled: true, certificates: "selfSigned" } });
    const { spec } = objectOf(rendered, "Deployment", name) as unknown as {
      readonly spec: { readonly template: { readonly spec: { readonly containers: readonly [object] } } };
    };
    return spec.template;
  }

  function admit(pod: object): Promise<string[]> {
    const metadata = { name: "pod", namespace: operatorName };
    return run([...dryRun, "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "Pod", ...pod, metadata }));
  }

  test.each(pods)("admits %s", async (name) => {
    expect(await admit(await podOf(name))).toHaveLength(1);
  });

  test.each(pods)("refuses %s with more rights", async (name) => {
    const { spec } = await podOf(name);
    const [container] = spec.containers;
    const changed = { ...spec, containers: [{ ...container, securityContext: { allowPrivilegeEscalation: true } }] };
    await expect(admit({ spec: changed })).rejects.toThrow(/violates PodSecurity "restricted/);
  });
});
