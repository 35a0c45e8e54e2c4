// The AWS Encryption SDK, to be imported lazily: most installations have no message of it. As a module
// of ours, because in the bundle a dynamic import of a CommonJS package itself has no named exports.
import {
  buildDecrypt,
  CommitmentPolicy,
  KeyringNode,
  KeyringTraceFlag,
  type NodeDecryptionMaterial,
  type NodeEncryptionMaterial,
} from "@aws-crypto/client-node";
import type { EncryptionContext } from "./cipher.ts";
import { contextDifference } from "./encryption-context.ts";

/** A message with its data key, decrypted. */
export interface OpenableMessage {
  readonly message: Uint8Array;
  readonly dataKey: Uint8Array;
  /** As it was read from the message and found to be right, the SDK's own pairs included. */
  readonly encryptionContext: EncryptionContext;
}

/**
 * Authenticates the whole message and decrypts it: its commitment to the data key, header, body, order of the frames, and
 * the signature when it has one.
 * @throws Error of the SDK
 */
export async function openMessage({ message, dataKey, encryptionContext }: OpenableMessage): Promise<Uint8Array> {
  const { decrypt } = buildDecrypt(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
  const { plaintext } = await decrypt(new OpenedDataKey(dataKey, encryptionContext), message);
  return plaintext;
}

/** Hands the SDK a data key that KMS has decrypted already. */
class OpenedDataKey extends KeyringNode {
  readonly #dataKey: Uint8Array;
  readonly #encryptionContext: EncryptionContext;

  constructor(dataKey: Uint8Array, encryptionContext: EncryptionContext) {
    super();
    this.#dataKey = dataKey;
    this.#encryptionContext = encryptionContext;
  }

  override async _onDecrypt(material: NodeDecryptionMaterial): Promise<NodeDecryptionMaterial> {
    // The SDK decrypts by what it reads itself: were that something else, the check before would have been for nothing.
    if (contextDifference(material.encryptionContext, this.#encryptionContext) !== undefined) {
      throw new Error("the encryption context was read in two ways");
    }
    const trace = {
      keyNamespace: "aws-kms",
      keyName: "decrypted",
      flags: KeyringTraceFlag.WRAPPING_KEY_DECRYPTED_DATA_KEY,
    };
    // The SDK wants a buffer that holds the key alone, and wipes it in the end.
    return material.setUnencryptedDataKey(Uint8Array.from(this.#dataKey), trace);
  }

  override _onEncrypt(): Promise<NodeEncryptionMaterial> {
    throw new Error("this keyring only decrypts");
  }
}
