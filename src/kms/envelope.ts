// Values too long for KMS itself (over 4 KiB), or of which many shall cost one KMS call: messages of the AWS Encryption SDK.
// KMS decrypts a message's data key, the SDK (encryption-sdk.ts) the message. The SDK takes the encryption context that
// stands in the message, so whether that is the right one is asked here, before KMS is and before anything is decrypted.
import { OperatorError } from "../base/errors.ts";
import { Plaintext } from "../base/plaintext.ts";
import type { AwsKms } from "./aws.ts";
import type { DecryptCall, EncryptionContext } from "./cipher.ts";
import { canonicalJson, contextDifference } from "./encryption-context.ts";
import { damagedMessage, type EncryptedDataKey, type MessageForm } from "./message-format.ts";

export interface EnvelopesOptions {
  readonly kms: Pick<AwsKms, "decrypt">;
  /** Where keys are whose ARN the object does not name. */
  readonly region?: string | undefined;
}

/** One message. */
export interface EnvelopeRequest {
  readonly message: Uint8Array;
  /** What was read from it. */
  readonly form: MessageForm;
  /** What the object says that the value is bound to. */
  readonly encryptionContext: EncryptionContext;
}

/** As much as fits, in base64, into an object of Kubernetes (1.5 MiB) twice, with room for what else stands there. */
const maxPlaintextBytes = 512 * 1024;

/** Pairs that begin so are the SDK's own. */
const sdkPrefix = "aws-crypto-";

export class Envelopes {
  readonly #options: EnvelopesOptions;
  /**
   * Data keys that KMS is being asked for, by what decides the answer. Messages of one object that share a data key are
   * decrypted at the same time, so that one question serves them all. Nothing is kept once it is answered: a data key in
   * memory would outlive its use, and what KMS refuses from now on (a key disabled, a grant withdrawn) would go on working.
   */
  readonly #asking = new WeakMap<DecryptCall, Map<string, Promise<Plaintext>>>();

  constructor(options: EnvelopesOptions) {
    this.#options = options;
  }

  /** @throws OperatorError see `Decryptor` */
  async decrypt(
    { message, form, encryptionContext: expected }: EnvelopeRequest,
    call: DecryptCall,
  ): Promise<Plaintext> {
    const { encryptionContext, plaintextLength } = form;
    assertSameContext(encryptionContext, expected);
    if (plaintextLength > maxPlaintextBytes) throw tooLong(plaintextLength);
    const chosen = this.#choose(form.dataKeys, call);
    const dataKey = await this.#dataKey(chosen, encryptionContext, call);
    const { openMessage } = await import("./encryption-sdk.ts");
    try {
      return new Plaintext(await openMessage({ message, dataKey: dataKey.open(), encryptionContext }));
    } catch (error) {
      // The SDK has a dozen ways to say that the message is not what its maker made; to the user they are one.
      throw damagedMessage(error);
    }
  }

  /** The key that the object names, else one where KMS is asked: a ciphertext never says where to ask. */
  #choose(dataKeys: readonly EncryptedDataKey[], { keyId }: DecryptCall): EncryptedDataKey {
    const usable = dataKeys.filter(({ provider }) => provider === "aws-kms");
    const region = regionOf(keyId ?? "") ?? this.#options.region;
    const chosen =
      usable.find(({ keyName }) => keyName === keyId) ??
      usable.find(({ keyName }) => region !== undefined && regionOf(keyName) === region) ??
      usable[0];
    if (chosen !== undefined) return chosen;
    throw new OperatorError(
      "DecryptingError",
      "the data key of the value is encrypted with no key of AWS KMS; encrypt the value again, with a KMS keyring",
    );
  }

  #dataKey(dataKey: EncryptedDataKey, encryptionContext: EncryptionContext, call: DecryptCall): Promise<Plaintext> {
    const asking = this.#asking.get(call) ?? new Map<string, Promise<Plaintext>>();
    this.#asking.set(call, asking);
    const { ciphertext } = dataKey;
    const what = `${Buffer.from(ciphertext).toString("base64")} ${canonicalJson(encryptionContext)}`;
    const asked = asking.get(what);
    if (asked !== undefined) return asked;
    const answer = this.#options.kms.decrypt({ ciphertext, encryptionContext }, call).finally(() => {
      asking.delete(what);
    });
    asking.set(what, answer);
    return answer;
  }
}

/** @throws OperatorError `DecryptingError` that names the pairs which are not as expected, and no value */
function assertSameContext(found: EncryptionContext, expected: EncryptionContext): void {
  const own = Object.fromEntries(Object.entries(found).filter(([name]) => !name.startsWith(sdkPrefix)));
  const difference = contextDifference(own, expected);
  if (difference === undefined) return;
  throw new OperatorError(
    "DecryptingError",
    `the value was encrypted with another encryption context than the object asks for (it has ${difference}); correct secretContext, or encrypt the value again with exactly the encryption context of this entry`,
  );
}

/** Of an ARN of KMS; undefined when it is none. */
function regionOf(arn: string): string | undefined {
  return /^arn:[^:]+:kms:([^:]+):/.exec(arn)?.[1];
}

function tooLong(length: number): OperatorError {
  return new OperatorError(
    "DecryptingError",
    `the value has ${length} bytes, and ${maxPlaintextBytes} are the most; split it over several keys or objects`,
  );
}
