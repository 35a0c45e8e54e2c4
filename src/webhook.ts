// Composition root of `webhook`: a configuration becomes objects, and the objects are started and stopped. Nothing is
// decided here; who wants to know what the webhook consists of reads it top to bottom.
import { group, version } from "./api/kinds.ts";
import { systemClock } from "./base/clock.ts";
import type { Logger } from "./base/log.ts";
import type { WebhookConfig } from "./config-webhook.ts";
import { NamespaceLabels } from "./controller/namespace-labels.ts";
import { needLabels } from "./controller/policy-watch.ts";
import { defaultMaxInFlight } from "./kms/aws.ts";
import { assertCiphertext, createDecryptor } from "./kms/factory.ts";
import { type LivePolicy, openPolicy } from "./policy/live-policy.ts";
import type { LoadedPolicy } from "./policy/policy-file.ts";
import { KubeClient } from "./runtime/client.ts";
import type { KubeConnection } from "./runtime/connection.ts";
import type { KubeObject, Resource } from "./runtime/objects.ts";
import { createMetrics, type Metrics } from "./telemetry/metrics.ts";
import { startProbes } from "./telemetry/probes.ts";
import { parsePath } from "./vault/kv/address.ts";
import { openTransit, type TransitVault } from "./transit-vault.ts";
import { productVersion } from "./version.ts";
import { kubeHookConfigurations, kubeSecretStore } from "./webhook-kube.ts";
import { Admission } from "./webhook/admission.ts";
import { endOf } from "./webhook/check-pair.ts";
import { fileCertificate } from "./webhook/file-certificate.ts";
import { Includers, type SecretPages } from "./webhook/includers.ts";
import { selfSigned } from "./webhook/self-signed.ts";
import { startServer } from "./webhook/server.ts";
import type { ServingCertificate, ServingPair } from "./webhook/serving-certificate.ts";
import { throughTurnstile } from "./webhook/turnstile.ts";

const secretsResource: Resource = { group, version, plural: "kmsvaultsecrets", kind: "KMSVaultSecret" };
/** How long requests under way have at the end, ms. */
const stopWithinMs = 10_000;
/** How long labels are waited for at the start, ms. */
const labelsWithinMs = 5_000;
/** Of the objects that may include a Partial, each as large as etcd takes one (1.5 MiB). */
const pageSize = 20;

/** What the webhook is started with, besides its configuration. */
export interface WebhookIo {
  readonly logger: Logger;
  /** Aborts when the process shall stop. */
  readonly signal: AbortSignal;
  readonly connection: KubeConnection;
  /** What `--policy` names, as it was read at the start. */
  readonly policy?: LoadedPolicy | undefined;
}

/**
 * Answers reviews until the signal aborts.
 * @returns the exit code
 * @throws OperatorError when an address cannot be listened on, or there will be no certificate
 */
export async function runWebhook(config: WebhookConfig, io: WebhookIo): Promise<number> {
  const { logger, signal } = io;
  const metrics = createMetrics({ version: productVersion });
  let notReady = "there is no serving certificate yet";
  const probes = await startProbes({
    metricsAddress: config.metricsAddress,
    metricsPath: "/",
    metrics: metrics.exposition,
    notReady: () => (notReady === "" ? [] : [notReady]),
  });
  const client = kubeClient(io, metrics);
  const certificate = certificateOf(config, client, logger);
  const tellEnd = (pair: ServingPair) => metrics.webhook.certificateExpires(sourceOf(config), endOf(pair));
  const transit = openTransit(config.kms, undefined, { clock: systemClock, logger, metrics: metrics.vault });
  const policy = await followedPolicy(config, { ...io, client, metrics });
  try {
    logger.info({ version: productVersion, metricsPort: probes.metricsPort }, "starting");
    const pair = await firstPair(certificate, signal);
    if (pair === undefined) return 0;
    tellEnd(pair);
    const admission = admissionOf(config, { client, policy, transit, logger, metrics });
    const server = await startServer({
      address: config.listenAddress,
      pair,
      certificate,
      answer: (body, due) => admission.answer(body, due),
      clock: systemClock,
      logger,
      metrics: metrics.webhook,
    });
    certificate.onChange(tellEnd);
    notReady = "";
    logger.info({ port: server.port, decrypt: config.decrypt }, "answering reviews");
    await aborted(signal);
    notReady = "it is stopping";
    await server.close(stopWithinMs);
    return 0;
  } finally {
    await Promise.all([certificate.close(), policy.close(), transit.close(), client.close(), probes.close()]);
  }
}

function certificateOf({ certificate }: WebhookConfig, client: KubeClient, logger: Logger): ServingCertificate {
  const clock = systemClock;
  if ("files" in certificate) return fileCertificate({ ...certificate.files, clock, logger });
  const { service, namespace, names } = certificate.selfSigned;
  return selfSigned({
    names: [`${service}.${namespace}.svc`, ...names],
    secrets: kubeSecretStore(client, { namespace }),
    configurations: kubeHookConfigurations(client, { service, namespace }),
    clock,
    logger,
  });
}

function sourceOf({ certificate }: WebhookConfig): "files" | "self-signed" {
  return "files" in certificate ? "files" : "self-signed";
}

/** The policy, and the labels of namespaces as soon as it goes by them. Both end with the signal. */
async function followedPolicy(
  { vault }: WebhookConfig,
  { client, logger, metrics, signal, policy: loaded }: WebhookIo & Parts,
): Promise<LivePolicy> {
  const clock = systemClock;
  const labels = new NamespaceLabels({ client, logger, clock, metrics: metrics.runtime });
  const policy = openPolicy({
    loaded,
    labelsOf: labels.of,
    ownNamespace: vault.namespace,
    defaultMethod: vault.authMethod,
    mayNameNamespace: vault.allowNamespaces,
    logger,
    clock,
    reportValid: (isValid) => metrics.policy.valid(isValid),
  });
  needLabels(policy, labels);
  void labels.run(signal);
  // Until they are known objects are let through that the policy might refuse.
  await Promise.race([labels.synced, clock.sleep(labelsWithinMs, signal)]);
  return policy;
}

/** Undefined when the process shall stop before there is one. */
async function firstPair(certificate: ServingCertificate, signal: AbortSignal) {
  try {
    return await certificate.first(signal);
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
}

interface Parts {
  readonly client: KubeClient;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

function admissionOf(
  config: WebhookConfig,
  { client, policy, transit, logger, metrics }: Parts & { readonly policy: LivePolicy; readonly transit: TransitVault },
): Admission {
  const clock = systemClock;
  // The turnstile keeps the rate, and does not let anybody wait for long.
  const { perSecond, ...options } = config.kms;
  const kms = createDecryptor(options, {
    clock,
    logger,
    report: (...call) => metrics.kms.requestDone(...call),
    ...(transit.door && { transit: transit.door }),
  });
  return new Admission({
    mode: config.decrypt,
    assertPath: parsePath,
    assertCiphertext,
    policy,
    decryptor: throughTurnstile(kms, {
      clock,
      inFlight: options.maxInFlight ?? defaultMaxInFlight,
      ...(perSecond !== undefined && { perSecond }),
    }),
    includers: new Includers(secretPages(client), policy),
    clock,
    logger,
    metrics: metrics.webhook,
  });
}

function kubeClient({ connection, logger }: WebhookIo, metrics: Metrics): KubeClient {
  return new KubeClient({
    connection,
    logger,
    clock: systemClock,
    userAgent: `kms-vault-operator-webhook/${productVersion}`,
    metrics: metrics.runtime,
  });
}

/** Page by page, the next one only when somebody wants it. */
function secretPages(client: KubeClient): SecretPages {
  return async function* (namespace, signal) {
    let next: string | undefined;
    do {
      const options = { namespace, signal, limit: pageSize, ...(next !== undefined && { continue: next }) };
      const page = await client.list<KubeObject>(secretsResource, options);
      yield page.items;
      next = page.continue;
    } while (next !== undefined);
  };
}
