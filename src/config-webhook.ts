// What `webhook` can be told: flags and environment → one object, everything that is wrong listed at once. Names and
// defaults of the first four flags are the contract with installations of the original.
import { kmsSettings } from "./config-kms.ts";
import { type Environment, type FlagValues, Reader } from "./config-reader.ts";
import {
  type LogFormat,
  type LogLevel,
  logFormats,
  logLevels,
  type WebhookFlagName,
  webhookFlags,
} from "./config-reference.ts";
import { integer, type ListenAddress, listenAddress, oneOf, parseListenAddress } from "./config-values.ts";
import type { KmsOptions } from "./kms/factory.ts";

/** What becomes of an object with a value that cannot be decrypted. */
export const decryptModes = ["deny", "warn", "off"] as const;

/** Everything that `webhook` can be told. */
export interface WebhookConfig {
  readonly listenAddress: ListenAddress;
  /** Where metrics and probes are served; "off": nowhere. */
  readonly metricsAddress: ListenAddress | "off";
  readonly certificate: CertificateFiles;
  readonly decrypt: (typeof decryptModes)[number];
  readonly kms: KmsOptions;
  /** Requests to KMS per second. */
  readonly kmsPerSecond: number;
  readonly log: { readonly level: LogLevel; readonly format: LogFormat };
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
}

/** Pure: no file is looked at. */
export function loadWebhookConfig({ flags, env }: WebhookConfigSources): LoadedWebhook {
  const read = new Reader<WebhookFlagName>(flags, env, webhookFlags);
  const config: WebhookConfig = {
    listenAddress: read.flag("listen-addr", parseListenAddress, "an address such as :4443 or 127.0.0.1:4443"),
    metricsAddress: read.flag("metrics-addr", listenAddress, "an address such as :8081 or 127.0.0.1:8081, or 0"),
    certificate: certificateFiles(read, flags),
    decrypt: read.flag("decrypt", oneOf(decryptModes), `one of ${decryptModes.join(", ")}`),
    kms: kmsSettings(read),
    kmsPerSecond: read.flag("kms-qps", integer(1, 100_000), "a whole number from 1 to 100000"),
    log: {
      level: read.flag("log-level", oneOf(logLevels), `one of ${logLevels.join(", ")}`),
      format: read.flag("log-format", oneOf(logFormats), `one of ${logFormats.join(", ")}`),
    },
  };
  return read.problems.length > 0 ? { problems: read.problems } : { config };
}

function certificateFiles(
  { problems }: Pick<Reader, "problems">,
  flags: WebhookConfigSources["flags"],
): CertificateFiles {
  const certFile = flags["tls-cert-file"] ?? "";
  const keyFile = flags["tls-key-file"] ?? "";
  const missing = [certFile === "" && "--tls-cert-file", keyFile === "" && "--tls-key-file"].filter(Boolean);
  if (missing.length > 0) {
    problems.push(`${missing.join(" and ")}: must name a PEM file; the API server calls webhooks by HTTPS only`);
  }
  return { certFile, keyFile };
}
