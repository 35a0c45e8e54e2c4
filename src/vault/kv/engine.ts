// What a KV engine is to the rest of the product: observe, read, write and remove one secret at one destination.
// v1.ts and v2.ts implement it; which one stands behind a mount is found out by mount.ts.
import type { PlainMap } from "../../base/plaintext.ts";

export type EngineVersion = "v1" | "v2";

/** Where one secret lives. Two destinations are the same place when all four fields are equal. */
export interface Destination {
  /** Vault namespace, "" for the root namespace (and for servers without namespaces). */
  readonly namespace: string;
  /** Mount path without leading or trailing slash, of any depth: `secret`, `team/kv`. */
  readonly mount: string;
  readonly engineVersion: EngineVersion;
  /** Logical path inside the mount, without `data/`, not percent-encoded: `test/x`. */
  readonly path: string;
}

/** One version of a KV v2 secret. Both fields together name it: a wiped and rewritten path counts from 1 again. */
export interface Revision {
  readonly version: number;
  /** As Vault prints it, RFC 3339 with nanoseconds. */
  readonly createdTime: string;
}

/** What KV v2 keeps beside the versions of a secret. */
export interface Metadata {
  /** `custom_metadata`: the user's own keys, and our mark. */
  readonly custom: Readonly<Record<string, string>>;
  /** Absent where only the data could be read. */
  readonly settings?: MetadataSettings;
}

/** How many versions KV v2 keeps, and for how long. */
export interface MetadataSettings {
  /** `max_versions`; 0: as the mount says. */
  readonly maxVersions: number;
  /** `delete_version_after` in ms; 0: as the mount says. */
  readonly deleteVersionAfterMs: number;
}

/** What of a secret's metadata is to be other than it is; null takes a key away, what is not named stays. */
export interface MetadataChange {
  readonly custom: Readonly<Record<string, string | null>>;
  readonly settings?: Partial<MetadataSettings>;
}

/** What was found at a destination; on v2 with the metadata, as far as it may be seen. */
export type Observed =
  /** Nothing there, and nothing ever was (v2), or nothing there now (v1). */
  | { readonly state: "absent"; readonly metadata?: Metadata }
  /** v2: the latest version is deleted or destroyed. A write goes with CAS on its version. */
  | { readonly state: "deleted"; readonly revision: Revision; readonly metadata?: Metadata }
  /** Live data. v2: `revision` always, `data` when it was read; v1: `data` always, no revision. */
  | {
      readonly state: "present";
      readonly revision?: Revision;
      readonly data?: PlainMap;
      readonly metadata?: Metadata;
    }
  /** Vault answered 403 to every way of reading it. */
  | { readonly state: "unreadable"; readonly missingCapability: string };

/** A KV engine, for one identity. Every method throws OperatorError (`Vault…` codes) for what is not in its result. */
export interface KVEngine {
  /**
   * The cheapest look that tells whether anything changed. v2: the metadata, so that no secret data crosses the wire
   * (where metadata may not be read, the data); v1: the data.
   */
  observe(destination: Destination): Promise<Observed>;
  /** The same with `data` where there is live data. */
  read(destination: Destination): Promise<Observed>;
  /**
   * Writes the whole map. v2: with check-and-set on version `cas` (0: only if there is nothing).
   * @returns the revision written (v2), undefined (v1)
   * @throws OperatorError `CASConflict` when Vault holds another version than `cas`
   */
  write(destination: Destination, data: PlainMap, cas?: number): Promise<Revision | undefined>;
  /**
   * Changes the metadata of a KV v2 secret that exists, by PATCH, or else as a whole.
   * @param known the metadata as last seen; absent: then only by PATCH
   * @returns why Vault does not let us, in words for people, or undefined when it is done. Asked again after an hour.
   */
  writeMetadata(destination: Destination, change: MetadataChange, known?: Metadata): Promise<string | undefined>;
  /** Removes the path; v2: all versions and the metadata. Nothing there (or no such mount any more) counts as removed. */
  remove(destination: Destination): Promise<void>;
  /** v2: deletes the latest version so that it can be undeleted. On v1 there is no such thing: InternalError. */
  softDelete(destination: Destination): Promise<void>;
}
