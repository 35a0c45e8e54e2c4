// Makes the Decryptor out of its options, for the operator and for the webhook alike.
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { type AwsKmsOptions, createAwsKms } from "./aws.ts";
import type { LearntLimit } from "./aws-clients.ts";
import type { Decryptor } from "./cipher.ts";
import { metered, type RequestReport } from "./metered.ts";
import { byProvider } from "./providers.ts";

/** Where keys are and how they may be used. */
export type KmsOptions = Omit<AwsKmsOptions, "logger" | "clock">;

/** What a Decryptor works with. */
export interface KmsTools {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly report: RequestReport;
  /** Is handed a function that tells where KMS's throttling holds us back at the moment. */
  readonly watch?: (limits: () => readonly LearntLimit[]) => void;
}

/** Touches no network until the first call. */
export function createDecryptor(options: KmsOptions, { clock, logger, report, watch }: KmsTools): Decryptor {
  const aws = createAwsKms({ ...options, logger, clock });
  watch?.(() => aws.learntLimits());
  return metered(byProvider({ aws }), clock, report);
}
