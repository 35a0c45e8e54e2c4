// A webhook that allows everything, with a certificate as the real one has it, and a configuration by which the real API
// server calls it on loopback. Every call comes by a connection of its own, so that each is a handshake.
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { systemClock } from "../../src/base/clock.ts";
import type { Logger } from "../../src/base/log.ts";
import type { KubeClient } from "../../src/runtime/client.ts";
import type { Resource } from "../../src/runtime/objects.ts";
import type { Periods } from "../../src/webhook/rotation.ts";
import { selfSigned } from "../../src/webhook/self-signed.ts";
import type { ServingCertificate } from "../../src/webhook/serving-certificate.ts";
import { kubeHookConfigurations, kubeSecretStore } from "../../src/webhook-kube.ts";
import { uniqueName } from "../env/unique.ts";

export const secretResource: Resource = { group: "", version: "v1", plural: "secrets", kind: "Secret" };
export const configMaps: Resource = { group: "", version: "v1", plural: "configmaps", kind: "ConfigMap" };
export const configurations: Resource = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  plural: "validatingwebhookconfigurations",
  kind: "ValidatingWebhookConfiguration",
};
/** The contract's. */
export const entryName = "kms-vault-validating-webhook.patoarvizu.dev";

/** A Secret, as far as tests look at it. */
export interface TlsSecret {
  readonly type: string;
  readonly metadata: { readonly resourceVersion: string; readonly labels: Readonly<Record<string, string>> };
  readonly data: Readonly<Record<string, string>>;
}

/** A configuration, as far as tests look at it. */
export interface Configuration {
  readonly metadata: { readonly name: string; readonly resourceVersion: string; readonly generation: number };
  readonly webhooks: ReadonlyArray<{
    readonly name: string;
    readonly failurePolicy: string;
    readonly clientConfig: { readonly caBundle?: string };
  }>;
}

/** A webhook that listens. */
export interface Hook extends AsyncDisposable {
  readonly port: number;
  /** Reviews that it has answered. */
  readonly answered: () => number;
  /** Certificates that it has served, PEM, in their order. */
  readonly served: readonly string[];
}

/** Serves with this certificate, each change included, as the real server does. */
export async function startHook(certificate: ServingCertificate): Promise<Hook> {
  const pair = await certificate.first(AbortSignal.timeout(20_000));
  let answered = 0;
  const served = [pair.cert];
  const server = createServer({ cert: pair.cert, key: pair.key }, (request, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => {
      body += chunk;
    });
    request.on("end", () => {
      const review = body === "" ? {} : JSON.parse(body);
      answered += 1;
      const { apiVersion, kind, request: asked } = review;
      const answer = { apiVersion, kind, response: { uid: asked?.uid, allowed: true } };
      response.writeHead(200, { "content-type": "application/json", connection: "close" }).end(JSON.stringify(answer));
    });
  });
  certificate.onChange((next) => {
    served.push(next.cert);
    server.setSecureContext({ cert: next.cert, key: next.key });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    port: (server.address() as AddressInfo).port,
    answered: () => answered,
    served,
    async [Symbol.asyncDispose]() {
      await certificate.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** One entry of a configuration: about ConfigMaps of a namespace, by URL. */
export function entryFor(namespace: string, port: number, name = entryName): object {
  return {
    name,
    admissionReviewVersions: ["v1"],
    sideEffects: "None",
    failurePolicy: "Fail",
    timeoutSeconds: 10,
    clientConfig: { url: `https://127.0.0.1:${port}/` },
    namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
    rules: [{ apiGroups: [""], apiVersions: ["v1"], resources: ["configmaps"], operations: ["CREATE"] }],
  };
}

/** Creates a configuration with these entries. @returns its name */
export async function createConfiguration(client: KubeClient, webhooks: readonly object[]): Promise<string> {
  const name = uniqueName("hook");
  const apiVersion = "admissionregistration.k8s.io/v1";
  await client.create(configurations, {}, { apiVersion, kind: configurations.kind, metadata: { name }, webhooks });
  return name;
}

export function getConfiguration(client: KubeClient, name: string): Promise<Configuration> {
  return client.get<Configuration>(configurations, { name });
}

/** The PEM of an entry. */
export function caBundleOf({ webhooks }: Configuration, index = 0): string {
  return Buffer.from(webhooks[index]?.clientConfig.caBundle ?? "", "base64").toString("utf8");
}

export interface ReplicaOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly configuration: string;
  readonly logger: Logger;
  readonly periods?: Partial<Periods>;
  readonly names?: readonly string[];
}

/** A certificate of a replica's own making, as the composition root puts it together. */
export function replicaCertificate(options: ReplicaOptions): ServingCertificate {
  const { client, namespace, configuration, logger, periods, names = ["127.0.0.1"] } = options;
  const service = "kms-vault-validating-webhook";
  return selfSigned({
    names: [`${service}.${namespace}.svc`, ...names],
    secrets: kubeSecretStore(client, { namespace }),
    configurations: kubeHookConfigurations(client, { service, namespace, configuration }),
    clock: systemClock,
    logger,
    periods: { lookEveryMs: 200, ...periods },
  });
}

/** Keeps what is logged as it would be printed. */
export function keepingLogger(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const keep = (fields: object, message: string) => {
    const printable = Object.entries(fields).map(([name, value]) => [
      name,
      value instanceof Error ? unfold(value) : value,
    ]);
    lines.push(JSON.stringify({ message, ...Object.fromEntries(printable) }));
  };
  return { lines, debug: keep, info: keep, warn: keep, error: keep };
}

/** An error with all its causes. */
function unfold(error: unknown): string {
  return error instanceof Error ? `${error.message}\n${error.stack}\n${unfold(error.cause)}` : String(error);
}
