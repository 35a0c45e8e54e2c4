// Makes the Decryptor out of its options, for the operator and for the webhook alike.
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { ageService, isAge } from "./age.ts";
import { awsService } from "./aws-values.ts";
import { type AwsKmsOptions, createAwsKms, defaultMaxInFlight } from "./aws.ts";
import type { LearntLimit } from "./aws-clients.ts";
import { decodeBase64 } from "./base64.ts";
import type { Decryptor, Provider } from "./cipher.ts";
import { metered, type RequestReport } from "./metered.ts";
import { byProvider } from "./providers.ts";
import { isTransit, type TransitDoor, transitService } from "./transit.ts";

/** Where keys are and how they may be used. */
export interface KmsOptions extends Omit<AwsKmsOptions, "logger" | "clock"> {
  /** Keys of whatever service that may be used; absent: any. */
  readonly allowedKeys?: readonly string[];
  /** Identities of age. */
  readonly ageKeyFile?: string;
  /** `<mount>/<key>` of Vault transit, for objects that name none. */
  readonly transitKey?: string;
}

/** What a Decryptor works with. */
export interface KmsTools {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly report: RequestReport;
  /** Is handed a function that tells where KMS's throttling holds us back at the moment. */
  readonly watch?: (limits: () => readonly LearntLimit[]) => void;
  /** The way to Vault's transit engines; absent: their values cannot be decrypted. */
  readonly transit?: TransitDoor;
}

/** Touches no network until the first call. */
export function createDecryptor(options: KmsOptions, { clock, logger, report, watch, transit }: KmsTools): Decryptor {
  const { ageKeyFile, transitKey, ...aws } = options;
  const { allowedKeys, region } = aws;
  const kms = createAwsKms({ ...aws, logger, clock });
  watch?.(() => kms.learntLimits());
  const age = ageService({ keyFile: ageKeyFile, allowedKeys, logger });
  const vaultTransit = transitService({
    defaultKey: transitKey,
    allowedKeys,
    door: transit,
    maxInFlight: aws.maxInFlight ?? defaultMaxInFlight,
    clock,
  });
  return byProvider({
    // Its values may have a data key in common, for which KMS is asked once.
    AWS: awsService({ kms: metered(kms, clock, report), region, allowedKeys }),
    Age: { ...age, ...metered(age, clock, report) },
    VaultTransit: { ...vaultTransit, ...metered(vaultTransit, clock, report) },
  });
}

/**
 * Asserts the form of a value without any key: AWS's are base64; those of other services are for these to judge.
 * @param provider `spec.provider`; undefined: the value's prefix says
 * @throws OperatorError `DecodingError`, `DecryptingError`
 */
export function assertCiphertext(encryptedSecret: string, provider: Provider | undefined): void {
  const isOther = provider === undefined && (isAge(encryptedSecret) || isTransit(encryptedSecret));
  if (!isOther && (provider ?? "AWS") === "AWS") decodeBase64(encryptedSecret);
}
