// How ciphertext blobs stand in objects.
import { OperatorError } from "../base/errors.ts";

/**
 * Standard base64 with padding (RFC 4648, section 4), as Go's StdEncoding reads it.
 * @throws OperatorError `DecodingError`; `DecryptingError` when there is nothing to decode
 */
export function decodeBase64(text: string): Uint8Array {
  if (text === "") {
    throw new OperatorError(
      "DecryptingError",
      "encryptedSecret is empty; encrypt the value, or set emptySecret: true if the empty string is meant",
    );
  }
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
    throw new OperatorError(
      "DecodingError",
      "encryptedSecret is not standard base64; put the base64 of the ciphertext blob there, as the encryption tool prints it",
    );
  }
  return Buffer.from(text, "base64");
}
