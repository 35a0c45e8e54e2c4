// What the operator does when it looks at an object, after semantics and not after the code: a pure function from a
// world to the worlds after each of its calls, the last one being where it ends. A crash may leave any of the others.
import {
  canonical,
  liveData,
  type Note,
  type ObjectName,
  objectNames,
  type Place,
  type PlaceName,
  placeNames,
  revisionOf,
  sameValues,
  type Secret,
  type Values,
  withObject,
  wiped,
  withPlace,
  type World,
  written,
} from "./world.ts";

/** One look: the worlds that others may see on the way, and where it ends. */
export interface Look {
  readonly between: readonly World[];
  readonly end: World;
}

export function look(world: World, name: ObjectName): Look {
  const object = world.objects[name];
  if (object === undefined) return { between: [], end: world };
  return object.deleting ? finalize(world, name, object) : sync(remember(world, object.note), name, object);
}

function sync(world: World, name: ObjectName, object: Secret): Look {
  const end = (next: World, ready: string, note: Note | undefined = object.note): Look => ({
    between: [],
    end: withObject(remember(next, note), name, { ...object, ready, ...(note && { note }) }),
  });
  if (!isHolder(world, object)) return end(world, "PathConflict");
  const place = world.places[object.place];
  const noted = object.note?.place === object.place ? object.note : undefined;
  const digest = digestOf(object);
  if (noted?.digest === digest && isAsNoted(place, noted)) return end(world, "Synced");

  const failing = Object.keys(object.entries).filter((key) => !world.kmsUp || object.entries[key]?.broken);
  const ready = failing.length === 0 ? "Synced" : world.kmsUp ? "DecryptingError" : "KMSUnavailable";
  const existing = liveData(place);
  const data = desired(world, object, failing);
  if (Object.keys(data).length === 0) return end(world, ready);
  const noteOf = (revision: string | undefined): Note => ({
    place: object.place,
    data,
    ...(revision !== undefined && { revision }),
    ...(failing.length === 0 && { digest }),
  });
  if (existing !== undefined && sameValues(data, existing)) {
    // What was kept because an entry failed is only ours when we wrote it.
    const isOurs = failing.length === 0 || noted !== undefined;
    return end(world, ready, isOurs ? noteOf(revisionOf(place)) : object.note);
  }
  if (existing !== undefined && Object.keys(existing).length > 0 && !mayOverwrite(world, object)) {
    return end(world, failing.length === 0 ? "AdoptionRequired" : ready);
  }
  const after = written(world, object.place, data);
  const finished = end(after, ready, noteOf(revisionOf(after.places[object.place])));
  return { between: [after], end: finished.end };
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

/** The oldest living object that names a place holds it. */
export function isHolder(world: World, object: Secret): boolean {
  return !living(world).some((other) => other.place === object.place && other.order < object.order);
}

function living(world: World): Secret[] {
  return objectNames.flatMap((name) => world.objects[name] ?? []).filter(({ deleting }) => !deleting);
}

/** KV v1 as the original; KV v2 what we wrote, for whatever object, or the user allows. */
function mayOverwrite(world: World, object: Secret): boolean {
  const place = world.places[object.place];
  if (place.engine === "v1" || object.adopt || object.note?.place === object.place) return true;
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

function digestOf({ place, entries }: Secret): string {
  return canonical([place, entries]);
}

function finalize(world: World, name: ObjectName, object: Secret): Look {
  const gone = (from: World): World => withObject(from, name, undefined);
  const { note } = object;
  if (object.orphan || note === undefined) return { between: [], end: gone(world) };
  if (living(world).some((other) => other.place === note.place)) return { between: [], end: gone(world) };
  const place = world.places[note.place];
  if (place.versions.length === 0) return { between: [], end: gone(world) };
  const isOurs =
    place.engine === "v2" ? revisionOf(place) === note.revision : sameValues(liveData(place) ?? {}, note.data);
  if (!isOurs) return { between: [], end: gone(world) };
  const removed = wiped(world, note.place);
  return { between: [removed], end: gone(removed) };
}

/** The operator now knows of this version of its own, unless it knows of a later one. */
function remember(world: World, note: Note | undefined): World {
  if (note?.revision === undefined) return world;
  const known = world.known[note.place];
  if (known !== undefined && isLater(known, note.revision)) return world;
  return { ...world, known: { ...world.known, [note.place]: note.revision } };
}

function isLater(one: string, other: string): boolean {
  const [wipes = 0, version = 0] = one.split(".").map(Number);
  const [otherWipes = 0, otherVersion = 0] = other.split(".").map(Number);
  return wipes === otherWipes ? version > otherVersion : wipes > otherWipes;
}

/** The world as a new process finds it. */
export function forgetful(world: World): World {
  return { ...world, known: {} };
}
