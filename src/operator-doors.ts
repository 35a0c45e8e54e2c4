// What the operator asks others by: the API server, Vault, the key services, and the policy that says who may. `run`'s
// composition root (operator.ts) puts the rest together around it.
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { systemClock } from "./base/clock.ts";
import type { Logger } from "./base/log.ts";
import type { Config } from "./config.ts";
import { NamespaceLabels } from "./controller/namespace-labels.ts";
import { ServiceAccounts } from "./controller/service-accounts.ts";
import type { Decryptor } from "./kms/cipher.ts";
import { createDecryptor } from "./kms/factory.ts";
import { type LivePolicy, openPolicy } from "./policy/live-policy.ts";
import type { LoadedPolicy } from "./policy/policy-file.ts";
import { KubeClient } from "./runtime/client.ts";
import type { KubeConnection } from "./runtime/connection.ts";
import { holderIdentity, LeaderElector } from "./runtime/leader-election.ts";
import type { Request } from "./runtime/objects.ts";
import { Sharding } from "./runtime/sharding.ts";
import type { Metrics } from "./telemetry/metrics.ts";
import { openTransit, type TransitVault } from "./transit-vault.ts";
import { type ClosableVault, createVault } from "./vault/factory.ts";
import { productVersion } from "./version.ts";

/** Name of the Lease (contract). */
const leaseName = "39a50047.patoarvizu.dev";

/** What the operator is started with, besides its configuration. */
export interface OperatorIo {
  readonly logger: Logger;
  /** Aborts when the process shall stop. */
  readonly signal: AbortSignal;
  readonly connection: KubeConnection;
  /** What `--policy` names, as it was read at the start. */
  readonly policy?: LoadedPolicy | undefined;
}

/** The three servers that the operator talks to, and what may be asked of them. */
export interface Doors {
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

/** Touches no network until something is asked. */
export function openDoors(config: Config, io: OperatorIo, metrics: Metrics): Doors {
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

function tellOfSkippedChecks({ vault }: Config, logger: Logger, metrics: Metrics): void {
  const { skipVerify = false } = vault.transport;
  metrics.vault.tlsSkipVerify(skipVerify);
  if (skipVerify) logger.warn({}, "VAULT_SKIP_VERIFY: whoever answers in Vault's place gets our token");
}
