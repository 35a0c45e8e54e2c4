// Counts and times what a key service is asked, whichever it is.
import type { Clock } from "../base/clock.ts";
import { asOperatorError } from "../base/errors.ts";
import type { Decryptor } from "./cipher.ts";

/** `outcome` is `ok` or the code of the error. */
export type RequestReport = (operation: "Decrypt", outcome: string, seconds: number) => void;

/** The same Decryptor, with each call reported once it has ended; the time includes waiting for its turn. */
export function metered(decryptor: Decryptor, clock: Clock, report: RequestReport): Decryptor {
  return {
    async decrypt(request, call) {
      const since = clock.monotonic();
      const done = (outcome: string) => report("Decrypt", outcome, (clock.monotonic() - since) / 1000);
      try {
        const plaintext = await decryptor.decrypt(request, call);
        done("ok");
        return plaintext;
      } catch (error) {
        done(asOperatorError(error).code);
        throw error;
      }
    },
  };
}
