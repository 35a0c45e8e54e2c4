// What is an edit to carry out at once, and what a further try of something that did not come of it before: edits go
// before everything else to KMS, and an object that fails for ever must not be one for ever.
import type { Outcome, Superseded } from "../sync/outcome.ts";

export class Attempts {
  /** By uid: digest of what was tried last and failed. */
  readonly #failing = new Map<string, string>();

  /** Whether this was not tried yet, or KMS did not get to it. */
  isNew(uid: string, digest: string): boolean {
    return this.#failing.get(uid) !== digest;
  }

  /** @param digest of what was tried; undefined when it did not come to that */
  ended(uid: string, digest: string | undefined, outcome: Outcome | Superseded): void {
    const wasHeldBack = outcome.kind === "failed" && outcome.error.code === "KMSThrottled";
    if (outcome.kind === "synced") this.#failing.delete(uid);
    else if (outcome.kind === "failed" && digest !== undefined && !wasHeldBack) this.#failing.set(uid, digest);
  }

  /** To be called when an object is gone. */
  forget(uid: string): void {
    this.#failing.delete(uid);
  }
}
