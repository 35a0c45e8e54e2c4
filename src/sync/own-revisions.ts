// Which versions of KV v2 secrets are this operator's own work, whatever object they came from. So an object that takes
// a place over may overwrite what its predecessor wrote there, while what an outsider wrote since stays protected. Known
// from our own writes and, once it matters, from every object's record; all else counts as an outsider's.
import { LRUCache } from "lru-cache";
import type { Destination, Revision } from "../vault/kv/engine.ts";
import { destinationKey, type Place, sameRevision } from "./record.ts";

/** Of the places beyond these the one not looked at for longest is forgotten: its heir then asks to be adopted. */
const most = 50_000;
/** Of what is rarer than a version; room is made beforehand, so it costs memory. */
const mostOfRare = 5_000;

/** Of what was merged into one secret, all beyond this is forgotten. */
const mostMerged = 100;

/** Keys that an object merged into a secret, and the keyed hash of them, bound to its uid. */
export interface MergedKeys {
  readonly uid: string;
  readonly keys: readonly string[];
  readonly fingerprint: string;
}

/** What is recorded of one object at one place. */
export interface Recorded {
  readonly uid: string;
  readonly place: Place;
}

export class OwnRevisions {
  readonly #latest = new LRUCache<string, Revision>({ max: most });
  /** By place: fingerprint of what was to be written there, when it is not known whether it was. */
  readonly #attempted = new LRUCache<string, string>({ max: mostOfRare });
  readonly #merged = new LRUCache<string, readonly MergedKeys[]>({ max: mostOfRare });
  readonly #recorded: () => Iterable<Recorded>;
  #isComplete = false;

  /** @param recorded what the records of all objects say; asked when it first matters, and after each `renew` */
  constructor(recorded: () => Iterable<Recorded>) {
    this.#recorded = recorded;
  }

  /** Has the records read again: others may have written since. */
  renew(): void {
    this.#isComplete = false;
  }

  /** Takes note of what an authenticated record, or a write just done, says of the object with this uid. */
  add({ destination, revision, fingerprint, keys }: Place, uid: string): void {
    // With casIndex a version is noted that somebody else may have written; only its data tells that it is ours.
    if (fingerprint === undefined) return;
    const key = destinationKey(destination);
    // With Merge a version holds others' keys as well.
    if (keys !== undefined) {
      // What an object merged before counts as well: a key that it has left to another stands there as it wrote it.
      const others = (this.#merged.get(key) ?? []).filter((one) => one.uid !== uid || one.fingerprint !== fingerprint);
      this.#merged.set(key, [...others.slice(1 - mostMerged), { uid, keys, fingerprint }]);
      return;
    }
    if (revision === undefined) return;
    const known = this.#latest.get(key);
    // The record of an object that has moved away may still name what its heir has written over.
    if (known !== undefined && Date.parse(known.createdTime) > Date.parse(revision.createdTime)) return;
    this.#latest.set(key, revision);
  }

  /** What objects, living or not, have merged into a secret. */
  mergedInto(destination: Destination): readonly MergedKeys[] {
    this.#complete();
    return this.#merged.get(destinationKey(destination)) ?? [];
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
    this.#complete();
    return sameRevision(this.#latest.get(destinationKey(destination)), revision);
  }

  #complete(): void {
    if (this.#isComplete) return;
    this.#isComplete = true;
    for (const { place, uid } of this.#recorded()) this.add(place, uid);
  }
}
