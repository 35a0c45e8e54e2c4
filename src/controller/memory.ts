// What the reconciler remembers of an object between two looks at it. The store's copy of a status is always a little
// late (our own patch comes back through the watch), and a status may not be saved at all (the original's RBAC lacks
// kmsvaultsecrets/status): without this, a write would be taken for someone else's a moment later.
import type { Status } from "../api/kinds.ts";
import type { KubeObject } from "../runtime/objects.ts";

interface Remembered {
  readonly status: Status;
  /** resourceVersion that the object got with this status; undefined while it is not saved, or could not be. */
  savedAs: string | undefined;
  /** resourceVersion of the object in the store. */
  storedAs: string;
}

/** Keyed by uid, so that an object deleted and made anew starts afresh. Holds nothing once the store has caught up. */
export class Memory {
  readonly #byUid = new Map<string, Remembered>();

  /**
   * The status to go on from: the stored one, unless the store is behind our last patch or there was none to save.
   * @param resourceVersion of the stored object
   */
  latest(uid: string, resourceVersion: string, stored: Status | undefined): Status | undefined {
    this.storeHas(uid, resourceVersion);
    return this.#byUid.get(uid)?.status ?? stored;
  }

  /** To be told of each version of an object that the store gets, or a status would be held until the next look at it. */
  storeHas(uid: string, resourceVersion: string): void {
    const remembered = this.#byUid.get(uid);
    if (remembered === undefined) return;
    remembered.storedAs = resourceVersion;
    if (hasCaughtUp(remembered)) this.#byUid.delete(uid);
  }

  /**
   * Saves a status, and remembers it as long as the store does not have it.
   * @param save resolves to the resourceVersion that the object has with it; undefined when it cannot be saved
   */
  async save(
    { metadata: { uid, resourceVersion } }: KubeObject,
    status: Status,
    save: (status: Status) => Promise<string | undefined>,
  ): Promise<void> {
    // First of all: whatever becomes of the call, the record of a write must not be lost.
    const remembered: Remembered = { status, savedAs: undefined, storedAs: resourceVersion };
    this.#byUid.set(uid, remembered);
    remembered.savedAs = await save(status);
    // The watch may have been faster than the answer.
    if (hasCaughtUp(remembered) && this.#byUid.get(uid) === remembered) this.#byUid.delete(uid);
  }

  forget(uid: string): void {
    this.#byUid.delete(uid);
  }
}

function hasCaughtUp({ savedAs, storedAs }: Remembered): boolean {
  return savedAs !== undefined && !isOlder(storedAs, savedAs);
}

/** Resource versions of one resource are decimal numbers that grow (Kubernetes API concepts, "Resource versions"). */
function isOlder(one: string, other: string): boolean {
  return one.length === other.length ? one < other : one.length < other.length;
}
