// Notices that a server is back which many objects wait for. Each waits out a backoff of its own, of up to five minutes;
// once one of them has got through, the others need not.
import type { Outcome } from "../sync/outcome.ts";

type Server = "vault" | "kms";

/** A server that comes and goes must not undo the backoff: no more often than this, ms. */
const noMoreOftenMs = 30_000;

export class Outages {
  readonly #down = new Set<Server>();
  #toldAt = Number.NEGATIVE_INFINITY;

  /**
   * @param now monotonic, ms
   * @returns whether this outcome shows that a server which had failed others works again
   */
  isOver(outcome: Outcome, now: number): boolean {
    if (outcome.kind === "failed") {
      const { code, isOutage } = outcome.error;
      // One object's own trouble (a path, a namespace) is nobody else's.
      const server = isOutage ? "vault" : code === "KMSUnavailable" ? "kms" : undefined;
      if (server !== undefined) this.#down.add(server);
      return false;
    }
    // In sync needs Vault alone; what was written was decrypted before.
    const isBack = this.#down.has("vault") || (outcome.written !== undefined && this.#down.has("kms"));
    if (!isBack || now - this.#toldAt < noMoreOftenMs) return false;
    this.#toldAt = now;
    this.#down.delete("vault");
    if (outcome.written !== undefined) this.#down.delete("kms");
    return true;
  }
}
