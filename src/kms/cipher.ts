// What every key service offers the rest of the product: decrypt for the operator and the webhook, encrypt for the
// command line. One file per key service stands beside this one.
import type { Plaintext } from "../base/plaintext.ts";

/** KMS's additional authenticated data: must be the same for Decrypt as it was for Encrypt. */
export type EncryptionContext = Readonly<Record<string, string>>;

/** Where keys are: `spec.provider`. */
export type Provider = "AWS" | "Age" | "VaultTransit";

/** One value to decrypt. */
export interface DecryptRequest {
  /** As in the object, without line breaks: base64 of a blob, or a text that its provider knows by its prefix. */
  readonly encryptedSecret: string;
  readonly encryptionContext: EncryptionContext;
}

/**
 * What the entries of one object have in common. One and the same for all of them: calls are let in or refused object
 * by object, and what several entries need is asked for once.
 */
export interface DecryptCall {
  readonly signal?: AbortSignal;
  /** Goes before others where calls have to wait: an edit of what is in Vault already. */
  readonly isUrgent?: boolean;
  /** `spec.provider`; absent: each value's prefix says. */
  readonly provider?: Provider;
  /** `spec.kmsKeyId`: the only key that may decrypt the values. Absent: any that is allowed. */
  readonly keyId?: string;
  /** `spec.kmsRoleArn`, allowed already: the AWS role to ask as. */
  readonly roleArn?: string;
  /** Keys that the policy lets the object use, besides `--kms-allowed-keys`, which must allow them too. Absent: any. */
  readonly allowedKeys?: readonly string[];
}

export interface EncryptRequest {
  /** Key id, key ARN, alias name or alias ARN. */
  readonly keyId: string;
  readonly plaintext: Plaintext;
  readonly encryptionContext: EncryptionContext;
}

export interface Decryptor {
  /**
   * @throws OperatorError `DecodingError` (not in the form that its provider knows), `DecryptingError` (this value cannot
   *   be decrypted: corrupt, another key or context, a disabled key), `KeyNotAllowed`, `KMSAccessDenied`,
   *   `KMSThrottled` or `KMSUnavailable`
   */
  decrypt(request: DecryptRequest, call: DecryptCall): Promise<Plaintext>;
}

export interface Encryptor {
  /**
   * @returns the ciphertext blob
   * @throws OperatorError `KMSAccessDenied`, `KMSThrottled`, `KMSUnavailable`, or `DecryptingError` for a key that
   *   does not exist or is disabled
   */
  encrypt(request: EncryptRequest, signal?: AbortSignal): Promise<Uint8Array>;
}
