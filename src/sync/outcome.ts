// What came of one reconcile, as data: the controller makes the status, the event, the metrics and the log line of it,
// and nothing else decides anything after it.
import type { OperatorError } from "../base/errors.ts";
import type { Destination, Revision } from "../vault/kv/engine.ts";
import type { Note } from "./record.ts";

/** Something that a user should know although the object is in sync. */
export interface Remark {
  readonly code: "DuplicateKey" | "CASConflict" | "VaultPermissionDenied" | "EngineMismatch";
  readonly message: string;
}

/** What was written, if anything. */
interface Written {
  readonly destination: Destination;
  /** Names of the keys that are new, other or gone; absent when what stood there was not read. */
  readonly changed?: readonly string[];
  /** The same as last time, written once more only because the destination may not be read. */
  readonly again: boolean;
  /** Where the object was written to before its path changed; it is left in place. */
  readonly leftBehind?: Destination;
}

interface Common {
  readonly remarks: readonly Remark[];
  readonly written?: Written;
  /** To be recorded; absent: the present record stays. */
  readonly note?: Note;
  readonly destination?: Destination;
  readonly revision?: Revision;
}

/** Vault holds what the object says. */
export interface Synced extends Common {
  readonly kind: "synced";
  readonly destination: Destination;
  readonly keys: number;
}

/** It does not, or not wholly: with `onDecryptError: Keep` the entries that decrypt may have been written. */
export interface Failed extends Common {
  readonly kind: "failed";
  readonly error: OperatorError;
  /** Names of the entries that could not be decrypted. */
  readonly failedKeys: readonly string[];
  /** Entries that stand in Vault as the object says; undefined when that is not known. */
  readonly keys?: number;
}

export type Outcome = Synced | Failed;

/** The object changed while this pass waited for its turn: nothing was done, the next pass is due already. */
export interface Superseded {
  readonly kind: "superseded";
}

/** What came of the deletion of an object that has the contract's finalizer. */
export type Removal =
  /** The data is gone from Vault, or was already. The finalizer may leave. */
  | { readonly kind: "removed"; readonly destination: Destination }
  /** Vault was not touched, for the reason given. The finalizer may leave. */
  | { readonly kind: "released"; readonly message: string }
  /** The finalizer must stay. */
  | { readonly kind: "blocked"; readonly error: OperatorError };
