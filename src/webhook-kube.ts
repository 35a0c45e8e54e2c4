// The Secret and the ValidatingWebhookConfiguration of a webhook that makes its own certificate, by the runtime's client.
// Beside the folders, because webhook/ knows no Kubernetes client and runtime/ knows no product.
import type { KubeClient } from "./runtime/client.ts";
import { isAlreadyExists, isConflict, isNotFound } from "./runtime/kube-error.ts";
import type { KubeObject, Resource } from "./runtime/objects.ts";
import type { SecretData } from "./webhook/certificate-state.ts";
import type { BundleChange, HookConfiguration, HookConfigurations, SecretStore } from "./webhook/self-signed.ts";

/** Name of the Secret that the replicas share. */
const certificateSecret = "kms-vault-validating-webhook-cert";
/** Name of the configuration (contract). */
const hookConfiguration = "kms-vault-validating-webhook";
/** Name of the entry in it (contract). */
const entryName = "kms-vault-validating-webhook.patoarvizu.dev";

const secretResource: Resource = { group: "", version: "v1", plural: "secrets", kind: "Secret" };
const configurationResource: Resource = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  plural: "validatingwebhookconfigurations",
  kind: "ValidatingWebhookConfiguration",
};
const managedBy = { "app.kubernetes.io/managed-by": "kms-vault-operator" };

type Client = Pick<KubeClient, "get" | "create" | "patch">;

interface TlsSecret extends KubeObject {
  readonly data?: SecretData;
}

/** The Secret, of type kubernetes.io/tls. Rejects with KubeError. */
export function kubeSecretStore(
  client: Client,
  { namespace, name = certificateSecret }: { readonly namespace: string; readonly name?: string },
): SecretStore {
  const ref = { namespace, name };
  return {
    name: `${namespace}/${name}`,
    async read(signal) {
      const secret = await found(client.get<TlsSecret>(secretResource, ref, { signal }));
      if (secret === undefined) return undefined;
      const { resourceVersion, labels = {} } = secret.metadata;
      const isOurs = Object.entries(managedBy).every(([label, value]) => labels[label] === value);
      return { data: mapValues(secret.data ?? {}, fromBase64), resourceVersion, isOurs };
    },
    async create(data, signal) {
      const secret = {
        apiVersion: "v1",
        kind: "Secret",
        type: "kubernetes.io/tls",
        metadata: { ...ref, labels: managedBy },
        data: mapValues(data, toBase64),
      };
      return unless(isAlreadyExists, client.create(secretResource, { namespace }, secret, { signal }));
    },
    async replace(data, resourceVersion, signal) {
      const operations = [
        onlyIfStill(resourceVersion),
        { op: "add", path: "/data", value: mapValues(data, toBase64) } as const,
      ];
      return unless(hasChanged, client.patch(secretResource, ref, { type: "json", operations }, { signal }));
    },
  };
}

interface Entry {
  readonly name: string;
  readonly clientConfig: {
    readonly service?: { readonly name: string; readonly namespace: string };
    readonly caBundle?: string;
  };
}

interface Configuration extends KubeObject {
  readonly webhooks?: readonly Entry[];
}

export interface Installation {
  /** Of the Service, which is in the operator's own namespace. */
  readonly service: string;
  readonly namespace: string;
  /** Of the ValidatingWebhookConfiguration; absent: the contract's. */
  readonly configuration?: string;
}

/** The webhook's configuration; ours in it are the entries that call our Service. Rejects with KubeError. */
export function kubeHookConfigurations(client: Client, installation: Installation): HookConfigurations {
  const ref = { name: installation.configuration ?? hookConfiguration };
  return {
    async read(signal) {
      const configuration = await found(client.get<Configuration>(configurationResource, ref, { signal }));
      return configuration && entriesOf(configuration, installation);
    },
    async patch({ resourceVersion, entries, caBundle }: BundleChange, signal) {
      const value = toBase64(caBundle);
      const operations = [
        onlyIfStill(resourceVersion),
        ...entries.map((index) => ({ op: "add" as const, path: `/webhooks/${index}/clientConfig/caBundle`, value })),
      ];
      try {
        const patch = { type: "json" as const, operations };
        const patched = await client.patch<Configuration>(configurationResource, ref, patch, { signal });
        return patched.metadata.resourceVersion;
      } catch (error) {
        if (hasChanged(error)) return undefined;
        throw error;
      }
    },
  };
}

function entriesOf({ metadata, webhooks = [] }: Configuration, installation: Installation): HookConfiguration {
  const ours = [...webhooks.entries()].filter(([, entry]) => callsUs(entry, installation));
  return {
    resourceVersion: metadata.resourceVersion,
    caBundles: new Map(ours.map(([index, { clientConfig }]) => [index, fromBase64(clientConfig.caBundle ?? "")])),
  };
}

/** An entry with a URL names no Service: the contract's name tells. Another installation's Service is not ours. */
function callsUs({ name, clientConfig: { service } }: Entry, installation: Installation): boolean {
  if (service === undefined) return name === entryName;
  return service.name === installation.service && service.namespace === installation.namespace;
}

/** In a patch, makes the API server answer 409 when the object has changed since. */
function onlyIfStill(resourceVersion: string) {
  return { op: "replace", path: "/metadata/resourceVersion", value: resourceVersion } as const;
}

function hasChanged(error: unknown): boolean {
  return isConflict(error) || isNotFound(error);
}

async function found<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Whether a write was done; false for the one error that says that somebody else came first. */
async function unless(isLate: (error: unknown) => boolean, write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (isLate(error)) return false;
    throw error;
  }
}

function mapValues(data: SecretData, change: (value: string) => string): SecretData {
  return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, change(value)]));
}

function toBase64(text: string): string {
  return Buffer.from(text).toString("base64");
}

function fromBase64(text: string): string {
  return Buffer.from(text, "base64").toString("utf8");
}
