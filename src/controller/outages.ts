// Notices that a server is back which many objects wait for. Each waits out a backoff of its own, of up to five minutes;
// once one of them has got through, the others need not.
import type { Outcome } from "../sync/outcome.ts";

type Server = "vault" | "kms";

/** What an outcome shows about those who wait: a server is back for all, or KMS, which throttles, has let one through. */
export type Sign = "back" | "passed";

/** The longest backoff: whoever was throttled has been here again since, ms. */
const longestBackoffMs = 300_000;

/** A server that comes and goes must not undo the backoff: no more often than this, ms. */
const noMoreOftenMs = 30_000;

export class Outages {
  readonly #down = new Set<Server>();
  #toldAt = Number.NEGATIVE_INFINITY;
  #throttledAt = Number.NEGATIVE_INFINITY;

  /**
   * @param now monotonic, ms
   * @returns what this outcome shows about a server that had failed others
   */
  signOf(outcome: Outcome, now: number): Sign | undefined {
    if (this.#isOver(outcome, now)) return "back";
    const hasWritten = outcome.kind === "synced" && outcome.written !== undefined;
    return hasWritten && now - this.#throttledAt < longestBackoffMs ? "passed" : undefined;
  }

  #isOver(outcome: Outcome, now: number): boolean {
    if (outcome.kind === "failed") {
      const { code, isOutage } = outcome.error;
      // One object's own trouble (a path, a namespace) is nobody else's.
      const server = isOutage ? "vault" : code === "KMSUnavailable" ? "kms" : undefined;
      if (server !== undefined) this.#down.add(server);
      if (code === "KMSThrottled") this.#throttledAt = now;
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
