// The webhook as a process of its own, as a user starts it, with a certificate for loopback; and its configuration from
// deploy/, turned to that process and to one namespace of a test, so that test files do not review each other's objects.
import { spawn } from "node:child_process";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inject } from "vitest";
import { parse } from "yaml";
import { createAuthority } from "./certificates.ts";
import { awsEnvironment } from "./kms-client.ts";
import type { KmsInfo } from "./kms.ts";
import { type KubeClient, type Manifest, pathOf } from "./kube-client.ts";
import { type LogLine, type Operator, OperatorProcess } from "./operator.ts";
import { freePorts } from "./ports.ts";
import { ProcessGroup } from "./processes.ts";
import { type ServiceAccount, writeKubeconfig } from "./service-account.ts";
import { uniqueName } from "./unique.ts";

const root = join(import.meta.dirname, "..", "..");

export interface WebhookOptions {
  /** Besides those for certificate, addresses and kubeconfig. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly kms?: KmsInfo;
  /** Run as this service account (service-account.ts) instead of system:masters. */
  readonly serviceAccount?: ServiceAccount;
  /** Over the shared stack's, for a private stack. */
  readonly kubeconfig?: string;
  /** false: without the flags that name its files; then `caPem` is of nobody. */
  readonly hasFiles?: boolean;
  /** A name of the original: a link of that name to bin/kms-vault-operator, which `make build` must have made, is called. */
  readonly calledAs?: string;
}

/** A running webhook: what an Operator can, and where it answers. `await using` ends it. */
export interface Webhook extends Operator {
  /** `https://127.0.0.1:<port>` */
  readonly url: string;
  /** Of the authority that issued its certificate. */
  readonly caPem: string;
}

/**
 * Starts `kms-vault-operator webhook`.
 * @throws Error with the output when the process ends before it is ready
 */
export async function startWebhook(options: WebhookOptions = {}): Promise<Webhook> {
  const group = await ProcessGroup.create();
  try {
    return await start(group, options);
  } catch (error) {
    await group.stop();
    throw error;
  }
}

async function start(group: ProcessGroup, options: WebhookOptions): Promise<Webhook> {
  const { kubernetes, kms, directory } = inject("stack");
  const { serviceAccount, hasFiles = true } = options;
  const kubeconfig =
    serviceAccount === undefined
      ? (options.kubeconfig ?? kubernetes.kubeconfig)
      : writeKubeconfig(kubernetes, serviceAccount, group.directory);
  const [port = 0, metricsPort = 0] = await freePorts(2);
  const authority = await createAuthority("webhook test CA");
  const { certPem, keyPem } = await authority.server("webhook");
  const [certFile, keyFile] = [join(group.directory, "tls.crt"), join(group.directory, "tls.key")];
  writeFileSync(certFile, certPem, { mode: 0o600 });
  writeFileSync(keyFile, keyPem, { mode: 0o600 });
  // As the original's chart writes them.
  const flags = hasFiles ? ["-tls-cert-file", certFile, "-tls-key-file", keyFile] : [];
  const [program, ...before] = commandOf(options, group.directory);
  const addresses = ["-listen-addr", `127.0.0.1:${port}`, `-metrics-addr=127.0.0.1:${metricsPort}`];
  const args = [...before, ...flags, ...addresses, ...(options.args ?? [])];
  const child = spawn(program, args, {
    cwd: group.directory,
    env: {
      PATH: process.env["PATH"],
      HOME: process.env["HOME"],
      NODE_COMPILE_CACHE: join(directory, "compile"),
      KUBECONFIG: kubeconfig,
      AWS_ENDPOINT_URL_KMS: (options.kms ?? kms).endpoint,
      ...awsEnvironment,
      ...options.env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  group.adopt(child);
  const running = new OperatorProcess(child, `http://127.0.0.1:${metricsPort}`, () => group.stop());
  await running.untilReady();
  return Object.assign(running, { url: `https://127.0.0.1:${port}`, caPem: authority.caPem });
}

function commandOf({ calledAs }: WebhookOptions, directory: string): [string, ...string[]] {
  if (calledAs === undefined) {
    return [process.execPath, "--enable-source-maps", inject("operatorProgram"), "webhook"];
  }
  const link = join(directory, calledAs);
  symlinkSync(join(root, "bin", "kms-vault-operator"), link);
  return [link];
}

export interface InstallOptions {
  /** Whose objects are reviewed. */
  readonly namespace: string;
  /** Of the configuration; a new one when absent. */
  readonly name?: string;
  /** Over the shipped entry's fields; undefined takes one away. */
  readonly changes?: Readonly<Record<string, unknown>>;
}

/** The shipped configuration, for one namespace and one process. `await using` takes it away. */
export async function installConfiguration(
  kube: KubeClient,
  { url, caPem }: { readonly url: string; readonly caPem?: string },
  { namespace, name = uniqueName("webhook"), changes = {} }: InstallOptions,
): Promise<AsyncDisposable> {
  const shipped = parse(
    readFileSync(join(root, "deploy", "webhook", "webhookconfiguration.yaml"), "utf8"),
  ) as Manifest & {
    readonly webhooks: readonly [{ readonly namespaceSelector: object }];
  };
  const [entry] = shipped.webhooks;
  const manifest: Manifest = {
    apiVersion: shipped.apiVersion,
    kind: shipped.kind,
    metadata: { name },
    webhooks: [
      {
        ...entry,
        clientConfig: { url, ...(caPem !== undefined && { caBundle: Buffer.from(caPem).toString("base64") }) },
        namespaceSelector: { ...entry.namespaceSelector, matchLabels: { "kubernetes.io/metadata.name": namespace } },
        ...changes,
      },
    ],
  };
  await kube.create(manifest);
  return {
    async [Symbol.asyncDispose]() {
      await kube.delete(pathOf(manifest));
    },
  };
}

/** Lines of the log that tell of reviews. */
export function reviewsIn(webhook: Pick<Webhook, "logs">): LogLine[] {
  return webhook.logs().filter((line) => "review" in line);
}
