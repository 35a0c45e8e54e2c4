// Which key service a value is for: what its object names, else what the value's own prefix says.
import type { AwsKms } from "./aws.ts";
import { decodeBase64 } from "./base64.ts";
import type { Decryptor } from "./cipher.ts";

/** The key services that this process can ask. */
export interface KeyServices {
  readonly aws: Pick<AwsKms, "decrypt">;
}

/** One Decryptor over all key services. */
export function byProvider({ aws }: KeyServices): Decryptor {
  return {
    async decrypt({ encryptedSecret, encryptionContext }, call) {
      return aws.decrypt({ ciphertext: decodeBase64(encryptedSecret), encryptionContext }, call);
    },
  };
}
