// What the runtime's integration tests need of the real API server: a connection, a namespace of their own, and a kind
// of their own (with a status subresource), since the runtime knows none of the product's.
import { expect, inject, vi } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { KubeClient, type KubeClientOptions } from "../../src/runtime/client.ts";
import type { KubeConnection } from "../../src/runtime/connection.ts";
import { isAlreadyExists } from "../../src/runtime/kube-error.ts";
import type { KubeObject, Resource } from "../../src/runtime/objects.ts";
import type { KubernetesInfo } from "../env/kubernetes.ts";
import { uniqueName } from "../env/unique.ts";

export interface Widget extends KubeObject {
  readonly spec?: { readonly color?: string };
  readonly status?: { readonly phase?: string; readonly note?: string };
}

export const widgets: Resource = { group: "runtime.test", version: "v1", plural: "widgets", kind: "Widget" };
export const silent = { debug() {}, info() {}, warn() {}, error() {} };

const crds: Resource = {
  group: "apiextensions.k8s.io",
  version: "v1",
  plural: "customresourcedefinitions",
  kind: "CustomResourceDefinition",
};
const namespaces: Resource = { group: "", version: "v1", plural: "namespaces", kind: "Namespace" };

/** The administrator's connection to an API server, by default the shared one of this run. */
export function adminConnection(kubernetes: KubernetesInfo = inject("stack").kubernetes): KubeConnection {
  const { server, caPem, admin } = kubernetes;
  return { server, caPem, clientCertPem: admin.certPem, clientKeyPem: admin.keyPem };
}

/** A client of the administrator's. */
export function adminClient(options: Partial<KubeClientOptions> = {}): KubeClient {
  return new KubeClient({
    connection: adminConnection(),
    logger: silent,
    clock: systemClock,
    userAgent: "runtime-test",
    ...options,
  });
}

/** A new namespace; its name. */
export async function newNamespace(client: KubeClient): Promise<string> {
  const name = uniqueName("runtime");
  await client.create(namespaces, {}, { apiVersion: "v1", kind: "Namespace", metadata: { name } });
  return name;
}

/** Makes the kind Widget known, if it is not yet, and waits until it is served. */
export async function ensureWidgets(client: KubeClient): Promise<void> {
  const schema = { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };
  const body = {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: "widgets.runtime.test" },
    spec: {
      group: widgets.group,
      scope: "Namespaced",
      names: { plural: "widgets", singular: "widget", kind: "Widget", listKind: "WidgetList" },
      versions: [{ name: "v1", served: true, storage: true, subresources: { status: {} }, schema }],
    },
  };
  try {
    await client.create(crds, {}, body);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
  await vi.waitFor(() => expect(client.list(widgets, { limit: 1 })).resolves.toBeDefined(), { timeout: 20_000 });
}

/** A Widget to be created. */
export function widget(name: string, more: { color?: string; finalizers?: string[] } = {}): object {
  const { color = "red", finalizers } = more;
  const metadata = { name, ...(finalizers && { finalizers }) };
  return { apiVersion: "runtime.test/v1", kind: "Widget", metadata, spec: { color } };
}
