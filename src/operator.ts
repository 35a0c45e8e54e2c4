// Composition root of `run`: a configuration becomes objects, and the objects are started and stopped. Nothing is
// decided here; who wants to know what the operator consists of reads it top to bottom.
import { hostname } from "node:os";
import { group, version } from "./api/kinds.ts";
import { systemClock } from "./base/clock.ts";
import type { Logger } from "./base/log.ts";
import type { Config } from "./config.ts";
import { ObjectWriter } from "./controller/object-writer.ts";
import { followPolicy } from "./controller/policy-watch.ts";
import { Reconciler } from "./controller/reconciler.ts";
import { DividedShares, everything } from "./controller/shares.ts";
import { Surroundings, secretIndexers } from "./controller/surroundings.ts";
import { type Surveyed, survey } from "./controller/survey.ts";
import { Watchdog } from "./controller/watchdog.ts";
import { partialHandlers, secretHandlers, shardListener, type WatchesOptions } from "./controller/watches.ts";
import { type Doors, openDoors, type OperatorIo } from "./operator-doors.ts";
import { Controller } from "./runtime/controller.ts";
import { EventRecorder } from "./runtime/events.ts";
import { Informer } from "./runtime/informer.ts";
import { Manager } from "./runtime/manager.ts";
import type { KubeObject, Resource } from "./runtime/objects.ts";
import { Sharding } from "./runtime/sharding.ts";
import { WorkQueue } from "./runtime/workqueue.ts";
import { DestinationLock } from "./sync/destination-lock.ts";
import { Identities } from "./sync/identities.ts";
import { OwnRevisions } from "./sync/own-revisions.ts";
import { type DebugServer, startDebug } from "./telemetry/debug.ts";
import { createMetrics, type Metrics } from "./telemetry/metrics.ts";
import { startProbes } from "./telemetry/probes.ts";
import { productVersion } from "./version.ts";

/** Name of the controller in metrics, and of the component in events (contract). */
const controllerName = "kmsvaultsecret";
const eventComponent = "kms-vault-controller";
/** Over so long the objects are spread that waited for a server which is back, ms. */
const hastenMs = 3_000;
/** Each object that a throttling KMS lets through brings so many others along, within so long, ms. */
const hastenedNext = 2;
const hastenNextMs = 500;

const secretsResource: Resource = { group, version, plural: "kmsvaultsecrets", kind: "KMSVaultSecret" };
const partialsResource: Resource = { group, version, plural: "partialkmsvaultsecrets", kind: "PartialKMSVaultSecret" };

/**
 * Runs the operator until the signal aborts or it cannot go on.
 * @returns the exit code: 0 after a stop that was asked for, 1 otherwise
 * @throws OperatorError when an address for metrics or probes cannot be listened on
 */
export async function runOperator(config: Config, io: OperatorIo): Promise<number> {
  const { logger, signal } = io;
  const metrics = createMetrics({ version: productVersion });
  let manager: Manager | undefined;
  const probes = await startProbes({
    metricsAddress: config.metricsAddress,
    ...(config.probeAddress !== undefined && { probeAddress: config.probeAddress }),
    metrics: metrics.exposition,
    notReady: () => manager?.ready().problems ?? ["the API server has not been reached yet"],
  });
  const debug = await debugPages(config, () => manager);
  logger.info({ version: productVersion, metricsPort: probes.metricsPort, probePort: probes.probePort }, "starting");
  const doors = openDoors(config, io, metrics);
  try {
    const surveyed = await survey({
      client: doors.unguarded,
      logger,
      signal,
      clock: systemClock,
      resource: secretsResource,
      ownNamespace: config.namespace,
      watchNamespaces: config.watchNamespaces,
      clusterId: config.clusterId,
    });
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
    await Promise.all([
      doors.policy.close(),
      doors.vault.close(),
      doors.transit.close(),
      doors.client.close(),
      doors.unguarded.close(),
      probes.close(),
      debug?.close(),
    ]);
  }
}

async function debugPages(config: Config, manager: () => Manager | undefined): Promise<DebugServer | undefined> {
  if (config.debugAddress === undefined) return undefined;
  const state = () => ({ version: productVersion, ...manager()?.state() });
  return startDebug({ address: config.debugAddress, clock: systemClock, state });
}

function assemble(parts: Doors & Surveyed & Assembly): Manager {
  const {
    config,
    logger,
    metrics,
    client,
    vault,
    kms,
    policy,
    labels,
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
  const shares = elector instanceof Sharding ? new DividedShares(elector, config.vault.namespace) : everything;
  const queue = new WorkQueue({
    name: controllerName,
    clock,
    metrics: metrics.runtime,
    lowBesideOthers: Math.max(1, Math.floor(config.maxConcurrentReconciles / 8)),
  });
  const reconciler = new Reconciler({
    surroundings,
    shares,
    tools: {
      decryptor: kms,
      records,
      lock: new DestinationLock(),
      own: new OwnRevisions(() => surroundings.notes(records)),
      adoption: config.adoption,
    },
    identities: new Identities({
      vault,
      method: config.authMethod,
      namespace: config.vault.namespace,
      policy,
    }),
    policy,
    writer: new ObjectWriter({
      client,
      resource: secretsResource,
      recorder: events,
      isDivided: shares.isDivided,
      logger,
      onStatusForbidden: (forbidden) => metrics.product.statusForbidden(forbidden),
    }),
    watchdog: new Watchdog({ client, resource: secretsResource, logger }),
    installedAt,
    syncPeriodMs: config.syncPeriodMs === 0 ? undefined : config.syncPeriodMs,
    clock,
    logger,
    metrics: metrics.product,
    onServerBack: () => queue.hasten(hastenMs),
    onThrottledPassed: () => queue.hasten(hastenNextMs, hastenedNext),
  });
  const watches: WatchesOptions = {
    queue,
    surroundings,
    isWatched: (namespace) => config.watchNamespaces.length === 0 || config.watchNamespaces.includes(namespace),
    hasSynced: () => secrets.hasSynced() && partials.hasSynced(),
    onStored: (object) => reconciler.storeHas(object),
    onGone: (object) => reconciler.forget(object),
  };
  secrets.addHandlers(secretHandlers(watches));
  partials.addHandlers(partialHandlers(watches));
  if (elector instanceof Sharding && shares instanceof DividedShares) {
    elector.addListener(shardListener(watches, shares, reconciler));
  }
  followPolicy(parts, watches);
  void secrets.synced.then(() => warnOfLeftOut(surroundings, watches.isWatched, logger));
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
    informers: [secrets, partials, ...(config.policyFile === undefined ? [] : [labels])],
    controllers: [controller],
    events,
    ...(elector && { elector }),
    onStartedLeading: (tookOver) => {
      if (tookOver) reconciler.takeOver();
    },
    logger,
    clock,
    onFatal: parts.onFatal,
  });
}

/** The original ignored WATCH_NAMESPACE and reconciled every object. */
function warnOfLeftOut(surroundings: Surroundings, isWatched: (namespace: string) => boolean, logger: Logger): void {
  const leftOut = surroundings.all().filter(({ metadata }) => !isWatched(metadata.namespace ?? "")).length;
  if (leftOut === 0) return;
  logger.warn({ leftOut }, "WATCH_NAMESPACE leaves objects of other namespaces out: they are not synced");
}

interface Assembly {
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly onFatal: () => void;
}
