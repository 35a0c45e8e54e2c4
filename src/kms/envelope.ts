// Values too long for KMS itself (over 4 KiB), or of which many shall cost one KMS call: messages of the AWS Encryption SDK.
// KMS decrypts a message's data key, the SDK (encryption-sdk.ts) the message. The SDK takes the encryption context that
// stands in the message, so whether that is the right one is asked here, before KMS is and before anything is decrypted.
import { type ErrorCode, OperatorError } from "../base/errors.ts";
import { Plaintext } from "../base/plaintext.ts";
import type { AwsKms } from "./aws.ts";
import type { DecryptCall, EncryptionContext } from "./cipher.ts";
import { canonicalJson, contextDifference } from "./encryption-context.ts";
import { dataKeysToTry, type OwnKeys } from "./envelope-keys.ts";
import { damagedMessage, type EncryptedDataKey, type MessageForm } from "./message-format.ts";

export interface EnvelopesOptions extends OwnKeys {
  readonly kms: Pick<AwsKms, "decrypt">;
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

/** Failures that may be one data key's alone. */
const ofOneKey: ReadonlySet<ErrorCode> = new Set(["KeyNotAllowed", "KMSAccessDenied", "DecryptingError"]);

export class Envelopes {
  readonly #options: EnvelopesOptions;
  /**
   * Data keys that KMS was asked for, by what decides the answer: messages of one object that share a data key cost one
   * question. They go with the call, at the end of the pass over that object: kept for longer a data key would outlive its
   * use, and what KMS refuses from now on (a key disabled, a grant withdrawn) would go on working.
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
    const dataKey = await this.#dataKey(form, call);
    const { openMessage } = await import("./encryption-sdk.ts");
    try {
      return new Plaintext(await openMessage({ message, dataKey: dataKey.open(), encryptionContext }));
    } catch (error) {
      // The SDK has a dozen ways to say that the message is not what its maker made; to the user they are one.
      throw damagedMessage(error);
    }
  }

  #dataKey({ dataKeys, encryptionContext }: MessageForm, call: DecryptCall): Promise<Plaintext> {
    const asking = this.#asking.get(call) ?? new Map<string, Promise<Plaintext>>();
    this.#asking.set(call, asking);
    const candidates = dataKeysToTry(dataKeys, call, this.#options);
    const ciphertexts = candidates.map(({ ciphertext }) => Buffer.from(ciphertext).toString("base64"));
    const what = [...ciphertexts, canonicalJson(encryptionContext)].join(" ");
    const asked = asking.get(what);
    if (asked !== undefined) return asked;
    const answer = this.#firstOf(candidates, encryptionContext, call);
    asking.set(what, answer);
    // Of many entries a later one may fare better: a throttled KMS answers again.
    answer.catch(() => asking.delete(what));
    return answer;
  }

  /** All of them hold the same key: the first that may be decrypted is as good as any. */
  async #firstOf(
    candidates: readonly EncryptedDataKey[],
    encryptionContext: EncryptionContext,
    call: DecryptCall,
  ): Promise<Plaintext> {
    const failures: OperatorError[] = [];
    for (const { ciphertext } of candidates) {
      try {
        return await this.#options.kms.decrypt({ ciphertext, encryptionContext }, call);
      } catch (error) {
        if (!(error instanceof OperatorError) || !ofOneKey.has(error.code)) throw error;
        failures.push(error);
      }
    }
    throw mostTelling(failures) ?? notOfKms();
  }
}

/** What passes by itself is to be tried again; a key that is there and may not be used says more than one that is not. */
function mostTelling(failures: readonly OperatorError[]): OperatorError | undefined {
  return (
    failures.find(({ retry }) => retry === "backoff") ??
    failures.find(({ code }) => code === "KeyNotAllowed") ??
    failures[0]
  );
}

function notOfKms(): OperatorError {
  return new OperatorError(
    "DecryptingError",
    "the data key of the value is encrypted with no key of AWS KMS; encrypt the value again, with a KMS keyring",
  );
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

function tooLong(length: number): OperatorError {
  return new OperatorError(
    "DecryptingError",
    `the value has ${length} bytes, and ${maxPlaintextBytes} are the most; split it over several keys or objects`,
  );
}
