// Everything that `run` can be told, as data: the flags and the environment variables with their defaults. config.ts
// reads by these tables and the help prints them, so that neither can say something that the other does not.
import { authVariables } from "./vault/auth/environment.ts";
import { authMethods } from "./vault/vault.ts";

export const logLevels = ["debug", "info", "warn", "error"] as const;
/** The least level that is logged. */
export type LogLevel = (typeof logLevels)[number];

export const logFormats = ["auto", "json", "text"] as const;
/** `auto`: text when the log goes to a terminal, else JSON. */
export type LogFormat = (typeof logFormats)[number];

/** A flag of a command. */
export interface Flag {
  /** Without dashes. */
  readonly name: string;
  /** What stands for its value in the help; absent: a boolean. */
  readonly value?: string;
  readonly default: string;
  readonly description: string;
  /** The original had it. */
  readonly original?: true;
}

/** Flags of every command that decrypts (config-kms.ts). */
export const kmsFlags = [
  {
    name: "kms-max-in-flight",
    value: "count",
    default: "64",
    description: "how many requests to KMS may be open at the same time, in each region and account",
  },
  {
    name: "kms-qps",
    value: "count",
    default: "0",
    description: "requests to KMS per second, in each region and account; 0: as many as KMS lets through",
  },
  {
    name: "kms-allowed-keys",
    value: "keys",
    default: "*",
    description:
      "keys that may decrypt, separated by commas: ARNs, key ids, alias/<name>, keys of other key services; * is any",
  },
  {
    name: "kms-role-arn",
    value: "arn",
    default: "",
    description: "AWS role to ask KMS as, where an object names none; else the identity that AWS gives the operator",
  },
  {
    name: "age-key-file",
    value: "file",
    default: "",
    description: "keys for values of age, as age-keygen writes them; re-read when it changes",
  },
  {
    name: "transit-key",
    value: "mount/key",
    default: "",
    description: "key for values of Vault's transit engine where an object names none (spec.kmsKeyId)",
  },
] as const satisfies readonly Flag[];

export type KmsFlagName = (typeof kmsFlags)[number]["name"];

/** Every flag of `run`, in the order of the help. */
export const runFlags = [
  {
    name: "metrics-addr",
    original: true,
    value: "address",
    default: ":8080",
    description: "where metrics and probes are served; 0 turns them off",
  },
  {
    name: "health-probe-bind-address",
    value: "address",
    default: "",
    description: "where /healthz and /readyz are served instead of the metrics address; 0 turns them off",
  },
  {
    name: "enable-leader-election",
    original: true,
    default: "false",
    description: "of several replicas only one at a time is active",
  },
  {
    name: "shards",
    value: "count",
    default: "1",
    description: "more than 1: replicas divide the objects into so many parts, each active on its own; same for all",
  },
  {
    name: "vault-authentication-method",
    original: true,
    value: "method",
    default: "token",
    description: `how to log in to Vault where an object does not say: ${authMethods.join(", ")}`,
  },
  {
    name: "vault-audience",
    value: "audience",
    default: "vault",
    description: "for whom the tokens are by which service accounts of objects log in to Vault",
  },
  {
    name: "adopt",
    value: "when",
    default: "original",
    description: `when data of unknown origin is written over: original (KV v1 yes, KV v2 when asked), always, never`,
  },
  {
    name: "allow-vault-namespaces",
    default: "false",
    description: "objects may name a Vault namespace of their own (spec.vaultNamespace)",
  },
  {
    name: "policy",
    value: "file",
    default: "",
    description: "which places, logins and keys objects of which namespaces may use; re-read when it changes",
  },
  {
    name: "cluster-id",
    value: "id",
    default: "",
    description:
      "names this cluster in the marks on secrets: set before the first is written, or to the old one's when the cluster is built anew; else kube-system's uid",
  },
  {
    name: "sync-period-seconds",
    original: true,
    value: "seconds",
    default: "120",
    description: "how often every object is compared with Vault; 0: only when it changes",
  },
  {
    name: "kubeconfig",
    original: true,
    value: "file",
    default: "",
    description: "how to reach the API server; before KUBECONFIG, the pod's service account and ~/.kube/config",
  },
  {
    name: "max-concurrent-reconciles",
    value: "count",
    default: "16",
    description: "how many objects are worked on at the same time",
  },
  {
    name: "kube-api-qps",
    value: "count",
    default: "500",
    description: "requests to the API server per second, those for Leases not counted; 0: no limit of ours",
  },
  {
    name: "kube-api-burst",
    value: "count",
    default: "1000",
    description: "how many of them may go at once",
  },
  ...kmsFlags,
  {
    name: "debug-addr",
    value: "address",
    default: "",
    description:
      "where /debug/state and /debug/profile are served, to be kept to loopback (127.0.0.1:6060); off unless given",
  },
  { name: "log-level", value: "level", default: "info", description: `least level: ${logLevels.join(", ")}` },
  {
    name: "log-format",
    value: "format",
    default: "auto",
    description: `${logFormats.join(", ")}; auto is text on a terminal, else json`,
  },
] as const satisfies readonly Flag[];

export type FlagName = (typeof runFlags)[number]["name"];

/** An environment variable. */
export interface Variable {
  readonly name: string;
  /** "": unset. */
  readonly default: string;
  readonly description: string;
}

/** Every environment variable that `run` reads itself, in the order of the help. Empty counts as unset. */
export const variables = [
  {
    name: "WATCH_NAMESPACE",
    default: "",
    description: "namespaces to watch, separated by commas; empty: all",
  },
  {
    name: "POD_NAMESPACE",
    default: "",
    description:
      "the operator's own namespace, for its Lease and its key; else the service account's or the kubeconfig's",
  },
  {
    name: "KUBECONFIG",
    default: "",
    description: "kubeconfig files, where --kubeconfig is not given",
  },
  {
    name: "VAULT_ADDR",
    default: "https://127.0.0.1:8200",
    description: "where Vault or OpenBao is: a URL, or unix:// and the path of a socket",
  },
  { name: "VAULT_AGENT_ADDR", default: "", description: "a Vault agent or proxy, used before VAULT_ADDR" },
  {
    name: "VAULT_REDIRECT_ADDRS",
    default: "",
    description: "other servers to which a standby may redirect, separated by commas; the token goes nowhere else",
  },
  {
    name: "VAULT_PROXY_ADDR",
    default: "",
    description: "proxy for every request to Vault; before VAULT_HTTP_PROXY, HTTPS_PROXY and HTTP_PROXY",
  },
  { name: "VAULT_HTTP_PROXY", default: "", description: "as VAULT_PROXY_ADDR, which wins" },
  { name: "HTTPS_PROXY", default: "", description: "proxy for a Vault at an https:// address; not for loopback" },
  { name: "https_proxy", default: "", description: "as HTTPS_PROXY, which wins" },
  { name: "HTTP_PROXY", default: "", description: "proxy for a Vault at an http:// address; not for loopback" },
  { name: "http_proxy", default: "", description: "as HTTP_PROXY, which wins" },
  {
    name: "NO_PROXY",
    default: "",
    description: "hosts, domains, addresses and networks that HTTPS_PROXY and HTTP_PROXY are not for",
  },
  { name: "no_proxy", default: "", description: "as NO_PROXY, which wins" },
  { name: "VAULT_NAMESPACE", default: "", description: "Vault namespace of every request" },
  {
    name: "VAULT_CACERT",
    default: "",
    description: "PEM file with the CA certificates of Vault; re-read when it changes",
  },
  {
    name: "VAULT_CAPATH",
    default: "",
    description: "directory of such files, or one file, where VAULT_CACERT is not given",
  },
  {
    name: "VAULT_CLIENT_CERT",
    default: "",
    description: "PEM file with the client certificate for Vault; re-read when it changes",
  },
  { name: "VAULT_CLIENT_KEY", default: "", description: "PEM file with its private key" },
  { name: "VAULT_TLS_SERVER_NAME", default: "", description: "name to expect in Vault's certificate" },
  { name: "VAULT_SKIP_VERIFY", default: "false", description: "true: Vault's certificate is not checked" },
  { name: "VAULT_CLIENT_TIMEOUT", default: "60s", description: "per request, in seconds or as a duration" },
  { name: "VAULT_MAX_RETRIES", default: "2", description: "retries of a request that is safe to repeat" },
  { name: "VAULT_RATE_LIMIT", default: "", description: "requests per second, with an optional burst: 10 or 10:20" },
  ...authVariables,
  { name: "AWS_REGION", default: "", description: "region of KMS; else AWS_DEFAULT_REGION, the shared config file" },
  { name: "AWS_DEFAULT_REGION", default: "", description: "region of KMS, where AWS_REGION is not given" },
  {
    name: "VAULT_TRANSIT_ADDR",
    default: "",
    description: "another Vault for transit keys: its address; else the operator's own, as the operator itself",
  },
  { name: "VAULT_TRANSIT_TOKEN", default: "", description: "the token for it" },
  {
    name: "VAULT_TRANSIT_TOKEN_FILE",
    default: "",
    description: "file with the token; a changed one is taken up by itself",
  },
  {
    name: "VAULT_TRANSIT_CACERT",
    default: "",
    description: "PEM file with its CA certificates; re-read when it changes",
  },
  {
    name: "VAULT_TRANSIT_NAMESPACE",
    default: "",
    description: "Vault namespace of transit keys; else VAULT_NAMESPACE, for another Vault the root namespace",
  },
] as const satisfies readonly Variable[];

export type VariableName = (typeof variables)[number]["name"];
