// Counts and times what a key service is asked, whichever it is.
import type { Clock } from "../base/clock.ts";
import { asOperatorError } from "../base/errors.ts";
import type { Plaintext } from "../base/plaintext.ts";
import type { DecryptCall } from "./cipher.ts";

/** What can be asked to decrypt, in whatever form. */
export interface Asked<Request> {
  decrypt(request: Request, call: DecryptCall): Promise<Plaintext>;
}

/** `outcome` is `ok` or the code of the error. */
export type RequestReport = (operation: "Decrypt", outcome: string, seconds: number) => void;

/** The same, with each call reported once it has ended; the time includes waiting for its turn. */
export function metered<Request>(asked: Asked<Request>, clock: Clock, report: RequestReport): Asked<Request> {
  return {
    async decrypt(request, call) {
      const since = clock.monotonic();
      const done = (outcome: string) => report("Decrypt", outcome, (clock.monotonic() - since) / 1000);
      try {
        const plaintext = await asked.decrypt(request, call);
        done("ok");
        return plaintext;
      } catch (error) {
        done(asOperatorError(error).code);
        throw error;
      }
    },
  };
}
