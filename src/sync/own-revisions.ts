// Which versions of KV v2 secrets are this operator's own work, whatever object they came from. So an object that takes
// a place over may overwrite what its predecessor wrote there, while what an outsider wrote since stays protected. Known
// from our own writes and, once it matters, from every object's record; all else counts as an outsider's.
import { LRUCache } from "lru-cache";
import type { Destination, Revision } from "../vault/kv/engine.ts";
import { destinationKey, type Note, sameRevision } from "./record.ts";

/** Of the places beyond these the one not looked at for longest is forgotten: its heir then asks to be adopted. */
const most = 50_000;

export class OwnRevisions {
  readonly #latest = new LRUCache<string, Revision>({ max: most });
  /** By place: fingerprint of what was to be written there, when it is not known whether it was. */
  readonly #attempted = new LRUCache<string, string>({ max: most });
  readonly #recorded: () => Iterable<Note>;
  #isComplete = false;

  /** @param recorded what the records of all objects say; asked when it first matters, and after each `renew` */
  constructor(recorded: () => Iterable<Note>) {
    this.#recorded = recorded;
  }

  /** Has the records read again: others may have written since. */
  renew(): void {
    this.#isComplete = false;
  }

  /** Takes note of what an authenticated record, or a write just done, says. */
  add({ destination, revision, fingerprint, keys }: Note): void {
    // With casIndex a version is noted that somebody else may have written; only its data tells that it is ours. With
    // Merge a version holds others' keys as well.
    if (revision === undefined || fingerprint === undefined || keys !== undefined) return;
    const key = destinationKey(destination);
    const known = this.#latest.get(key);
    // The record of an object that has moved away may still name what its heir has written over.
    if (known !== undefined && Date.parse(known.createdTime) > Date.parse(revision.createdTime)) return;
    this.#latest.set(key, revision);
  }

  /**
   * Takes note of a write that failed: it may have been carried out all the same, and its answer lost on the way.
   * @param fingerprint of the data, keyed and bound to the object (Pass.fingerprint)
   */
  attempted(destination: Destination, fingerprint: string): void {
    this.#attempted.set(destinationKey(destination), fingerprint);
  }

  /** Whether what stands there is what the last failed write was to write. */
  wasAttempted(destination: Destination, fingerprint: string): boolean {
    return this.#attempted.get(destinationKey(destination)) === fingerprint;
  }

  /** Whether this version was written by one of our objects, or held what one of them says. */
  has(destination: Destination, revision: Revision | undefined): boolean {
    if (!this.#isComplete) {
      this.#isComplete = true;
      for (const note of this.#recorded()) this.add(note);
    }
    return sameRevision(this.#latest.get(destinationKey(destination)), revision);
  }
}
