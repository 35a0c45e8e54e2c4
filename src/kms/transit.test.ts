// What Vault transit's key service says by itself. With a real Vault: test/integration/vault-transit.test.ts.
import { expect, test } from "vitest";
import { transitService } from "./transit.ts";

test.each([{}, { keyId: "no-mount" }, { keyId: "transit/theirs", allowedKeys: [] }])(
  "without a way to Vault nobody knows, whatever key is named: %o",
  async (call) => {
    const value = { encryptedSecret: "vault:v1:AAAA", encryptionContext: {} };
    await expect(transitService({}).decrypt(value, call)).rejects.toMatchObject({
      code: "KMSAccessDenied",
      retry: "backoff",
    });
  },
);
