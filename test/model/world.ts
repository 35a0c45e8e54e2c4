// What the model knows of the world: two objects, two places in Vault, and whether KMS answers. Plain data, so that two
// worlds are the same when their JSON is, and what users and outsiders do to it (commands.ts) is a change of that data.

export const objectNames = ["a", "b"] as const;
export const placeNames = ["x", "y"] as const;
export type ObjectName = (typeof objectNames)[number];
export type PlaceName = (typeof placeNames)[number];
export type Engine = "v1" | "v2";

/** What stands in Vault, by key. */
export type Values = Readonly<Record<string, string>>;

/** One version of a KV v2 secret; on KV v1 there is one at most, written over. */
export interface Version {
  readonly data: Values;
  readonly deleted: boolean;
  readonly destroyed: boolean;
}

/** A path in Vault. */
export interface Place {
  readonly engine: Engine;
  /** How often all that stood here was wiped: what tells version 1 from the version 1 before. */
  readonly wipes: number;
  readonly versions: readonly Version[];
  /** Uid in the mark of a KV v2 secret. */
  readonly mark?: string;
}

/** An item of `spec.secrets`. */
interface Entry {
  readonly value: string;
  /** Its ciphertext is garbage. */
  readonly broken: boolean;
}

export type Policy = "Retain" | "SoftDelete" | "Destroy";

/** What was written at a place. */
export interface Placed {
  readonly place: PlaceName;
  /** KV v2: the version that was written or found to be right. */
  readonly revision?: string;
  readonly data: Values;
}

/** Ours: contract is the one that a user may put there as well. */
export type Finalizer = "contract" | "soft";

/** What the operator recorded of an object. */
export interface Note extends Placed {
  /** The source, as it was written in full. */
  readonly digest?: string;
  /** Places that the object has left and that are still to be removed. */
  readonly former?: readonly Placed[];
}

/** A living or terminating KMSVaultSecret. */
export interface Secret {
  readonly uid: string;
  /** What the cluster goes by to tell who was first: creation time, then uid. */
  readonly order: string;
  readonly place: PlaceName;
  readonly entries: Readonly<Record<string, Entry>>;
  readonly policy?: Policy;
  readonly suspended: boolean;
  /** Sorted. */
  readonly finalizers: readonly Finalizer[];
  /** Those of them that the operator put on, as an annotation says. */
  readonly added: readonly Finalizer[];
  readonly adopt: boolean;
  readonly orphan: boolean;
  readonly deleting: boolean;
  readonly note?: Note;
  /** Reason of the Ready condition; absent before the first look, and when the status was forged. */
  readonly ready?: string;
}

export interface World {
  readonly objects: Readonly<Partial<Record<ObjectName, Secret>>>;
  readonly places: Readonly<Record<PlaceName, Place>>;
  /** What the running operator remembers of the last version of its own at each place. */
  readonly known: Readonly<Partial<Record<PlaceName, string>>>;
  readonly kmsUp: boolean;
}

export function newWorld(engines: Readonly<Record<PlaceName, Engine>>): World {
  const place = (name: PlaceName): Place => ({ engine: engines[name], wipes: 0, versions: [] });
  return { objects: {}, places: { x: place("x"), y: place("y") }, known: {}, kmsUp: true };
}

/** Names the latest version, as `created_time` does; undefined where nothing ever was, and on KV v1. */
export function revisionOf({ engine, wipes, versions }: Place): string | undefined {
  return engine === "v1" || versions.length === 0 ? undefined : `${wipes}.${versions.length}`;
}

/** The data that a reader gets. */
export function liveData({ versions }: Place): Values | undefined {
  const latest = versions.at(-1);
  return latest === undefined || latest.deleted || latest.destroyed ? undefined : latest.data;
}

export function sameValues(one: Values, other: Values): boolean {
  return canonical(one) === canonical(other);
}

/** JSON with sorted keys. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([one], [other]) => (one < other ? -1 : 1)))
      : part,
  );
}

/** The world with another version of the secret at a place. */
export function written(world: World, name: PlaceName, data: Values): World {
  const place = world.places[name];
  const version = { data, deleted: false, destroyed: false };
  const versions = place.engine === "v1" ? [version] : [...place.versions, version];
  return withPlace(world, name, { ...place, versions });
}

/** The world with the latest version changed. */
export function withLatest(world: World, name: PlaceName, change: Partial<Version>): World {
  const place = world.places[name];
  const latest = place.versions.at(-1);
  if (latest === undefined) return world;
  return withPlace(world, name, { ...place, versions: [...place.versions.slice(0, -1), { ...latest, ...change }] });
}

/** The world with nothing at a place: no version, no metadata. */
export function wiped(world: World, name: PlaceName): World {
  const { engine, wipes, versions, mark } = world.places[name];
  if (versions.length === 0 && mark === undefined) return world;
  return withPlace(world, name, { engine, wipes: wipes + 1, versions: [] });
}

export function withPlace(world: World, name: PlaceName, place: Place): World {
  return { ...world, places: { ...world.places, [name]: place } };
}

/** The world with an object changed; undefined: gone. */
export function withObject(world: World, name: ObjectName, object: Secret | undefined): World {
  const { [name]: _before, ...others } = world.objects;
  return { ...world, objects: object === undefined ? others : { ...others, [name]: object } };
}
