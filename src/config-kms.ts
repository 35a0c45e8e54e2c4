// Where keys are and how they may be used, for `run` and `webhook` alike: both commands have these flags.
import type { PlainValue } from "./base/plaintext.ts";
import type { KmsFlagName, VariableName } from "./config-reference.ts";
import { integer, type Parse, parseVaultAddress, withoutOuterSlashes } from "./config-values.ts";
import { addressForm, routeTo, type VariableReader } from "./config-vault-transport.ts";
import { isAwsKey } from "./kms/aws-keys.ts";
import { isRoleArn } from "./kms/credentials.ts";
import type { KmsOptions } from "./kms/factory.ts";
import { parseTransitKey } from "./kms/transit.ts";
import type { Credential } from "./vault/auth/credential.ts";
import type { VaultTransportOptions } from "./vault/transport.ts";

/** How these flags and variables are read. */
export interface KmsReader extends VariableReader {
  flag<T>(name: KmsFlagName, parse: Parse<T>, expected: string): T;
  /** Undefined when unset or empty. */
  secret(name: VariableName): PlainValue | undefined;
}

/** Settings of the key services. */
export interface KmsSettings extends KmsOptions, TransitSettings {}

/** Where transit keys are. */
export interface TransitSettings {
  /** Vault namespace without slashes at its ends; absent: the operator's own, or another Vault's root namespace. */
  readonly transitNamespace?: string;
  /** Absent: the Vault that the operator writes to, by the operator's own login. */
  readonly transitVault?: { readonly transport: VaultTransportOptions; readonly token: Credential };
}

/** Reads them. */
export function kmsSettings(read: KmsReader): KmsSettings {
  // The SDK for JavaScript does not know AWS_DEFAULT_REGION, which the Go SDK of the original read.
  const region = read.text("AWS_REGION") ?? read.text("AWS_DEFAULT_REGION");
  const perSecond = read.flag("kms-qps", integer(0, 100_000), "a whole number from 0 to 100000");
  const allowedKeys = read.flag(
    "kms-allowed-keys",
    keyList,
    "* alone, or keys separated by commas, each in full and those with arn: ARNs of KMS keys or aliases",
  );
  const roleArn = read.flag("kms-role-arn", roleArnOrNone, "the ARN of an IAM role");
  const ageKeyFile = read.flag("age-key-file", (text) => text, "a file");
  const transitKey = read.flag("transit-key", transitKeyText, "<mount>/<key>, such as transit/shop");
  return {
    // Absent: the shared config file of the AWS SDK says.
    ...(region !== undefined && { region }),
    maxInFlight: read.flag("kms-max-in-flight", integer(1, 10_000), "a whole number from 1 to 10000"),
    ...(perSecond > 0 && { perSecond }),
    ...(!allowedKeys.includes("*") && { allowedKeys }),
    ...(roleArn !== "" && { roleArn }),
    ...(ageKeyFile !== "" && { ageKeyFile }),
    ...(transitKey !== "" && { transitKey }),
    ...transitSettings(read),
  };
}

/** How keys of other key services look is their business. */
function keyList(text: string): readonly string[] | undefined {
  const keys = text.split(",").map((key) => key.trim());
  if (keys.length === 1 && keys[0] === "*") return keys;
  const isRight = (key: string) => key !== "" && !key.includes("*") && (isAwsKey(key) || !key.startsWith("arn:"));
  return keys.every(isRight) ? keys : undefined;
}

function roleArnOrNone(text: string): string | undefined {
  return text === "" || isRoleArn(text) ? text : undefined;
}

function transitKeyText(text: string): string | undefined {
  return text === "" || parseTransitKey(text) !== undefined ? text : undefined;
}

function transitSettings(read: KmsReader): TransitSettings {
  const namespace = read.optional("VAULT_TRANSIT_NAMESPACE", withoutOuterSlashes, "a Vault namespace");
  const address = read.optional("VAULT_TRANSIT_ADDR", parseVaultAddress, addressForm);
  const caCert = read.text("VAULT_TRANSIT_CACERT");
  const value = read.secret("VAULT_TRANSIT_TOKEN");
  const file = read.text("VAULT_TRANSIT_TOKEN_FILE");
  checkTransit(read);
  const token = {
    variable: "VAULT_TRANSIT_TOKEN",
    ...(value !== undefined ? { value } : file !== undefined && { file }),
  };
  const transport = (to: string) => ({
    ...routeTo(to, read),
    timeoutMs: 10_000,
    maxRetries: 2,
    ...(caCert !== undefined && { caCert }),
  });
  return {
    ...(namespace !== undefined && { transitNamespace: namespace }),
    ...(address !== undefined && { transitVault: { transport: transport(address), token } }),
  };
}

/** A token goes to the server that it is for, and to no other. */
function checkTransit(read: Pick<KmsReader, "text" | "problems">): void {
  const { problems } = read;
  const text = (name: VariableName) => read.text(name);
  const belonging = ["VAULT_TRANSIT_TOKEN", "VAULT_TRANSIT_TOKEN_FILE", "VAULT_TRANSIT_CACERT"] as const;
  const given = belonging.filter((name) => text(name) !== undefined);
  const tokens = given.filter((name) => name !== "VAULT_TRANSIT_CACERT");
  if (text("VAULT_TRANSIT_ADDR") === undefined) {
    for (const name of given)
      problems.push(`${name}: is for the Vault that VAULT_TRANSIT_ADDR names, which is not set`);
  } else if (tokens.length === 0) {
    problems.push("VAULT_TRANSIT_ADDR: needs VAULT_TRANSIT_TOKEN or VAULT_TRANSIT_TOKEN_FILE");
  }
  if (tokens.length > 1) problems.push("VAULT_TRANSIT_TOKEN and VAULT_TRANSIT_TOKEN_FILE: must not be set both");
  if (text("VAULT_TRANSIT_CACERT")?.includes("-----BEGIN")) {
    problems.push("VAULT_TRANSIT_CACERT: must name a file, not hold what is in it");
  }
}
