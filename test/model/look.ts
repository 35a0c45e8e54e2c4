// What the operator does when it looks at an object, as semantics.md has it: a pure function from a world to the worlds
// after each of its calls, the last one being where it ends. A crash may leave any of the others. Finalizers come first,
// then data, then the mark, then what the object has left behind, and at last the record and the conditions.
import { letGo, withFinalizer } from "./steps.ts";
import {
  canonical,
  type Finalizer,
  liveData,
  type Note,
  type ObjectName,
  objectNames,
  type Place,
  type Placed,
  type Policy,
  revisionOf,
  sameValues,
  type Secret,
  type Values,
  withLatest,
  withObject,
  withPlace,
  wiped,
  type World,
  written,
} from "./world.ts";

/** One look: the worlds that others may see on the way, and where it ends. */
export interface Look {
  readonly between: readonly World[];
  readonly end: World;
}

/** Every way that a look may go. There is one, but where a comment below says that either is right. */
export function looks(world: World, name: ObjectName): readonly Look[] {
  const object = world.objects[name];
  if (object === undefined) return [];
  if (object.deleting) return finalize(world, name, object);
  // Where the object changes in the midst of a look, what it has left is seen to by the next one.
  const mayLeave =
    object.note !== undefined && (object.note.place !== object.place || object.note.former !== undefined);
  return (mayLeave ? [false, true] : [false]).map((isPostponed) => {
    const way = new Way(world, name);
    sync(way, object, isPostponed);
    return way.taken;
  });
}

/** The world as a new process finds it. */
export function forgetful(world: World): World {
  return { ...world, known: {} };
}

/** A look under way. */
class Way {
  readonly name: ObjectName;
  readonly #between: World[] = [];
  #world: World;

  constructor(world: World, name: ObjectName) {
    this.#world = world;
    this.name = name;
  }

  get world(): World {
    return this.#world;
  }

  get taken(): Look {
    return { between: this.#between, end: this.#world };
  }

  /** A call has been made, and the world is another. */
  call(next: World): void {
    this.#world = next;
    this.#between.push(next);
  }

  /** The object changes by a call. */
  callOn(change: (object: Secret) => Secret | undefined): void {
    const object = this.#world.objects[this.name];
    if (object !== undefined) this.call(withObject(this.#world, this.name, change(object)));
  }

  /** The operator has learnt of a version of its own, unless it knows of a later one. */
  remember({ place, revision }: Placed): void {
    if (revision === undefined) return;
    const { known } = this.#world;
    if (isLater(known[place], revision)) return;
    this.#world = { ...this.#world, known: { ...known, [place]: revision } };
  }
}

function sync(way: Way, object: Secret, isPostponed: boolean): void {
  const report = (ready: string, note = way.world.objects[way.name]?.note): void => {
    if (note !== undefined) way.remember(note);
    way.callOn((now) => ({ ...now, ready, ...(note && { note }) }));
  };
  // What stands in Vault already is held by what its policy says now, whatever keeps the look from getting further.
  if (object.note !== undefined) prepareFinalizers(way, object);
  if (object.suspended) return report("Suspended");
  if (object.note !== undefined) way.remember(object.note);
  if (!isHolder(way.world, object)) return report("PathConflict");
  prepareFinalizers(way, object);
  const { ready, note } = write(way, object);
  if (note !== undefined) mark(way, object);
  report(ready, note && leaveFormer(way, object, { ready, note, isPostponed }));
}

/**
 * A policy's finalizer is on the object before anything is in Vault; what was added for none is taken away. What somebody
 * else took off is not the operator's any more, whoever puts it on again.
 */
function prepareFinalizers(way: Way, object: Secret): void {
  const wanted = object.policy === undefined ? undefined : finalizerOf[object.policy];
  const lacks = wanted !== undefined && !object.finalizers.includes(wanted) ? [wanted] : [];
  const before = addedTo(object);
  const added = [...before.filter((finalizer) => finalizer === wanted), ...lacks];
  const kept = object.finalizers.filter((finalizer) => !before.includes(finalizer) || added.includes(finalizer));
  way.callOn((now) => ({ ...now, finalizers: [...kept, ...lacks].toSorted(), added }));
}

const finalizerOf: Readonly<Record<Policy, Finalizer | undefined>> = {
  Retain: undefined,
  SoftDelete: "soft",
  Destroy: "contract",
};

function addedTo({ added, finalizers }: Secret): Finalizer[] {
  return added.filter((finalizer) => finalizers.includes(finalizer));
}

interface Written {
  readonly ready: string;
  /** Absent: what was recorded stays recorded. */
  readonly note?: Note;
}

function write(way: Way, object: Secret): Written {
  const { world } = way;
  const place = world.places[object.place];
  const noted = object.note?.place === object.place ? object.note : undefined;
  const digest = canonical([object.place, object.entries]);
  if (noted !== undefined && noted.digest === digest && isAsNoted(place, noted))
    return { ready: "Synced", note: noted };

  const failing = Object.keys(object.entries).filter((key) => !world.kmsUp || object.entries[key]?.broken);
  const ready = failing.length === 0 ? "Synced" : world.kmsUp ? "DecryptingError" : "KMSUnavailable";
  const existing = liveData(place);
  const data = desired(world, object, failing);
  if (Object.keys(data).length === 0) return { ready };
  const noteOf = (revision: string | undefined): Note => ({
    place: object.place,
    data,
    ...(revision !== undefined && { revision }),
    ...(failing.length === 0 && { digest }),
  });
  if (existing !== undefined && sameValues(data, existing)) {
    // What was kept because an entry failed is only ours when we wrote it.
    const isOurs = failing.length === 0 || noted !== undefined;
    return { ready, ...(isOurs && { note: noteOf(revisionOf(place)) }) };
  }
  if (existing !== undefined && Object.keys(existing).length > 0 && !mayOverwrite(world, object)) {
    return { ready: failing.length === 0 ? "AdoptionRequired" : ready };
  }
  way.call(written(world, object.place, data));
  return { ready, note: noteOf(revisionOf(way.world.places[object.place])) };
}

/** What should stand in Vault. While an entry fails no key goes, and a failing one keeps what Vault holds. */
function desired(world: World, object: Secret, failing: readonly string[]): Values {
  const good = Object.fromEntries(
    Object.entries(object.entries)
      .filter(([key]) => !failing.includes(key))
      .map(([key, { value }]) => [key, value]),
  );
  if (failing.length === 0) return good;
  const isMoved = object.note !== undefined && object.note.place !== object.place;
  const former = isMoved && object.note ? (liveData(world.places[object.note.place]) ?? {}) : {};
  const carried = Object.fromEntries(Object.entries(former).filter(([key]) => failing.includes(key)));
  return { ...carried, ...liveData(world.places[object.place]), ...good };
}

/** The oldest living object that names a place holds it, suspended or not. */
function isHolder(world: World, object: Secret): boolean {
  return !living(world).some((other) => other.place === object.place && other.order < object.order);
}

function living(world: World): Secret[] {
  return objectNames.flatMap((name) => world.objects[name] ?? []).filter(({ deleting }) => !deleting);
}

/**
 * KV v1 as the original; KV v2 what carries the mark of this cluster (whose data it is by now tells the history), what we
 * wrote, for whatever object, or what the user allows.
 */
function mayOverwrite(world: World, object: Secret): boolean {
  const place = world.places[object.place];
  if (place.engine === "v1" || object.adopt || place.mark !== undefined) return true;
  if (object.note?.place === object.place) return true;
  const revision = revisionOf(place);
  const noted = Object.values(world.objects).some(
    ({ note }) => note?.place === object.place && note.revision === revision,
  );
  return noted || world.known[object.place] === revision;
}

function isAsNoted(place: Place, note: Note): boolean {
  const data = liveData(place);
  if (data === undefined) return false;
  return place.engine === "v2" ? revisionOf(place) === note.revision : sameValues(data, note.data);
}

function mark(way: Way, { place: name, uid }: Secret): void {
  const place = way.world.places[name];
  if (place.engine === "v2" && place.mark !== uid) way.call(withPlace(way.world, name, { ...place, mark: uid }));
}

/** What becomes of the places that the object has left: with a policy they go, once all of it is where it is now. */
function leaveFormer(
  way: Way,
  object: Secret,
  { ready, note, isPostponed }: Required<Written> & { readonly isPostponed: boolean },
): Note {
  const before = object.note;
  if (before === undefined) return note;
  const places = [...(before.former ?? []), before]
    .filter(({ place }) => place !== note.place)
    .map(({ place, revision, data }) => ({
      place,
      ...(revision !== undefined && { revision }),
      ...(data && { data }),
    }));
  const { former: _former, ...others } = note;
  if (places.length === 0 || (object.policy ?? "Retain") === "Retain") return others;
  if (ready !== "Synced" || isPostponed) return { ...others, former: places };
  for (const place of places) removePlace(way, object, { place, policy: object.policy ?? "Retain" });
  return others;
}

/**
 * A terminating object's data goes as its policy says, then its finalizers do. Without a record (the status was forged, or
 * the operator ended before it could save one) either is right: Vault is left alone, or what carries the object's own
 * mark where its spec points goes, which only the operator could have put there.
 */
function finalize(world: World, name: ObjectName, object: Secret): readonly Look[] {
  const { note, orphan, place } = object;
  const policy = orphan ? "Retain" : effectivePolicy(object);
  const recorded = note === undefined ? [] : [...(note.former ?? []), note];
  const unrecorded = note === undefined && world.places[place].mark === object.uid ? [[{ place }]] : [];
  return [recorded, ...unrecorded].map((places) => {
    const way = new Way(world, name);
    for (const one of places) removePlace(way, object, { place: one, policy });
    for (const finalizer of object.finalizers) way.callOn((now) => letGo(withFinalizer(now, finalizer, false)));
    return way.taken;
  });
}

/** A set policy wins; else a user's finalizer counts, and what the operator added for a policy that is gone does not. */
function effectivePolicy(object: Secret): Policy {
  if (object.policy !== undefined) return object.policy;
  const added = addedTo(object);
  const users = object.finalizers.filter((finalizer) => !added.includes(finalizer));
  if (users.includes("contract")) return "Destroy";
  return users.includes("soft") ? "SoftDelete" : "Retain";
}

/** Removes what an object wrote at a place, if it is its own still and no living object names it. */
function removePlace(
  way: Way,
  object: Secret,
  { place: placed, policy }: { place: Pick<Placed, "place"> & Partial<Placed>; policy: Policy },
): void {
  const { world } = way;
  const place = world.places[placed.place];
  if (policy === "Retain" || (policy === "SoftDelete" && place.engine === "v1")) return;
  if (living(world).some((other) => other.uid !== object.uid && other.place === placed.place)) return;
  if (place.versions.length === 0 || !isStillIts(place, object, placed)) return;
  if (policy === "Destroy") way.call(wiped(world, placed.place));
  else if (liveData(place) !== undefined) way.call(withLatest(world, placed.place, { deleted: true }));
}

/** The mark tells, where there is one; else the version, or on KV v1 what stands there. */
function isStillIts(place: Place, { uid }: Secret, { revision, data }: Partial<Placed>): boolean {
  if (place.engine === "v1") return data !== undefined && sameValues(liveData(place) ?? {}, data);
  return place.mark === undefined ? revision !== undefined && revisionOf(place) === revision : place.mark === uid;
}

function isLater(one: string | undefined, other: string): boolean {
  if (one === undefined) return false;
  const [wipes = 0, version = 0] = one.split(".").map(Number);
  const [otherWipes = 0, otherVersion = 0] = other.split(".").map(Number);
  return wipes === otherWipes ? version > otherVersion : wipes > otherWipes;
}
