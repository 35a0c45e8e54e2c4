// Values of AWS: base64 of a ciphertext blob of KMS, or of a message of the AWS Encryption SDK whose data key KMS has
// encrypted.
import { decodeBase64 } from "./base64.ts";
import { Envelopes, type EnvelopesOptions } from "./envelope.ts";
import { readMessage } from "./message-format.ts";
import type { KeyService } from "./providers.ts";

/** The key service AWS. */
export function awsService(options: EnvelopesOptions): KeyService {
  const envelopes = new Envelopes(options);
  return {
    provider: "AWS",
    // They have no prefix in common: what no other service knows is for AWS.
    owns: () => false,
    async decrypt({ encryptedSecret, encryptionContext }, call) {
      const bytes = decodeBase64(encryptedSecret);
      const form = readMessage(bytes);
      if (form === undefined) return options.kms.decrypt({ ciphertext: bytes, encryptionContext }, call);
      return envelopes.decrypt({ message: bytes, form, encryptionContext }, call);
    },
  };
}
