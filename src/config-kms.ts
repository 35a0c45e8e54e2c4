// Where keys are and how they may be used, for `run` and `webhook` alike: both commands have these flags.
import type { KmsFlagName } from "./config-reference.ts";
import { type TransitReader, type TransitSettings, transitSettings } from "./config-transit.ts";
import { integer, type Parse } from "./config-values.ts";
import { isAwsKey } from "./kms/aws-keys.ts";
import { isRoleArn } from "./kms/credentials.ts";
import type { KmsOptions } from "./kms/factory.ts";
import { parseTransitKey } from "./kms/transit.ts";

/** How these flags and variables are read. */
export interface KmsReader extends TransitReader {
  flag<T>(name: KmsFlagName, parse: Parse<T>, expected: string): T;
}

/** Settings of the key services. */
export type KmsSettings = KmsOptions & TransitSettings;

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
  const transitKey = read.flag("transit-key", transitKeyOrNone, "<mount>/<key>, such as transit/shop");
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

function transitKeyOrNone(text: string): string | undefined {
  return text === "" || parseTransitKey(text) !== undefined ? text : undefined;
}
