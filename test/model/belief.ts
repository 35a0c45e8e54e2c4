// All the worlds that may be the real one. The operator looks when it likes: between two steps it may have looked at one
// object, at both in either order, or not yet; a crash may have left it between two calls. What is seen once it has come
// to rest tells which world it was.
import { forgetful, looks } from "./look.ts";
import { after, type Facts, type Step } from "./steps.ts";
import { canonical, liveData, objectNames, type Place, placeNames, type Secret, type World } from "./world.ts";

/** Sets of worlds, each by its canonical JSON. */
export type Belief = ReadonlyMap<string, World>;

/** More than these, and the model is too loose to tell anything. */
const mostWorlds = 5_000;

export function belief(worlds: Iterable<World>): Belief {
  return new Map([...worlds].map((world) => [canonical(world), world]));
}

/** So much may have happened that the model cannot follow it: nothing is said about the operator. */
export class TooManyWorlds extends Error {
  constructor() {
    super(`more than ${mostWorlds} worlds are possible`);
  }
}

/**
 * What may have become of the looks that the operator has begun: all are over, one has got to any of its calls and is to
 * begin anew (what it went by is no longer so), or the operator has ended in the midst of one.
 */
export type Looking = "over" | "under way" | "crashing";

/** With whatever looks the operator may have taken meanwhile. */
export function looked(from: Belief, looking: Looking): Belief {
  const found = new Map(from);
  const queue = [...from.values()];
  for (let world = queue.pop(); world !== undefined; world = queue.pop()) {
    const nexts = looking === "over" ? endsOf(world) : stepsOf(world);
    for (const next of looking === "crashing" ? [...nexts, forgetful(world)] : nexts) {
      const key = canonical(next);
      if (found.has(key)) continue;
      found.set(key, next);
      queue.push(next);
    }
    if (found.size > mostWorlds) throw new TooManyWorlds();
  }
  return found;
}

/** After a step that the servers answered like this. */
export function stepped(from: Belief, step: Step, facts: Facts): Belief {
  return belief([...from.values()].flatMap((world) => after(world, step, facts) ?? []));
}

/** A new process, which remembers nothing. */
export function restarted(from: Belief): Belief {
  return belief([...from.values()].map(forgetful));
}

/** Where the operator comes to rest: another look at any object changes nothing. */
export function atRest(from: Belief): Belief {
  return belief([...looked(from, "over").values()].filter(isAtRest));
}

/** The worlds that look like this. */
export function narrowed(from: Belief, seen: string): Belief {
  return belief([...from.values()].filter((world) => canonical(seenOf(world)) === seen));
}

function isAtRest(world: World): boolean {
  const key = canonical(world);
  return endsOf(world).every((end) => canonical(end) === key);
}

function endsOf(world: World): World[] {
  return objectNames.flatMap((name) => looks(world, name).map(({ end }) => end));
}

function stepsOf(world: World): World[] {
  return objectNames.flatMap((name) => looks(world, name).flatMap(({ between, end }) => [...between, end]));
}

/** What a test sees of a place: each version's data, or what became of it; on KV v1 the data or "absent". */
export type SeenPlace = readonly unknown[];

/** What a test sees of an object that is there. */
export interface SeenObject {
  readonly deleting: boolean;
  readonly finalizers: readonly string[];
  /** Reason of the Ready condition. */
  readonly ready: string;
  /** KV v2: version in the record of an object that is in sync. */
  readonly version?: number;
}

export interface Seen {
  readonly places: Readonly<Record<string, SeenPlace>>;
  /** Uid in the mark of a KV v2 secret, where there is one. */
  readonly marks: Readonly<Record<string, string>>;
  readonly objects: Readonly<Record<string, SeenObject>>;
}

function seenOf(world: World): Seen {
  return {
    places: Object.fromEntries(placeNames.map((name) => [name, seenPlace(world.places[name])])),
    marks: Object.fromEntries(
      placeNames.flatMap((name) => {
        const { mark } = world.places[name];
        return mark === undefined ? [] : [[name, mark]];
      }),
    ),
    objects: Object.fromEntries(
      objectNames.flatMap((name) => {
        const object = world.objects[name];
        return object === undefined ? [] : [[name, seenObject(object)]];
      }),
    ),
  };
}

function seenPlace(place: Place): SeenPlace {
  if (place.engine === "v1") return [liveData(place) ?? "absent"];
  return place.versions.map(({ data, deleted, destroyed }) => (destroyed ? "destroyed" : deleted ? "deleted" : data));
}

function seenObject({ deleting, finalizers, ready = "none", note }: Secret): SeenObject {
  const version = ready === "Synced" ? note?.revision?.split(".")[1] : undefined;
  return { deleting, finalizers, ready, ...(version !== undefined && { version: Number(version) }) };
}
