// Where keys are and how they may be used, for `run` and `webhook` alike: both commands have these flags.
import { type TransitReader, type TransitSettings, transitSettings } from "./config-transit.ts";
import { integer, type Parse } from "./config-values.ts";
import type { KmsOptions } from "./kms/factory.ts";
import { parseTransitKey } from "./kms/transit.ts";

/** How these flags and variables are read. */
export interface KmsReader extends TransitReader {
  flag<T>(name: "kms-max-in-flight" | "age-key-file" | "transit-key", parse: Parse<T>, expected: string): T;
}

/** Settings of the key services. */
export type KmsSettings = KmsOptions & TransitSettings;

/** Reads them. */
export function kmsSettings(read: KmsReader): KmsSettings {
  // The SDK for JavaScript does not know AWS_DEFAULT_REGION, which the Go SDK of the original read.
  const region = read.text("AWS_REGION") ?? read.text("AWS_DEFAULT_REGION");
  const ageKeyFile = read.flag("age-key-file", (text) => text, "a file");
  const transitKey = read.flag("transit-key", transitKeyOrNone, "<mount>/<key>, such as transit/shop");
  return {
    // Absent: the shared config file of the AWS SDK says.
    ...(region !== undefined && { region }),
    maxInFlight: read.flag("kms-max-in-flight", integer(1, 10_000), "a whole number from 1 to 10000"),
    ...(ageKeyFile !== "" && { ageKeyFile }),
    ...(transitKey !== "" && { transitKey }),
    ...transitSettings(read),
  };
}

function transitKeyOrNone(text: string): string | undefined {
  return text === "" || parseTransitKey(text) !== undefined ? text : undefined;
}
