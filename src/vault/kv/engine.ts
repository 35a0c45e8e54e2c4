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

/** What was found at a destination. */
export type Observed =
  /** Nothing there, and nothing ever was (v2), or nothing there now (v1). */
  | { readonly state: "absent" }
  /** v2: the latest version is deleted or destroyed. A write goes with CAS on its version. */
  | { readonly state: "deleted"; readonly revision: Revision }
  /** Live data. v2: `revision` always, `data` when it was read; v1: `data` always, no revision. */
  | { readonly state: "present"; readonly revision?: Revision; readonly data?: PlainMap }
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
  /** Removes the path; v2: all versions and the metadata. Nothing there (or no such mount any more) counts as removed. */
  remove(destination: Destination): Promise<void>;
}
