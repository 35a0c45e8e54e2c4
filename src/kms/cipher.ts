// What every key service offers the rest of the product: decrypt for the operator and the webhook, encrypt for the
// command line. One file per key service stands beside this one.
import type { Plaintext } from "../base/plaintext.ts";

/** KMS's additional authenticated data: must be the same for Decrypt as it was for Encrypt. */
export type EncryptionContext = Readonly<Record<string, string>>;

export interface DecryptRequest {
  /** The ciphertext blob, as the key service returned it from Encrypt. */
  readonly ciphertext: Uint8Array;
  readonly encryptionContext: EncryptionContext;
}

export interface EncryptRequest {
  /** Key id, key ARN, alias name or alias ARN. */
  readonly keyId: string;
  readonly plaintext: Plaintext;
  readonly encryptionContext: EncryptionContext;
}

export interface Decryptor {
  /**
   * @throws OperatorError `DecryptingError` (this ciphertext cannot be decrypted: corrupt, another key or context, a
   *   disabled key), `KMSAccessDenied`, `KMSThrottled` or `KMSUnavailable`
   */
  decrypt(request: DecryptRequest, signal?: AbortSignal): Promise<Plaintext>;
}

export interface Encryptor {
  /**
   * @returns the ciphertext blob
   * @throws OperatorError `KMSAccessDenied`, `KMSThrottled`, `KMSUnavailable`, or `DecryptingError` for a key that
   *   does not exist or is disabled
   */
  encrypt(request: EncryptRequest, signal?: AbortSignal): Promise<Uint8Array>;
}
