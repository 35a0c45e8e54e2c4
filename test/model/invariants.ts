// What must hold whatever the model says, told from what users and outsiders did and from what is seen, without the
// model: no foreign data is lost, no key of a living object is, and nothing is gone that a living object says it holds.
import type { Seen } from "./belief.ts";
import type { Facts, OutsiderStep, Step } from "./steps.ts";
import { changed, created } from "./steps.ts";
import {
  canonical,
  type Engine,
  type ObjectName,
  objectNames,
  type PlaceName,
  type Secret,
  type Values,
} from "./world.ts";

/** What somebody else wrote last at a place. */
interface Foreign {
  readonly data: Values;
  /** KV v2: which version it is. */
  readonly version: number;
  /** It can be read: whoever wrote it has not deleted it since. */
  isLive: boolean;
  /** Uids of the objects that may write over it: they had to do with the place before, were allowed to, or say the same. */
  readonly entitled: Set<string>;
}

export class Invariants {
  readonly #engines: Readonly<Record<PlaceName, Engine>>;
  readonly #foreign = new Map<PlaceName, Foreign>();
  /** Uids of all objects that ever named a place. */
  readonly #named: Readonly<Record<PlaceName, Set<string>>> = { x: new Set(), y: new Set() };
  /** Uids of all objects that ever were to take their data with them. */
  readonly #removers = new Set<string>();
  readonly #objects = new Map<ObjectName, Secret>();
  /** What an object held when it was alone and in sync, as long as nobody else did anything since. */
  #alone: { readonly name: ObjectName; readonly place: PlaceName; readonly data: Values } | undefined;

  constructor(engines: Readonly<Record<PlaceName, Engine>>) {
    this.#engines = engines;
  }

  /** To be told of every step that was done. */
  note(step: Step, facts: Facts): void {
    if (!facts.done || step.do === "kms") return;
    if ("place" in step && step.do !== "create") return this.#noteOutsider(step, facts);
    const before = this.#objects.get(step.object);
    const object = step.do === "create" ? created(step, facts) : before && changed(before, step);
    if (object === undefined) this.#objects.delete(step.object);
    else this.#noteObject(step.object, object);
  }

  /**
   * To be asked whenever the operator has come to rest.
   * @throws Error that names what is lost
   */
  check(seen: Seen): void {
    for (const name of objectNames) if (seen.objects[name] === undefined) this.#objects.delete(name);
    for (const [place, foreign] of this.#foreign) this.#checkForeign(place, foreign, seen);
    for (const [name, object] of this.#objects) this.#checkKeys(name, object, seen);
  }

  #noteOutsider(step: OutsiderStep, { version = 0 }: Facts): void {
    this.#alone = undefined;
    const foreign = this.#foreign.get(step.place);
    if (step.do === "write") {
      const entitled = new Set(this.#named[step.place]);
      this.#foreign.set(step.place, { data: step.data, version, isLive: true, entitled });
    } else if (step.do === "wipe") {
      this.#foreign.delete(step.place);
    } else if (foreign !== undefined && step.do !== "undelete") {
      foreign.isLive = false;
    }
    for (const object of this.#objects.values()) this.#entitle(object);
  }

  #noteObject(name: ObjectName, object: Secret): void {
    if (!this.#objects.has(name) && this.#objects.size > 0) this.#alone = undefined;
    this.#objects.set(name, object);
    this.#named[object.place].add(object.uid);
    if (object.finalizers.length > 0 || (object.policy ?? "Retain") !== "Retain") this.#removers.add(object.uid);
    this.#entitle(object);
  }

  #entitle(object: Secret): void {
    const foreign = this.#foreign.get(object.place);
    if (foreign === undefined) return;
    const isAllowed = this.#engines[object.place] === "v1" || object.adopt || !foreign.isLive;
    if (isAllowed || canonical(valuesOf(object)) === canonical(foreign.data)) foreign.entitled.add(object.uid);
  }

  #checkForeign(place: PlaceName, { data, version, isLive, entitled }: Foreign, { places }: Seen): void {
    const versions = places[place] ?? [];
    const found = this.#engines[place] === "v1" ? versions[0] : versions[version - 1];
    const isIntact =
      canonical(found) === canonical(data) || (!isLive && (found === "deleted" || found === "destroyed"));
    const isLatest = this.#engines[place] === "v1" || versions.length === version;
    if (entitled.size === 0 && !(isIntact && isLatest)) {
      throw new Error(`foreign data at ${place} is written over or gone, and no object may: ${canonical(versions)}`);
    }
    const mayGo = this.#engines[place] === "v1" || [...this.#named[place]].some((uid) => this.#removers.has(uid));
    if (!mayGo && !isIntact) {
      throw new Error(`foreign data is gone from the history of ${place}: ${canonical(versions)}`);
    }
  }

  #checkKeys(name: ObjectName, object: Secret, seen: Seen): void {
    const { ready } = seen.objects[name] ?? {};
    const latest = seen.places[object.place]?.at(-1);
    if (ready === "Synced") {
      if (canonical(latest) !== canonical(valuesOf(object))) {
        throw new Error(`${name} says that it is in sync, but ${object.place} holds ${canonical(latest)}`);
      }
      const others = [...this.#objects.keys()].filter((other) => other !== name);
      this.#alone = others.length === 0 ? { name, place: object.place, data: valuesOf(object) } : undefined;
    }
    if (ready !== "DecryptingError" && ready !== "KMSUnavailable") return;
    if (this.#alone?.name !== name || this.#alone.place !== object.place) return;
    const kept = latest as Values | undefined;
    for (const [key, value] of Object.entries(this.#alone.data)) {
      const isFailing = ready === "KMSUnavailable" || object.entries[key]?.broken;
      if (isFailing && kept?.[key] !== value) throw new Error(`key ${key} of ${name} fails, and its value is lost`);
    }
  }
}

function valuesOf({ entries }: Secret): Values {
  return Object.fromEntries(Object.entries(entries).map(([key, { value }]) => [key, value]));
}
