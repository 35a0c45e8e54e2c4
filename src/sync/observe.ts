// Second stage: whether what stands at the destination is what was written, and if not, as much of it as a decision needs
// — the fewest calls that do.
import { OperatorError } from "../base/errors.ts";
import type { Destination, Metadata, Observed } from "../vault/kv/engine.ts";
import type { Decrypted } from "./decrypt.ts";
import { describe, type Pass } from "./pass.ts";
import { type PlanInput, versionOf } from "./plan.ts";
import { sameDestination, sameRevision } from "./record.ts";

/** In sync: the source is the recorded one and the destination is what was written. No value is needed to tell. */
export function isInSync(pass: Pass, observed: Observed): boolean {
  const { note, digest } = pass;
  if (note === undefined || note.digest !== digest || observed.state !== "present") return false;
  if (pass.destination.engineVersion === "v2" && sameRevision(note.revision, observed.revision)) return true;
  // On KV v2 a version that is not ours holds our keys untouched, if only others beside them were written.
  if (pass.destination.engineVersion === "v2" && note.keys === undefined) return false;
  return observed.data !== undefined && pass.fingerprint(observed.data, note.keys) === note.fingerprint;
}

/** With the data, where only it tells whether keys that were merged into a secret are as they were left. */
export async function withSharedData(pass: Pass, observed: Observed): Promise<Observed> {
  const { note, digest, destination, input } = pass;
  if (observed.state !== "present" || observed.data !== undefined || pass.mode === "Replace") return observed;
  const isWritten = note?.keys !== undefined && note.digest === digest;
  if (!isWritten || sameRevision(note.revision, observed.revision)) return observed;
  const read = await input.access.read(destination);
  if (read.state === "unreadable") throw neverMergedBlindly(destination);
  return { ...read, ...metadataOf(observed, read) };
}

/** What `casIndex` leaves to do: nothing, nothing although the object changed, or a write. */
export type CasVerdict = "in sync" | "in sync, not as the object says" | "write";

/**
 * What the contract says of `casIndex`: a later version than casIndex + 1 is a conflict, that very version is in sync
 * whatever the data, an earlier one than casIndex can only be refused by Vault.
 * @throws OperatorError `CASConflict`
 */
export function judgeByCasIndex(pass: Pass, observed: Observed, casIndex: number): CasVerdict {
  const version = versionOf(observed);
  if (version === undefined || version === casIndex) return "write";
  if (version === casIndex + 1) {
    const changed = pass.note?.digest !== undefined && pass.note.digest !== pass.digest;
    return changed ? "in sync, not as the object says" : "in sync";
  }
  const relation = version > casIndex ? "lower" : "higher";
  throw new OperatorError(
    "CASConflict",
    `CAS index is ${relation} than the latest version: casIndex is ${casIndex}, ${describe(pass.destination)} holds version ${version}; nothing was written; set casIndex to ${version} to write`,
  );
}

/** The destination with its data, where a decision needs it; the fewest reads that do. */
export async function completed(pass: Pass, observed: Observed, decrypted: Decrypted): Promise<Observed> {
  if (observed.state === "unreadable" && pass.destination.engineVersion === "v2") {
    throw neverBlindly("neither the metadata nor the data", pass.destination);
  }
  if (observed.state === "unreadable" && pass.mode === "Merge") throw neverMergedBlindly(pass.destination);
  const keepsOthers = pass.mode === "Merge" || decrypted.failures.length > 0;
  // Decrypting took its time, and on KV v1 nothing guards the write against what others have written meanwhile.
  if (keepsOthers && pass.destination.engineVersion === "v1") return pass.input.access.read(pass.destination);
  if (observed.state !== "present" || observed.data !== undefined || pass.casIndex !== undefined) return observed;
  const untouched =
    pass.mode === "Replace" &&
    pass.note?.keys === undefined &&
    sameRevision(pass.note?.revision, observed.revision) &&
    decrypted.failures.length === 0;
  // What we wrote ourselves, untouched since, is told apart from the new data by its keyed hash alone.
  if (untouched && pass.note?.fingerprint !== undefined) {
    const same = pass.fingerprint(decrypted.values) === pass.note.fingerprint;
    return same ? { ...observed, data: decrypted.values } : observed;
  }
  const read = await pass.input.access.read(pass.destination);
  const writes = decrypted.failures.length === 0 || pass.onDecryptError === "Skip" || pass.mode === "Merge";
  if (read.state === "unreadable" && writes) throw neverBlindly("only the metadata", pass.destination);
  // The settings stand in the metadata alone, which was looked at before.
  return read.state === "unreadable" ? read : { ...read, ...metadataOf(observed, read) };
}

/** The metadata as far as either look saw it. */
function metadataOf(one: Observed, other: Observed): { metadata?: Metadata } {
  const settings = [one, other].map(seenMetadata).find((metadata) => metadata?.settings)?.settings;
  const latest = seenMetadata(other) ?? seenMetadata(one);
  return latest === undefined ? {} : { metadata: { ...latest, ...(settings && { settings }) } };
}

/** The metadata, where it could be seen. */
export function seenMetadata(observed: Observed): Metadata | undefined {
  return observed.state === "unreadable" ? undefined : observed.metadata;
}

function neverMergedBlindly(destination: Destination): OperatorError {
  return new OperatorError(
    "VaultPermissionDenied",
    `Vault lets us not read ${describe(destination)}, and keys are never merged into what was not seen; grant read`,
  );
}

function neverBlindly(what: string, destination: Destination): OperatorError {
  return new OperatorError(
    "VaultPermissionDenied",
    `Vault lets us read ${what} of ${describe(destination)}, and KV v2 is never written over unseen; grant read`,
  );
}

/** After a change of path, what stands at the recorded old location: failed keys are carried over, not lost. */
export async function formerValues(pass: Pass, decrypted: Decrypted): Promise<Pick<PlanInput, "formerly">> {
  const { note } = pass.input;
  const needed = decrypted.failures.length > 0 && pass.onDecryptError === "Keep";
  if (!needed || note === undefined || sameDestination(note.destination, pass.destination)) return {};
  const former = await readFormer(pass, note.destination);
  if (former === undefined || former.state === "unreadable") return { formerly: "unreadable" };
  return former.state === "present" && former.data !== undefined ? { formerly: former.data } : {};
}

/** Undefined where the policy does not let the object look any more. */
async function readFormer({ input }: Pass, destination: Destination): Promise<Observed | undefined> {
  try {
    return await input.accessAt(destination).read(destination);
  } catch (error) {
    if (error instanceof OperatorError && error.code === "PolicyDenied") return undefined;
    throw error;
  }
}
