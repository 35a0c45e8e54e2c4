// One pass over one object: what it is given, and what is fixed once its destination is known.
import type { Adoption } from "../api/adoption.ts";
import type { KMSVaultSecret, PartialKMSVaultSecret } from "../api/kinds.ts";
import type { PlainMap } from "../base/plaintext.ts";
import type { DecryptCall, Decryptor } from "../kms/cipher.ts";
import type { Destination } from "../vault/kv/engine.ts";
import type { VaultAccess } from "../vault/vault.ts";
import { keyChoiceOf } from "./decrypt.ts";
import type { DestinationLock } from "./destination-lock.ts";
import { sourceDigest } from "./digest.ts";
import type { Remark } from "./outcome.ts";
import type { Self, WriteMode } from "./ownership.ts";
import type { OwnRevisions } from "./own-revisions.ts";
import type { OnDecryptError } from "./plan.ts";
import { type Note, placesOf, type RecordKeeper, sameDestination } from "./record.ts";
import type { Resolved } from "./resolve.ts";

/** Everything the pipeline works with. */
export interface SyncTools {
  readonly decryptor: Decryptor;
  readonly records: RecordKeeper;
  readonly lock: DestinationLock;
  readonly own: OwnRevisions;
  readonly adoption: Adoption;
}

/** Another living object whose path may lead to the same destination. */
export interface Rival {
  readonly secret: KMSVaultSecret;
  /** Vault namespace that it writes to. */
  readonly namespace: string;
  /** Names of its keys; undefined when a Partial is missing, so that they are not known. */
  readonly keys: ReadonlySet<string> | undefined;
}

/** One object and its surroundings at the time of the reconcile. */
export interface SyncInput {
  readonly secret: KMSVaultSecret;
  readonly partials: (name: string) => PartialKMSVaultSecret | undefined;
  /**
   * The tenancy policy of the moment.
   * @throws OperatorError `PolicyDenied`, `KubernetesError`
   */
  readonly assertMayUse: (destination: Destination) => void;
  /** See RemovePlaceInput; asked anew where it decides. */
  readonly rivals: (path: string, destination: Destination) => readonly Rival[];
  /**
   * Whether the object is still as it is in `secret`, and may have what it was given; else the pass must not write any
   * more, and another one follows.
   */
  readonly isCurrent: () => boolean;
  /** Asked where something is to be done: whether what is known of the object is the newest there is. */
  readonly isConfirmed: () => Promise<boolean>;
  /**
   * Called once the object holds its destination, before anything is written there: its finalizer must stand first.
   */
  readonly prepare: () => Promise<void>;
  /** What was recorded of this object last, already authenticated. */
  readonly note: Note | undefined;
  /** Vault, as the identity that this object uses sees it. */
  readonly access: VaultAccess;
  /**
   * The same for a place where the object was before, in whatever Vault namespace.
   * @throws OperatorError `PolicyDenied`
   */
  readonly accessAt: (destination: Destination) => VaultAccess;
  /**
   * Begins work on a place that the object has left.
   * @returns to be called when it has ended; undefined when another replica does it
   */
  readonly enter: (destination: Destination) => (() => void) | undefined;
  /** The user allowed that foreign data at the path is taken over. */
  readonly adopt: boolean;
  /**
   * Whether calls for it go before others: what is in Vault already is to become what this digest says, which was not
   * tried yet. First writes and further tries are not urgent.
   */
  readonly isUrgent: (digest: string) => boolean;
  /** Keys that the policy lets the object use; absent: any. */
  readonly allowedKeys?: readonly string[];
  readonly signal: AbortSignal;
}

/** What is fixed for one pass over one destination. */
export class Pass {
  readonly input: SyncInput;
  readonly tools: SyncTools;
  readonly resolved: Resolved;
  readonly destination: Destination;
  readonly digest: string;
  readonly onDecryptError: OnDecryptError;
  readonly mode: WriteMode;
  readonly self: Self;
  /** The user's own check-and-set; on KV v1 it means nothing. */
  readonly casIndex: number | undefined;
  /** Other living objects that name the destination; known once it is held. */
  others: readonly Rival[] = [];

  constructor(input: SyncInput, tools: SyncTools, resolved: Resolved, destination: Destination) {
    const { spec, metadata } = input.secret;
    const { entries } = resolved;
    this.input = input;
    this.tools = tools;
    this.resolved = resolved;
    this.destination = destination;
    this.onDecryptError = spec.onDecryptError ?? "Keep";
    this.mode = spec.writeMode ?? "Replace";
    this.self = selfOf(metadata, tools.records);
    this.casIndex = destination.engineVersion === "v2" ? spec.kvSettings?.casIndex : undefined;
    this.digest = sourceDigest({
      entries,
      destination,
      onDecryptError: this.onDecryptError,
      writeMode: this.mode,
      keyChoice: [spec.provider, spec.kmsKeyId, spec.kmsRoleArn],
    });
  }

  /** What is recorded of this destination, where the object may have been before. */
  get note(): Note | undefined {
    const places: readonly Note[] = placesOf(this.input.note);
    return places.find(({ destination }) => sameDestination(destination, this.destination));
  }

  /** Keyed hash of data at the destination; of some keys alone, when they are given. */
  fingerprint(data: PlainMap, keys?: readonly string[]): string {
    const { records } = this.tools;
    return records.fingerprint(keys === undefined ? data : picked(data, keys), this.destination, this.self.uid);
  }

  /** How the entries are decrypted, together. */
  decryptCall(): DecryptCall {
    const { signal, isUrgent, allowedKeys, secret } = this.input;
    return {
      signal,
      isUrgent: isUrgent(this.digest),
      ...keyChoiceOf(secret.spec),
      ...(allowedKeys && { allowedKeys }),
    };
  }

  remarks(): Remark[] {
    const { kvSettings, kvMetadata, deletionPolicy } = this.input.secret.spec;
    const remarks: Remark[] = this.resolved.duplicates.map(({ key, winner }) => ({
      code: "DuplicateKey",
      message: `key ${key} stands in more than one place, the one of ${winner} counts`,
    }));
    if (this.destination.engineVersion === "v2") return remarks;
    const onlyV2 = (what: string) => remarks.push({ code: "EngineMismatch", message: `${what} on KV v1` });
    if (kvSettings?.casIndex !== undefined) onlyV2("casIndex means nothing and is ignored");
    if (kvMetadata !== undefined) onlyV2("kvMetadata means nothing and is ignored");
    if (deletionPolicy === "SoftDelete")
      onlyV2("deletionPolicy SoftDelete leaves the data in place: nothing can be undeleted");
    return remarks;
  }
}

/** An object, as its mark names it. */
export function selfOf(
  { uid, namespace, name }: KMSVaultSecret["metadata"],
  { clusterId }: Pick<RecordKeeper, "clusterId">,
): Self {
  return { uid, owner: `${namespace}/${name}`, cluster: clusterId };
}

/** Those of the keys that are there. */
export function picked(data: PlainMap, keys: Iterable<string>): PlainMap {
  const wanted = new Set(keys);
  return new Map([...data].filter(([key]) => wanted.has(key)));
}

/** How a destination is named to people: as the API path. */
export function describe({ namespace, mount, path, engineVersion }: Destination): string {
  const shown = engineVersion === "v2" ? `${mount}/data/${path}` : `${mount}/${path}`;
  return namespace === "" ? shown : `${shown} (namespace ${namespace})`;
}
