// Makes the Decryptor out of its options, for the operator and for the webhook alike.
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { type AwsKmsOptions, createAwsKms } from "./aws.ts";
import type { Decryptor } from "./cipher.ts";
import { metered, type RequestReport } from "./metered.ts";
import { byProvider } from "./providers.ts";

/** Where keys are and how they may be used. */
export type KmsOptions = Omit<AwsKmsOptions, "logger">;

/** What a Decryptor works with. */
export interface KmsTools {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly report: RequestReport;
}

/** Touches no network until the first call. */
export function createDecryptor(options: KmsOptions, { clock, logger, report }: KmsTools): Decryptor {
  return metered(byProvider({ aws: createAwsKms({ ...options, logger }) }), clock, report);
}
