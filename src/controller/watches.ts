// From what the informers see to keys in the queue. Edits go before new objects, and both before refreshes; a status is
// our own doing and triggers nothing; an edited Partial concerns everyone who includes it, a moved or deleted object
// everyone who wants its place.
import { adoptAnnotation, deletionAnnotation, reconcileAnnotation } from "../api/kinds.ts";
import type { Handlers } from "../runtime/informer.ts";
import type { Priority } from "../runtime/metrics.ts";
import { type KubeObject, keyOf } from "../runtime/objects.ts";
import type { ShardListener } from "../runtime/sharding.ts";
import { claimOf, type DividedShares } from "./shares.ts";
import type { Surroundings } from "./surroundings.ts";

/** Where keys go. */
interface Queue {
  add(key: string, options: { readonly priority: Priority }): void;
}

export interface WatchesOptions {
  readonly queue: Queue;
  readonly surroundings: Surroundings;
  /** Whether objects of this namespace are ours to reconcile; the others are only known for their claims. */
  readonly isWatched: (namespace: string) => boolean;
  /** False until the first list is complete: what it holds is a refresh, what comes after it is new. */
  readonly hasSynced: () => boolean;
  /** Called for an object of which there is another version, whatever has changed. */
  readonly onStored: (object: KubeObject) => void;
  /** Called for an object that is gone. */
  readonly onGone: (object: KubeObject) => void;
}

/** Handlers of the KMSVaultSecrets' informer. */
export function secretHandlers(options: WatchesOptions): Handlers<KubeObject> {
  const { surroundings, hasSynced, onStored, onGone } = options;
  const add = adder(options);
  const addClaimants = (object: KubeObject) => surroundings.claimantKeys(object).forEach((key) => add(key, "high"));
  return {
    onAdd(object) {
      // Of many at once each may wait for KMS; who edits one that is in Vault already does not wait behind them.
      add(keyOf(object), hasSynced() ? "normal" : "low");
      if (hasSynced()) addClaimants(object);
    },
    onUpdate(old, object) {
      onStored(object);
      if (!isEdit(old, object)) return;
      add(keyOf(object), "high");
      addClaimants(old);
      addClaimants(object);
    },
    onDelete(object) {
      onGone(object);
      addClaimants(object);
    },
  };
}

/** Of a shard that is ours now every object is looked at, behind edits; of one that is not any more, nothing is kept. */
export function shardListener(
  options: Pick<WatchesOptions, "queue" | "surroundings" | "isWatched">,
  shares: Pick<DividedShares, "shardOf">,
  reconciler: { takeOver(): void; forget(object: KubeObject): void },
): ShardListener {
  const add = adder(options);
  const objectsOf = (shard: number) =>
    options.surroundings.all().filter((object) => shares.shardOf(claimOf(object)) === shard);
  return {
    gained(shard, tookOver) {
      if (tookOver) reconciler.takeOver();
      for (const object of objectsOf(shard)) add(keyOf(object), "low");
      // What is recorded of a deleted object, or of one that has moved, may be at another place than it names.
      for (const object of options.surroundings.all()) {
        if (object.metadata.deletionTimestamp !== undefined || recordOf(object)?.former !== undefined) {
          add(keyOf(object), "low");
        }
      }
    },
    released(shard) {
      objectsOf(shard).forEach((object) => reconciler.forget(object));
    },
  };
}

/** Handlers of the PartialKMSVaultSecrets' informer. */
export function partialHandlers(options: WatchesOptions): Handlers<KubeObject> {
  const add = adder(options);
  const { surroundings, hasSynced } = options;
  const addIncluders = (partial: KubeObject) => {
    // Who merges into the same secret as one of them may have waited for a key to become free.
    const keys = surroundings.keysAround(surroundings.includers(partial));
    for (const key of keys) add(key, hasSynced() ? "high" : "low");
  };
  return {
    onAdd: addIncluders,
    onUpdate(old, partial) {
      if (old.metadata.generation !== partial.metadata.generation) addIncluders(partial);
    },
    onDelete: addIncluders,
  };
}

/** Puts keys of watched namespaces into the queue. */
export function adder({
  queue,
  isWatched,
}: Pick<WatchesOptions, "queue" | "isWatched">): (key: string, priority: Priority) => void {
  return (key, priority) => {
    if (isWatched(key.slice(0, key.indexOf("/")))) queue.add(key, { priority });
  };
}

/** Annotations that ask something of the operator. */
const askingAnnotations = [reconcileAnnotation, adoptAnnotation, deletionAnnotation];

/** A change of what the object asks for; not of its status, labels or other people's annotations. */
function isEdit(old: KubeObject, object: KubeObject): boolean {
  const { metadata: before } = old;
  const { metadata: after } = object;
  return (
    before.generation !== after.generation ||
    before.deletionTimestamp !== after.deletionTimestamp ||
    // Another replica has removed what was recorded, or has left something to remove to the one whose place it is.
    recordedElsewhere(old) !== recordedElsewhere(object) ||
    // Those of a living object are put on and taken off by ourselves.
    (after.deletionTimestamp !== undefined && String(before.finalizers) !== String(after.finalizers)) ||
    askingAnnotations.some((name) => before.annotations?.[name] !== after.annotations?.[name])
  );
}

/** What may be another replica's to see to: the places that an object has left; of a deleted one, whether any is left. */
function recordedElsewhere(object: KubeObject): string {
  const isDeleted = object.metadata.deletionTimestamp !== undefined;
  const record = recordOf(object);
  // Once every entry decrypts, what was left may be removed.
  const left = record?.former === undefined ? null : [record.former, record.digest !== undefined];
  return JSON.stringify([left, isDeleted && record !== undefined]);
}

/** An object's record, which nobody has authenticated here. */
function recordOf(object: KubeObject): { readonly former?: unknown; readonly digest?: unknown } | undefined {
  const { status } = object as { readonly status?: { readonly record?: { readonly former?: unknown } } };
  return status?.record;
}
