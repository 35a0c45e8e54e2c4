// Where keys are and how they may be used, for `run` and `webhook` alike: both commands have these flags.
import type { VariableName } from "./config-reference.ts";
import { integer, type Parse } from "./config-values.ts";
import type { KmsOptions } from "./kms/factory.ts";

/** How these flags and variables are read. */
export interface KmsReader {
  readonly problems: string[];
  flag<T>(name: "kms-max-in-flight", parse: Parse<T>, expected: string): T;
  /** Undefined when unset or empty. */
  text(name: VariableName): string | undefined;
}

/** Settings of the key services. */
export function kmsSettings(read: KmsReader): KmsOptions {
  // The SDK for JavaScript does not know AWS_DEFAULT_REGION, which the Go SDK of the original read.
  const region = read.text("AWS_REGION") ?? read.text("AWS_DEFAULT_REGION");
  return {
    // Absent: the shared config file of the AWS SDK says.
    ...(region !== undefined && { region }),
    maxInFlight: read.flag("kms-max-in-flight", integer(1, 10_000), "a whole number from 1 to 10000"),
  };
}
