// What `webhook` can be told: flags and environment → one object, everything that is wrong listed at once. Names and
// defaults of the first four flags are the contract with installations of the original.
import { type KmsSettings, kmsSettings } from "./config-kms.ts";
import { type Environment, type FlagValues, Reader } from "./config-reader.ts";
import { type LogFormat, type LogLevel, logFormats, logLevels } from "./config-reference.ts";
import { type WebhookFlagName, webhookFlags } from "./config-reference-webhook.ts";
import {
  isNamespaceName,
  type ListenAddress,
  listenAddress,
  oneOf,
  parseBoolean,
  parseListenAddress,
  withoutOuterSlashes,
} from "./config-values.ts";
import { type AuthMethod, authMethods } from "./vault/vault.ts";

/** What becomes of an object with a value that cannot be decrypted. */
const decryptModes = ["deny", "warn", "off"] as const;

/** Everything that `webhook` can be told. */
export interface WebhookConfig {
  readonly listenAddress: ListenAddress;
  /** Where metrics and probes are served; "off": nowhere. */
  readonly metricsAddress: ListenAddress | "off";
  /** Where the serving certificate comes from. */
  readonly certificate: { readonly files: CertificateFiles } | { readonly selfSigned: SelfSigned };
  readonly decrypt: (typeof decryptModes)[number];
  readonly kms: KmsSettings;
  /** The tenancy policy; absent: none. It is read by policy/policy-file.ts. */
  readonly policyFile?: string;
  /** What the operator is told and the policy goes by. */
  readonly vault: {
    /** Without slashes at its ends. */
    readonly namespace: string;
    readonly authMethod: AuthMethod;
    /** Always where there is no policy: the operator, whose flag nobody has to repeat then, says what it allows. */
    readonly allowNamespaces: boolean;
  };
  readonly log: { readonly level: LogLevel; readonly format: LogFormat };
}

/** A certificate of the webhook's own making. */
interface SelfSigned {
  /** Of the webhook's Service. */
  readonly service: string;
  /** The webhook's own, in which the Service is too. */
  readonly namespace: string;
  /** Other DNS names and IP addresses that it is for. */
  readonly names: readonly string[];
}

interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** A configuration, or everything that is wrong, one line each. */
export type LoadedWebhook = { readonly config: WebhookConfig } | { readonly problems: readonly string[] };

export interface WebhookConfigSources {
  readonly flags: FlagValues<WebhookFlagName>;
  readonly env: Environment;
  /** The namespace that the connection to the API server names, for when `POD_NAMESPACE` does not. */
  readonly namespace?: string | undefined;
}

/** Pure: no file is looked at. */
export function loadWebhookConfig({ flags, env, namespace }: WebhookConfigSources): LoadedWebhook {
  const read = new Reader<WebhookFlagName>(flags, env, webhookFlags);
  const config: WebhookConfig = {
    listenAddress: read.flag("listen-addr", parseListenAddress, "an address such as :4443 or 127.0.0.1:4443"),
    metricsAddress: read.flag("metrics-addr", listenAddress, "an address such as :8081 or 127.0.0.1:8081, or 0"),
    certificate: certificateSettings(read, flags, namespace),
    decrypt: read.flag("decrypt", oneOf(decryptModes), `one of ${decryptModes.join(", ")}`),
    kms: kmsSettings(read),
    ...(flags.policy !== undefined && { policyFile: flags.policy }),
    vault: {
      namespace: read.optional("VAULT_NAMESPACE", withoutOuterSlashes, "a Vault namespace") ?? "",
      authMethod: read.flag("vault-authentication-method", oneOf(authMethods), `one of ${authMethods.join(", ")}`),
      allowNamespaces: mayNameNamespaces(read, flags.policy),
    },
    log: {
      level: read.flag("log-level", oneOf(logLevels), `one of ${logLevels.join(", ")}`),
      format: read.flag("log-format", oneOf(logFormats), `one of ${logFormats.join(", ")}`),
    },
  };
  // A variable that was not set must not read as "no policy".
  if (flags.policy === "") read.problems.push('--policy: must be a file, not ""');
  return read.problems.length > 0 ? { problems: read.problems } : { config };
}

function mayNameNamespaces(read: Reader<WebhookFlagName>, policyFile: string | undefined): boolean {
  const allowed = read.flag("allow-vault-namespaces", parseBoolean, "true or false");
  return allowed || policyFile === undefined;
}

function certificateSettings(
  read: Reader<WebhookFlagName>,
  flags: WebhookConfigSources["flags"],
  namespace: string | undefined,
): WebhookConfig["certificate"] {
  const service = read.flag("service-name", serviceName, "the name of a Service");
  const names = read.flag("self-signed-names", hostNames, "DNS names and IP addresses, separated by commas");
  const own = read.optional("POD_NAMESPACE", namespaceName, "the name of a namespace") ?? namespace ?? "default";
  const [certFile = "", keyFile = ""] = [flags["tls-cert-file"], flags["tls-key-file"]];
  if (read.flag("self-signed", parseBoolean, "true or false")) {
    if (certFile + keyFile !== "") {
      read.problems.push(
        "--self-signed: makes a certificate in place of --tls-cert-file and --tls-key-file, not with them",
      );
    }
    return { selfSigned: { service, namespace: own, names } };
  }
  if (certFile === "" || keyFile === "") {
    read.problems.push(
      "--tls-cert-file and --tls-key-file: must both name a PEM file, or --self-signed be given: the API server calls webhooks by HTTPS only",
    );
  }
  return { files: { certFile, keyFile } };
}

function namespaceName(text: string): string | undefined {
  return isNamespaceName(text) ? text : undefined;
}

/** RFC 1123 label, as namespaces are. */
const serviceName = namespaceName;

/** As they stand in a certificate, so IPv6 without brackets. */
function hostNames(text: string): readonly string[] | undefined {
  if (text.trim() === "") return [];
  const names = text.split(",").map((name) => name.trim());
  return names.every((name) => /^[A-Za-z0-9:]([A-Za-z0-9.:-]*[A-Za-z0-9:])?$/.test(name)) ? names : undefined;
}
