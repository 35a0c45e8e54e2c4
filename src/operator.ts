// Composition root of `run`: a configuration becomes objects, and the objects are started and stopped. Nothing is
// decided here; who wants to know what the operator consists of reads it top to bottom.
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { deleteFinalizer, group, version } from "./api/kinds.ts";
import { systemClock } from "./base/clock.ts";
import { OperatorError } from "./base/errors.ts";
import type { Logger } from "./base/log.ts";
import { backoffDelay } from "./base/retry.ts";
import type { Config } from "./config.ts";
import { KindWatchdog } from "./controller/kind-watchdog.ts";
import { ObjectWriter } from "./controller/object-writer.ts";
import { Reconciler } from "./controller/reconciler.ts";
import { type Asking, loadClusterId, loadRecordKey } from "./controller/record-key.ts";
import { Surroundings, secretIndexers } from "./controller/surroundings.ts";
import { partialHandlers, secretHandlers, type WatchesOptions } from "./controller/watches.ts";
import { createAwsKms } from "./kms/aws.ts";
import type { Decryptor } from "./kms/cipher.ts";
import { metered } from "./kms/metered.ts";
import { KubeClient } from "./runtime/client.ts";
import type { KubeConnection } from "./runtime/connection.ts";
import { Controller } from "./runtime/controller.ts";
import { EventRecorder } from "./runtime/events.ts";
import { Informer } from "./runtime/informer.ts";
import { isForbidden, isNotFound } from "./runtime/kube-error.ts";
import { holderIdentity, LeaderElector } from "./runtime/leader-election.ts";
import { Manager } from "./runtime/manager.ts";
import type { KubeObject, Resource } from "./runtime/objects.ts";
import { WorkQueue } from "./runtime/workqueue.ts";
import { DestinationLock } from "./sync/destination-lock.ts";
import { OwnRevisions } from "./sync/own-revisions.ts";
import { RecordKeeper } from "./sync/record.ts";
import { createMetrics, type Metrics } from "./telemetry/metrics.ts";
import { startProbes } from "./telemetry/probes.ts";
import { type ClosableVault, createVault } from "./vault/factory.ts";
import { type AuthMethod, authMethods } from "./vault/vault.ts";
import { productVersion } from "./version.ts";

/** Name of the controller in metrics, and of the component in events (contract). */
const controllerName = "kmsvaultsecret";
const eventComponent = "kms-vault-controller";
/** Name of the Lease (contract). */
const leaseName = "39a50047.patoarvizu.dev";

const secretsResource: Resource = { group, version, plural: "kmsvaultsecrets", kind: "KMSVaultSecret" };
const partialsResource: Resource = { group, version, plural: "partialkmsvaultsecrets", kind: "PartialKMSVaultSecret" };

/** What the operator is started with, besides its configuration. */
export interface OperatorIo {
  readonly logger: Logger;
  /** Aborts when the process shall stop. */
  readonly signal: AbortSignal;
  readonly connection: KubeConnection;
}

/**
 * Runs the operator until the signal aborts or it cannot go on.
 * @returns the exit code: 0 after a stop that was asked for, 1 otherwise
 * @throws OperatorError when an address for metrics or probes cannot be listened on
 */
export async function runOperator(config: Config, { logger, signal, connection }: OperatorIo): Promise<number> {
  const metrics = createMetrics({ version: productVersion });
  let manager: Manager | undefined;
  const probes = await startProbes({
    metricsAddress: config.metricsAddress,
    ...(config.probeAddress !== undefined && { probeAddress: config.probeAddress }),
    metrics: metrics.exposition,
    notReady: () => manager?.ready().problems ?? ["the API server has not been reached yet"],
  });
  logger.info({ version: productVersion, metricsPort: probes.metricsPort, probePort: probes.probePort }, "starting");
  const doors = openDoors(config, { connection, logger, metrics });
  try {
    const surveyed = await untilAnswered(
      () => survey({ client: doors.unguarded, logger, signal }, config),
      logger,
      signal,
    );
    if (surveyed === undefined) return 0;
    const fatal = Promise.withResolvers<number>();
    manager = assemble({ config, logger, metrics, ...doors, ...surveyed, onFatal: () => fatal.resolve(1) });
    const asked = Promise.withResolvers<number>();
    signal.addEventListener("abort", () => asked.resolve(0), { once: true });
    if (signal.aborted) asked.resolve(0);
    void manager.start();
    const exitCode = await Promise.race([asked.promise, fatal.promise]);
    await manager.stop();
    return exitCode;
  } finally {
    await Promise.all([doors.vault.close(), doors.client.close(), doors.unguarded.close(), probes.close()]);
  }
}

/** The three servers that the operator talks to. */
interface Doors {
  readonly client: KubeClient;
  /**
   * Without the guard of leadership: for what keeps the Lease, on which the guard depends, and for what has to be there
   * before anyone leads (the record key, which any replica may make).
   */
  readonly unguarded: KubeClient;
  readonly vault: ClosableVault;
  readonly kms: Decryptor;
  readonly elector: LeaderElector | undefined;
}

function openDoors(
  config: Config,
  { connection, logger, metrics }: { connection: KubeConnection; logger: Logger; metrics: Metrics },
): Doors {
  const clock = systemClock;
  const common = {
    connection,
    logger,
    clock,
    userAgent: `kms-vault-operator/${productVersion}`,
    metrics: metrics.runtime,
  };
  const unguarded = new KubeClient(common);
  const elector = config.leaderElection
    ? new LeaderElector({
        client: unguarded,
        namespace: config.namespace,
        name: leaseName,
        identity: holderIdentity(hostname(), randomUUID()),
        logger,
        clock,
        metrics: metrics.runtime,
      })
    : undefined;
  const beforeMutation = () => elector?.assertLeading();
  return {
    elector,
    unguarded,
    client: new KubeClient({ ...common, beforeMutation }),
    vault: createVault({
      ...config.vault,
      logger,
      clock,
      beforeMutation,
      metrics: metrics.vault,
    }),
    kms: metered(createAwsKms({ ...config.kms, logger }), clock, (...call) => metrics.kms.requestDone(...call)),
  };
}

/** What has to be asked of the API server before the first object can be looked at. */
interface Surveyed {
  readonly records: RecordKeeper;
  /** Since when there is a record key, ms since the epoch. */
  readonly installedAt: number | undefined;
  /** Namespaces that the informers follow; empty: all. */
  readonly informedNamespaces: readonly string[];
}

async function survey(asking: Asking, config: Config): Promise<Surveyed> {
  const [{ key, since }, clusterId, informedNamespaces] = await Promise.all([
    loadRecordKey(asking, config.namespace),
    loadClusterId(asking),
    informedNamespacesOf(asking, config.watchNamespaces),
  ]);
  return { records: new RecordKeeper(key, clusterId), installedAt: since, informedNamespaces };
}

/**
 * Objects of unwatched namespaces hold their places in Vault too, so they are followed where they may be listed; a
 * warning says how many there are, since the original ignored WATCH_NAMESPACE and reconciled them.
 */
async function informedNamespacesOf(
  { client, logger, signal }: Asking,
  watched: readonly string[],
): Promise<readonly string[]> {
  if (watched.length === 0) return [];
  try {
    const { items } = await client.list<KubeObject>(secretsResource, { signal });
    const leftOut = items.filter(({ metadata }) => !watched.includes(metadata.namespace ?? "")).length;
    if (leftOut > 0) {
      logger.warn({ leftOut, watched }, "WATCH_NAMESPACE leaves objects of other namespaces out: they are not synced");
    }
    return [];
  } catch (error) {
    if (isForbidden(error) || isNotFound(error)) return watched;
    throw error;
  }
}

function assemble(parts: Doors & Surveyed & Assembly): Manager {
  const {
    config,
    logger,
    metrics,
    client,
    vault,
    kms,
    records,
    elector,
    installedAt,
    informedNamespaces: namespaces,
  } = parts;
  const clock = systemClock;
  const common = { client, namespaces, logger, clock, metrics: metrics.runtime };
  const secrets = new Informer<KubeObject>({ ...common, resource: secretsResource, indexers: secretIndexers });
  const partials = new Informer<KubeObject>({ ...common, resource: partialsResource });
  const surroundings = new Surroundings(secrets.store, partials.store);
  const events = new EventRecorder({
    client,
    component: eventComponent,
    instance: hostname(),
    logger,
    clock,
    metrics: metrics.runtime,
  });
  const watchdog = new KindWatchdog({ client, resource: secretsResource, logger });
  const reconciler = new Reconciler({
    surroundings,
    tools: { decryptor: kms, records, lock: new DestinationLock(), own: new OwnRevisions() },
    accessFor: (method) => vault.access({ method: authMethodOf(method, config), namespace: config.vault.namespace }),
    writer: new ObjectWriter({
      client,
      resource: secretsResource,
      recorder: events,
      finalizer: deleteFinalizer,
      logger,
      onStatusForbidden: (forbidden) => metrics.product.statusForbidden(forbidden),
    }),
    isKindGoing: (signal) => watchdog.isGoing(signal),
    installedAt,
    syncPeriodMs: config.syncPeriodMs === 0 ? undefined : config.syncPeriodMs,
    clock,
    logger,
    metrics: metrics.product,
  });
  const queue = new WorkQueue({ name: controllerName, clock, metrics: metrics.runtime });
  const watches: WatchesOptions = {
    queue,
    surroundings,
    isWatched: (namespace) => config.watchNamespaces.length === 0 || config.watchNamespaces.includes(namespace),
    hasSynced: () => secrets.hasSynced() && partials.hasSynced(),
    onGone: (object) => reconciler.forget(object),
  };
  secrets.addHandlers(secretHandlers(watches));
  partials.addHandlers(partialHandlers(watches));
  const controller = new Controller({
    name: controllerName,
    queue,
    reconcile: (request, signal) => reconciler.reconcile(request, signal),
    maxConcurrentReconciles: config.maxConcurrentReconciles,
    logger,
    clock,
    metrics: metrics.runtime,
  });
  return new Manager({
    informers: [secrets, partials],
    controllers: [controller],
    events,
    ...(elector && { elector }),
    logger,
    clock,
    onFatal: parts.onFatal,
  });
}

interface Assembly {
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly onFatal: () => void;
}

/** An unknown method never gets this far (the schema refuses it), except on an object whose spec is not valid. */
function authMethodOf(name: string | undefined, config: Config): AuthMethod {
  return authMethods.find((method) => method === name) ?? config.authMethod;
}

/** Asks until there is an answer: the API server being down never ends the process. Undefined once it shall stop. */
async function untilAnswered<T>(ask: () => Promise<T>, logger: Logger, signal: AbortSignal): Promise<T | undefined> {
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted) return undefined;
      if (!(error instanceof OperatorError)) throw error;
      const retryInMs = Math.round(backoffDelay(attempt, { baseMs: 1_000, maxMs: 30_000 }));
      logger.error({ error, retryInMs }, "cannot start yet, trying again");
      await systemClock.sleep(retryInMs, signal);
    }
  }
  return undefined;
}
