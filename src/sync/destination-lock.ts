// Mutations are serial per destination, whatever object they come from: two objects that name one path, or an object
// and its successor, never interleave between observing and writing.
import type { Destination } from "../vault/kv/engine.ts";
import { destinationKey } from "./record.ts";

/** One queue per destination that is in use; holds nothing for the others. */
export class DestinationLock {
  readonly #tails = new Map<string, Promise<unknown>>();

  /** Runs `work` once every earlier run for the same destination has ended, whether well or not. */
  async hold<T>(destination: Destination, work: () => Promise<T>): Promise<T> {
    const key = destinationKey(destination);
    const before = this.#tails.get(key) ?? Promise.resolve();
    const run = before.then(work, work);
    this.#tails.set(key, run);
    try {
      return await run;
    } finally {
      if (this.#tails.get(key) === run) this.#tails.delete(key);
    }
  }
}
