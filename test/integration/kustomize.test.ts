// kustomize/ is written by hand on top of what is generated from the chart. Each overlay is the same installation as the
// chart makes of the values that it stands for, so that the two cannot drift apart.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { expect, inject, test } from "vitest";
import { parse } from "yaml";
import { manifestsIn, renderChart, type Values } from "../env/helm.ts";
import type { Manifest } from "../env/kube-client.ts";
import { kubectl, podSpecOf } from "./pods.ts";

const kustomize = join(import.meta.dirname, "..", "..", "kustomize");
/** What the API server is to call is applied after what answers. */
const lastKind = "ValidatingWebhookConfiguration";

const webhook = { enabled: true, replicas: 2, certificates: "selfSigned" };
/** Overlay → values of the chart. */
const overlays: Readonly<Record<string, Values>> = {
  namespaced: { watchNamespace: "team-a" },
  "webhook-self-signed": { validatingWebhook: webhook },
  "webhook-cert-manager": { validatingWebhook: { ...webhook, certificates: "certManager" } },
  policy: {
    validatingWebhook: webhook,
    policy: { enabled: true, rules: [{ name: "namespaces", vaultPaths: ["secret/{{namespace}}/**"] }] },
  },
};

test.each(Object.entries(overlays))("overlays/%s is what the chart makes", async (overlay, values) => {
  const rendered = await renderChart(values);
  const built = await build(join(kustomize, "overlays", overlay));
  const withoutNamespace = built.filter(({ kind }) => kind !== "Namespace");
  expect(byName(withoutNamespace)).toEqual(byName(rendered.manifests));
  const kinds = built.map(({ kind }) => kind);
  if (kinds.includes(lastKind)) expect(kinds.at(-1)).toBe(lastKind);
});

test("components can be combined", async () => {
  const { manifests } = await renderChart({
    serviceAccountLogin: { enabled: true },
    validatingWebhook: { ...webhook, certificates: "certManager" },
    policy: { enabled: true, existingConfigMap: "kms-vault-operator-policy", followsLabels: true },
  });
  const built = await buildOf(["webhook-cert-manager", "policy", "policy-labels", "service-account-login"]);
  expect(byName(built.filter(({ kind }) => kind !== "Namespace"))).toEqual(byName(manifests));
});

test("shards: the rights on their Leases, for a --shards of one's own", async () => {
  const { manifests } = await renderChart({ shards: 2 });
  const patch = "- { op: add, path: /spec/template/spec/containers/0/args/-, value: --shards=2 }";
  const target = { kind: "Deployment", name: "kms-vault-operator" };
  const built = await buildOf(["shards"], { patches: [{ target, patch }] });
  expect(byName(built.filter(({ kind }) => kind !== "Namespace"))).toEqual(byName(manifests));
});

test("logins as service accounts of one namespace alone", async () => {
  const { manifests } = await renderChart({ watchNamespace: "team-a", serviceAccountLogin: { enabled: true } });
  const built = await buildOf(["namespaced", "service-account-login-namespaced"]);
  expect(byName(built.filter(({ kind }) => kind !== "Namespace"))).toEqual(byName(manifests));
  expect(built.filter(({ kind, metadata }) => kind.startsWith("Cluster") && /login/.test(metadata.name))).toEqual([]);
});

async function build(directory: string): Promise<Manifest[]> {
  return manifestsIn(await kubectl(inject("stack").kubernetes, ["kustomize", directory]));
}

/** The base with these components and fields, as a kustomization of a user's own. */
async function buildOf(components: readonly string[], fields: object = {}): Promise<Manifest[]> {
  const directory = await mkdtemp(join(tmpdir(), "kustomization-"));
  try {
    const own = {
      resources: [relative(directory, join(kustomize, "..", "deploy"))],
      components: components.map((name) => relative(directory, join(kustomize, "components", name))),
      ...fields,
    };
    await writeFile(join(directory, "kustomization.yaml"), JSON.stringify(own));
    return await build(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Without what belongs to Helm and to Argo CD, and in an order of our own where the order means nothing. */
function byName(manifests: readonly Manifest[]): Record<string, unknown> {
  const named = manifests.map((manifest) => {
    const { kind, metadata } = manifest;
    return [`${kind} ${metadata.namespace ?? ""}/${metadata.name}`, plain(manifest)] as const;
  });
  return Object.fromEntries(named);
}

function plain(manifest: Manifest): object {
  const { labels, annotations, ...metadata } = manifest.metadata as Record<string, Record<string, string> | undefined>;
  const kept = Object.entries({ ...labels }).filter(
    ([name]) => !/^helm\.sh\/|^app\.kubernetes\.io\/(?!name$)/.test(name),
  );
  const notes = Object.entries({ ...annotations }).filter(([name]) => !/^(helm\.sh|argocd\.argoproj\.io)\//.test(name));
  return {
    ...manifest,
    metadata: { ...metadata, labels: Object.fromEntries(kept), annotations: Object.fromEntries(notes) },
    ...(manifest.kind === "Deployment" && { spec: sorted(manifest) }),
    ...(manifest.kind === "ConfigMap" && { data: parsed(manifest["data"] as Record<string, string>) }),
  };
}

function sorted(deployment: Manifest): object {
  const spec = deployment["spec"] as { readonly template: object };
  const pod = podSpecOf(deployment);
  const [{ args = [], env = [], volumeMounts = [], ...container }] = pod.containers;
  const containers = [
    {
      ...container,
      args: args.toSorted(),
      env: inOrder(env),
      volumeMounts: inOrder(volumeMounts),
    },
  ];
  return { ...spec, template: { ...spec.template, spec: { ...pod, containers, volumes: inOrder(pod.volumes ?? []) } } };
}

function inOrder<T extends { readonly name: string }>(list: readonly T[]): T[] {
  return list.toSorted((one, other) => one.name.localeCompare(other.name));
}

/** A file says the same whatever its comments and its style. */
function parsed(data: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(data).map(([file, content]) => [file, parse(content)]));
}
