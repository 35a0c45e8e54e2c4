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

/** Why something was written that the object had not changed: what stood there was gone, or was other. */
export type Repaired = "missing" | "changed";

/** What was written, if anything. */
interface Written {
  readonly destination: Destination;
  /** Names of the keys that are new, other or gone; absent when what stood there was not read. */
  readonly changed?: readonly string[];
  /** The same as last time, written once more only because the destination may not be read. */
  readonly again: boolean;
  readonly repaired?: Repaired;
}

interface Common {
  readonly remarks: readonly Remark[];
  readonly written?: Written;
  /** To be recorded; absent: the present record stays. */
  readonly note?: Note;
  readonly destination?: Destination;
  readonly revision?: Revision;
  /** Where the object was before its path changed: what became of each place that was looked at. */
  readonly left?: readonly LeftPlace[];
  /** What remains to be done although Vault holds the data: it is told, and tried again. */
  readonly pending?: OperatorError;
}

/** A place that an object has left. */
export interface LeftPlace {
  readonly destination: Destination;
  /** `kept`: no policy asks for more than leaving it. */
  readonly fate: Removal | { readonly kind: "kept" };
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

/** What came of removing what an object wrote at one place, because it is deleted or has moved. */
export type Removal =
  /** The data is gone from Vault as the policy says, or was already. The finalizer may leave. */
  | { readonly kind: "removed"; readonly destination: Destination }
  /** Vault was not touched, for the reason given. The finalizer may leave. */
  | { readonly kind: "released"; readonly message: string }
  /** The finalizer must stay. */
  | { readonly kind: "blocked"; readonly error: OperatorError }
  /** The object has changed meanwhile, and may not ask for it any more: nothing was done, the next pass is due. */
  | { readonly kind: "postponed" };

/** The outcome of an object that was not even looked at in Vault. */
export function notTried(error: OperatorError, destination?: Destination): Failed {
  return { kind: "failed", error, failedKeys: [], remarks: [], ...(destination && { destination }) };
}
