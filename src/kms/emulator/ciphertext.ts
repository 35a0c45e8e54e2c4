// The emulator's ciphertext blob: AES-256-GCM with the key's id in front and the encryption context authenticated.
// Layout: 4 bytes format (the first bytes of real KMS blobs) | 16 bytes key id | 12 bytes nonce | ciphertext |
// 16 bytes tag. Header and encryption context are the additional authenticated data, so that no byte can be changed.
import { type CipherGCMTypes, createCipheriv, createDecipheriv, type KeyObject, randomBytes } from "node:crypto";
import type { EncryptionContext } from "../cipher.ts";

const algorithm: CipherGCMTypes = "aes-256-gcm";
const format = Buffer.from([0x01, 0x02, 0x02, 0x00]);
const keyIdBytes = 16;
const nonceBytes = 12;
const tagBytes = 16;
const headerBytes = format.length + keyIdBytes;
const overheadBytes = headerBytes + nonceBytes + tagBytes;

/** Key material with the id (a UUID) that is written into the blob. */
export interface SealingKey {
  readonly keyId: string;
  readonly material: KeyObject;
}

/** @returns the ciphertext blob of `plaintext` */
export function seal(key: SealingKey, plaintext: Uint8Array, context: EncryptionContext): Buffer {
  const header = Buffer.concat([format, Buffer.from(key.keyId.replaceAll("-", ""), "hex")]);
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(algorithm, key.material, nonce, { authTagLength: tagBytes });
  cipher.setAAD(Buffer.concat([header, encodeContext(context)]));
  return Buffer.concat([header, nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** The id of the key that made the blob, not authenticated yet; undefined when it is no blob of ours. */
export function keyIdOf(blob: Buffer): string | undefined {
  if (blob.length < overheadBytes || !blob.subarray(0, format.length).equals(format)) return undefined;
  const hex = blob.toString("hex", format.length, headerBytes);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** The plaintext; undefined when blob, key and encryption context do not belong together. */
export function open(material: KeyObject, blob: Buffer, context: EncryptionContext): Buffer | undefined {
  if (blob.length < overheadBytes) return undefined;
  const nonce = blob.subarray(headerBytes, headerBytes + nonceBytes);
  const decipher = createDecipheriv(algorithm, material, nonce, { authTagLength: tagBytes });
  decipher.setAAD(Buffer.concat([blob.subarray(0, headerBytes), encodeContext(context)]));
  decipher.setAuthTag(blob.subarray(blob.length - tagBytes));
  const plaintext = decipher.update(blob.subarray(headerBytes + nonceBytes, blob.length - tagBytes));
  try {
    decipher.final();
    return plaintext;
  } catch {
    // The one thing that final() reports is a tag that does not match.
    return undefined;
  }
}

/**
 * An encryption context as bytes: pairs sorted by name, every string with its length before it. Two contexts that
 * differ never encode alike ({a: "bc"} and {ab: "c"} for one), and the order of pairs does not matter.
 * @param context well-formed strings only: a lone surrogate has no UTF-8 form of its own
 */
export function encodeContext(context: EncryptionContext): Buffer {
  const parts: Buffer[] = [];
  for (const name of Object.keys(context).toSorted()) {
    for (const text of [name, context[name] ?? ""]) {
      const bytes = Buffer.from(text, "utf8");
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      parts.push(length, bytes);
    }
  }
  return Buffer.concat(parts);
}
