// The record: the operator's note, in the object's status, of what it wrote where. It is authenticated, because
// anyone who may patch a status could otherwise have the operator remove, or believe in sync, what they like. A record
// without a right MAC is no record: everything is verified anew and nothing is removed.
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";
import type { RecordedPlace, SyncRecord } from "../api/kinds.ts";
import { fingerprint, type PlainMap } from "../base/plaintext.ts";
import type { Destination, Revision } from "../vault/kv/engine.ts";

/** What was written at one location. */
export interface Place {
  readonly destination: Destination;
  /** KV v2: the version that holds what was written. */
  readonly revision?: Revision;
  /** Of the data as it stands in Vault; absent where it was never read or written. With `keys`, of those alone. */
  readonly fingerprint?: string;
  /** With `writeMode: Merge`: the keys that are the object's; nothing else there is. */
  readonly keys?: readonly string[];
  /** Those of `keys` that somebody else had written before, with the same value: they are never removed. */
  readonly adopted?: readonly string[];
}

/** What is recorded of one object. */
export interface Note extends Place {
  /** Absent while an entry could not be decrypted, so that it is tried again. */
  readonly digest?: string;
  /** Where the object was before its path changed, as far as it is still to be removed there. */
  readonly former?: readonly Place[];
}

const format = "v1";

export class RecordKeeper {
  /** uid of the kube-system namespace, or what the operator was told in its place. */
  readonly clusterId: string;
  /** As an object of its own: making one of bytes for each MAC costs more than the MAC. */
  readonly #key: KeyObject;

  /**
   * @param key random, 32 bytes, kept in a Secret of the operator's namespace
   * @param clusterId a status copied from another cluster counts for nothing
   */
  constructor(key: Uint8Array, clusterId: string) {
    this.#key = createSecretKey(key);
    this.clusterId = clusterId;
  }

  /** The note as it goes into `status.record` of the object with this uid. */
  seal(note: Note, uid: string): SyncRecord {
    const { digest, former = [] } = note;
    const unsealed: Omit<SyncRecord, "mac"> = {
      format,
      ...recorded(note),
      ...(digest !== undefined && { digest }),
      ...(former.length > 0 && { former: former.map(recorded) }),
    };
    return { ...unsealed, mac: this.#mac(unsealed, uid) };
  }

  /** The note in a record, or undefined when there is none that this operator wrote for this object. */
  open(record: SyncRecord | undefined, uid: string): Note | undefined {
    if (record === undefined || record.format !== format) return undefined;
    const given = Buffer.from(record.mac, "base64url");
    const right = Buffer.from(this.#mac(record, uid), "base64url");
    if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined;
    const { digest, former } = record;
    return {
      ...placeIn(record),
      ...(digest !== undefined && { digest }),
      ...(former && { former: former.map(placeIn) }),
    };
  }

  /** Keyed hash of data at a destination, as the object with this uid wrote it. */
  fingerprint(data: PlainMap, destination: Destination, uid: string): string {
    return fingerprint(data, this.#key, [uid, destination.namespace, destination.mount, destination.path]);
  }

  #mac(record: Omit<SyncRecord, "mac">, uid: string): string {
    const covered = [
      "record",
      uid,
      this.clusterId,
      record.format,
      ...covering(record),
      record.digest ?? null,
      record.former?.map(covering) ?? null,
    ];
    return createHmac("sha256", this.#key).update(JSON.stringify(covered)).digest("base64url");
  }
}

function recorded({ destination, revision, fingerprint: hash, keys, adopted = [] }: Place): RecordedPlace {
  const { namespace, mount, path, engineVersion } = destination;
  return {
    namespace,
    mount,
    path,
    engineVersion,
    ...(revision && { version: revision.version, versionCreatedTime: revision.createdTime }),
    ...(hash !== undefined && { fingerprint: hash }),
    ...(keys && { keys: [...keys] }),
    ...(adopted.length > 0 && { adopted: [...adopted] }),
  };
}

function placeIn(recordedPlace: RecordedPlace): Place {
  const { namespace, mount, path, engineVersion, keys, adopted } = recordedPlace;
  const { version, versionCreatedTime: createdTime } = recordedPlace;
  return {
    destination: { namespace, mount, path, engineVersion },
    ...(version !== undefined && createdTime !== undefined && { revision: { version, createdTime } }),
    ...(recordedPlace.fingerprint !== undefined && { fingerprint: recordedPlace.fingerprint }),
    ...(keys && { keys }),
    ...(adopted && { adopted }),
  };
}

/** Every field of a recorded place, in one order. */
function covering(one: RecordedPlace): readonly unknown[] {
  return [
    one.namespace,
    one.mount,
    one.path,
    one.engineVersion,
    one.version ?? null,
    one.versionCreatedTime ?? null,
    one.fingerprint ?? null,
    one.keys ?? null,
    one.adopted ?? null,
  ];
}

/** Every place that a note is about: where the object is, then those that it has left. */
export function placesOf(note: Note | undefined): readonly Place[] {
  return note === undefined ? [] : [note, ...(note.former ?? [])];
}

/** The place alone, without what a note says of its object. */
export function placeOf({ destination, revision, fingerprint: hash, keys, adopted }: Place): Place {
  return {
    destination,
    ...(revision && { revision }),
    ...(hash !== undefined && { fingerprint: hash }),
    ...(keys && { keys }),
    ...(adopted && { adopted }),
  };
}

/** True when both name the same place. */
export function sameDestination(one: Destination, other: Destination): boolean {
  return destinationKey(one) === destinationKey(other);
}

/**
 * A string that two destinations share when a write to one is a write to the other. Where Vault did not say where the
 * mount ends it was guessed, and an engine may be upgraded in place: neither makes another place of it.
 */
export function destinationKey({ namespace, mount, path }: Destination): string {
  return JSON.stringify([namespace, `${mount}/${path}`]);
}

/** True when both name the same version of a KV v2 secret; a path wiped and written anew counts from 1 again. */
export function sameRevision(one: Revision | undefined, other: Revision | undefined): boolean {
  return (
    one !== undefined && other !== undefined && one.version === other.version && one.createdTime === other.createdTime
  );
}
