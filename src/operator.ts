// Composition root of `run`: a configuration becomes objects, and the objects are started and stopped. Nothing is
// decided here; who wants to know what the operator consists of reads it top to bottom.
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { group, version } from "./api/kinds.ts";
import { systemClock } from "./base/clock.ts";
import type { Logger } from "./base/log.ts";
import type { Config } from "./config.ts";
import { NamespaceLabels } from "./controller/namespace-labels.ts";
import { ObjectWriter } from "./controller/object-writer.ts";
import { followPolicy } from "./controller/policy-watch.ts";
import { Reconciler } from "./controller/reconciler.ts";
import { DividedShares, everything } from "./controller/shares.ts";
import { ServiceAccounts } from "./controller/service-accounts.ts";
import { Surroundings, secretIndexers } from "./controller/surroundings.ts";
import { type Surveyed, survey } from "./controller/survey.ts";
import { Watchdog } from "./controller/watchdog.ts";
import { partialHandlers, secretHandlers, shardListener, type WatchesOptions } from "./controller/watches.ts";
import type { Decryptor } from "./kms/cipher.ts";
import { createDecryptor } from "./kms/factory.ts";
import { type LivePolicy, openPolicy } from "./policy/live-policy.ts";
import type { LoadedPolicy } from "./policy/policy-file.ts";
import { KubeClient } from "./runtime/client.ts";
import type { KubeConnection } from "./runtime/connection.ts";
import { Controller } from "./runtime/controller.ts";
import { EventRecorder } from "./runtime/events.ts";
import { Informer } from "./runtime/informer.ts";
import { holderIdentity, LeaderElector } from "./runtime/leader-election.ts";
import { Manager } from "./runtime/manager.ts";
import type { KubeObject, Request, Resource } from "./runtime/objects.ts";
import { Sharding } from "./runtime/sharding.ts";
import { WorkQueue } from "./runtime/workqueue.ts";
import { DestinationLock } from "./sync/destination-lock.ts";
import { Identities } from "./sync/identities.ts";
import { OwnRevisions } from "./sync/own-revisions.ts";
import { type DebugServer, startDebug } from "./telemetry/debug.ts";
import { createMetrics, type Metrics } from "./telemetry/metrics.ts";
import { startProbes } from "./telemetry/probes.ts";
import { openTransit, type TransitVault } from "./transit-vault.ts";
import { type ClosableVault, createVault } from "./vault/factory.ts";
import { productVersion } from "./version.ts";

/** Name of the controller in metrics, and of the component in events (contract). */
const controllerName = "kmsvaultsecret";
const eventComponent = "kms-vault-controller";
/** Over so long the objects are spread that waited for a server which is back, ms. */
const hastenMs = 3_000;
/** Each object that a throttling KMS lets through brings so many others along, within so long, ms. */
const hastenedNext = 2;
const hastenNextMs = 500;
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
  /** What `--policy` names, as it was read at the start. */
  readonly policy?: LoadedPolicy | undefined;
}

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

/** The three servers that the operator talks to, and what may be asked of them. */
interface Doors {
  readonly client: KubeClient;
  /**
   * Without the guard of leadership: for what keeps the Lease, on which the guard depends, and for what has to be there
   * before anyone leads (the record key, which any replica may make).
   */
  readonly unguarded: KubeClient;
  readonly vault: ClosableVault;
  readonly transit: TransitVault;
  readonly kms: Decryptor;
  readonly policy: LivePolicy;
  readonly labels: NamespaceLabels;
  /** Undefined: this process works alone. */
  readonly elector: LeaderElector | Sharding | undefined;
}

function openDoors(config: Config, io: OperatorIo, metrics: Metrics): Doors {
  const { connection, logger } = io;
  const clock = systemClock;
  tellOfSkippedChecks(config, logger, metrics);
  const common = {
    connection,
    logger,
    clock,
    userAgent: `kms-vault-operator/${productVersion}`,
    metrics: metrics.runtime,
  };
  const unguarded = new KubeClient(common);
  const election = {
    client: unguarded,
    namespace: config.namespace,
    name: leaseName,
    identity: holderIdentity(hostname(), randomUUID()),
    logger,
    clock,
    metrics: metrics.runtime,
  };
  const elector = electorFor(config, election);
  const beforeMutation = () => elector?.assertLeading();
  const client = new KubeClient({
    ...common,
    beforeMutation,
    ...(config.kubeRateLimit && { rateLimit: config.kubeRateLimit }),
  });
  const labels = new NamespaceLabels({ client, logger, clock, metrics: metrics.runtime });
  const policy = openTenancy(config, io, { labels, metrics });
  const mayLogIn = ({ namespace, name }: Request) => policy.grants(namespace).mayLogIn(name);
  const vault = createVault({
    ...config.vault,
    serviceAccounts: new ServiceAccounts({ client, audience: config.vaultAudience, mayLogIn }),
    logger,
    clock,
    beforeMutation,
    keepsToNamespace: io.policy !== undefined,
    metrics: metrics.vault,
  });
  const own = { vault, method: config.authMethod, namespace: config.vault.namespace };
  const transit = openTransit(config.kms, own, { logger, clock, metrics: metrics.vault });
  const kms = createDecryptor(config.kms, {
    clock,
    logger,
    report: (...call) => metrics.kms.requestDone(...call),
    watch: (limits) => metrics.kms.watchLimits(limits),
    ...(transit.door && { transit: transit.door }),
  });
  return { elector, unguarded, client, policy, labels, vault, transit, kms };
}

function openTenancy(
  config: Config,
  { policy: loaded, logger }: OperatorIo,
  { labels, metrics }: { readonly labels: NamespaceLabels; readonly metrics: Metrics },
): LivePolicy {
  return openPolicy({
    loaded,
    labelsOf: labels.of,
    ownNamespace: config.vault.namespace,
    defaultMethod: config.authMethod,
    mayNameNamespace: config.allowVaultNamespaces,
    logger,
    clock: systemClock,
    reportValid: (isValid) => metrics.policy.valid(isValid),
  });
}

function electorFor(
  { shards, leaderElection }: Config,
  options: Omit<ConstructorParameters<typeof Sharding>[0], "shards">,
): Doors["elector"] {
  if (shards > 1) return new Sharding({ ...options, shards });
  return leaderElection ? new LeaderElector(options) : undefined;
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

function tellOfSkippedChecks({ vault }: Config, logger: Logger, metrics: Metrics): void {
  const { skipVerify = false } = vault.transport;
  metrics.vault.tlsSkipVerify(skipVerify);
  if (skipVerify) logger.warn({}, "VAULT_SKIP_VERIFY: whoever answers in Vault's place gets our token");
}

interface Assembly {
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly onFatal: () => void;
}
