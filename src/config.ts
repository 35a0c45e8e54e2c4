// Flags and environment → one frozen object. Everything that is wrong is listed at once, in words that say what to
// write instead. Names, defaults and several texts are the contract with installations of the original
// (docs/reference/configuration.md). What stands in a variable is never quoted: it may be a secret in the wrong place.
import { type Adoption, adoptions } from "./api/adoption.ts";
import type { RateLimit } from "./base/rate-limit.ts";
import { type LogFormat, type LogLevel, logFormats, logLevels, runFlags } from "./config-reference.ts";
import {
  integer,
  isNamespaceName,
  type ListenAddress,
  listenAddress,
  oneOf,
  parseBoolean,
  parseNamespaces,
  withoutOuterSlashes,
} from "./config-values.ts";
import { type KmsSettings, kmsSettings } from "./config-kms.ts";
import { type Environment, type FlagValues, Reader } from "./config-reader.ts";
import { requireCredentials, vaultAuth } from "./config-vault.ts";
import { vaultTransport } from "./config-vault-transport.ts";
import type { VaultAuthOptions } from "./vault/auth/method.ts";
import type { VaultTransportOptions } from "./vault/transport.ts";
import { type AuthMethod, authMethods } from "./vault/vault.ts";

/** Everything that `run` can be told, resolved and frozen. */
export interface Config {
  /** Where metrics are served; "off": nowhere. */
  readonly metricsAddress: ListenAddress | "off";
  /** Where probes are served; absent: on `metricsAddress`. */
  readonly probeAddress?: ListenAddress | "off";
  /** Where the debug pages are served; absent: nowhere. */
  readonly debugAddress?: ListenAddress;
  readonly leaderElection: boolean;
  /** More than 1: replicas divide the objects among each other. */
  readonly shards: number;
  /** How to log in to Vault for objects that do not say so themselves. */
  readonly authMethod: AuthMethod;
  /** Of the tokens by which service accounts log in to Vault. */
  readonly vaultAudience: string;
  /** When data of unknown origin is written over. */
  readonly adoption: Adoption;
  readonly allowVaultNamespaces: boolean;
  /** The tenancy policy; absent: none. It is read by policy/policy-file.ts. */
  readonly policyFile?: string;
  /** In the marks on secrets; absent: the uid of the kube-system namespace. */
  readonly clusterId?: string;
  /** 0: no resync. */
  readonly syncPeriodMs: number;
  readonly maxConcurrentReconciles: number;
  /** Of requests to the API server; absent: none. */
  readonly kubeRateLimit?: RateLimit;
  readonly kms: KmsSettings;
  readonly log: { readonly level: LogLevel; readonly format: LogFormat };
  /** The operator's own namespace: Lease and record key. */
  readonly namespace: string;
  /** Empty: all namespaces. */
  readonly watchNamespaces: readonly string[];
  readonly vault: VaultSettings;
}

/** How to reach Vault, and as whom. */
interface VaultSettings {
  /** Vault namespace without slashes at its ends; "": the root namespace. */
  readonly namespace: string;
  readonly transport: VaultTransportOptions;
  /** Credentials that are absent are a condition on the objects whose method needs them. */
  readonly auth: VaultAuthOptions;
}

export interface ConfigSources {
  readonly flags: FlagValues;
  readonly env: Environment;
  /** The namespace that the connection to the API server names, for when `POD_NAMESPACE` does not. */
  readonly namespace?: string | undefined;
}

/** A configuration, or everything that is wrong, one line each. */
export type Loaded = { readonly config: Config } | { readonly problems: readonly string[] };

/** Pure. The kubeconfig is not looked at here (cli/kube-connection.ts does). */
export function loadConfig({ flags, env, namespace }: ConfigSources): Loaded {
  const read = new Reader(flags, env, runFlags);
  const probes = flags["health-probe-bind-address"];
  const debugAddress = read.flag("debug-addr", listenAddress, "an address such as 127.0.0.1:6060");
  const config: Config = {
    metricsAddress: read.flag("metrics-addr", listenAddress, "an address such as :8080 or 127.0.0.1:8080, or 0"),
    ...(probes !== undefined &&
      probes !== "" && {
        probeAddress: read.flag("health-probe-bind-address", listenAddress, "an address such as :8081, or 0"),
      }),
    ...(debugAddress !== "off" && { debugAddress }),
    leaderElection: read.flag("enable-leader-election", parseBoolean, "true or false"),
    shards: read.flag("shards", integer(1, 256), "a whole number from 1 to 256"),
    authMethod: read.flag("vault-authentication-method", oneOf(authMethods), `one of ${authMethods.join(", ")}`),
    vaultAudience: read.flag("vault-audience", audience, "an audience of Vault's own, not the API server's"),
    ...ownershipSettings(read),
    ...(flags.policy !== undefined && { policyFile: flags.policy }),
    // A longer period would not fit into a timer.
    syncPeriodMs: read.flag("sync-period-seconds", integer(0, 2_000_000), "a whole number from 0 to 2000000") * 1_000,
    maxConcurrentReconciles: read.flag("max-concurrent-reconciles", integer(1, 1_000), "a whole number from 1 to 1000"),
    ...kubeSettings(read),
    kms: kmsSettings(read),
    log: {
      level: read.flag("log-level", oneOf(logLevels), `one of ${logLevels.join(", ")}`),
      format: read.flag("log-format", oneOf(logFormats), `one of ${logFormats.join(", ")}`),
    },
    namespace: read.optional("POD_NAMESPACE", namespaceName, "the name of a namespace") ?? namespace ?? "default",
    watchNamespaces:
      read.optional("WATCH_NAMESPACE", parseNamespaces, "names of namespaces, separated by commas, or empty for all") ??
      [],
    vault: vaultSettings(read),
  };
  // A variable that was not set must not read as "no policy".
  if (flags.policy === "") read.problems.push('--policy: must be a file, not ""');
  // Only for the method that the flag names: otherwise it is a condition on the objects that use it.
  if (flags["vault-authentication-method"] === config.authMethod) {
    requireCredentials(config.authMethod, config.vault.auth, read);
  }
  return read.problems.length > 0 ? { problems: [...new Set(read.problems)] } : { config: deepFreeze(config) };
}

function vaultSettings(read: Reader): VaultSettings {
  const namespace = read.optional("VAULT_NAMESPACE", withoutOuterSlashes, "a Vault namespace") ?? "";
  const transport = vaultTransport(read);
  return { namespace, transport, auth: vaultAuth(read, transport.clientCert !== undefined) };
}

function ownershipSettings(read: Reader): Pick<Config, "adoption" | "allowVaultNamespaces" | "clusterId"> {
  const clusterId = read.flag("cluster-id", clusterIdText, "up to 128 letters, digits and .:_-");
  return {
    adoption: read.flag("adopt", oneOf(adoptions), `one of ${adoptions.join(", ")}`),
    allowVaultNamespaces: read.flag("allow-vault-namespaces", parseBoolean, "true or false"),
    ...(clusterId !== "" && { clusterId }),
  };
}

function kubeSettings(read: Reader): Pick<Config, "kubeRateLimit"> {
  const perSecond = read.flag("kube-api-qps", integer(0, 100_000), "a whole number from 0 to 100000");
  const burst = read.flag("kube-api-burst", integer(1, 100_000), "a whole number from 1 to 100000");
  return perSecond === 0 ? {} : { kubeRateLimit: { perSecond, burst } };
}

/** With a token for the API server Vault could act as the service account; these are the usual names of that. */
function audience(text: string): string | undefined {
  return text === "" || /^(https:\/\/)?kubernetes(\.default.*)?$/.test(text) ? undefined : text;
}

function clusterIdText(text: string): string | undefined {
  return /^[A-Za-z0-9.:_-]{0,128}$/.test(text) ? text : undefined;
}

function namespaceName(text: string): string | undefined {
  return isNamespaceName(text) ? text : undefined;
}

function deepFreeze<T extends object>(object: T): T {
  for (const value of Object.values(object)) if (typeof value === "object" && value !== null) deepFreeze(value);
  return Object.freeze(object);
}
