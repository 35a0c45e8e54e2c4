// The finalizers of a living object: what its deletion policy needs is put on before anything is written to Vault, and
// what the operator put on for a policy that is no more is taken away. A user's own is never taken from a living object.
// What was put on is recorded first, so that a crash in between never makes it the user's.
import type { KMSVaultSecret } from "../api/kinds.ts";
import { type Finalizers, finalizerChange } from "../sync/deletion-policy.ts";
import type { Note } from "../sync/record.ts";

/** How an object is changed. */
export interface FinalizerDoor {
  /** Saves a record of the object. */
  record(note: Note): Promise<void>;
  add(finalizer: string): Promise<void>;
  remove(finalizer: string): Promise<void>;
}

/**
 * @param note what is recorded of the object
 * @param destination where it is about to be written, for a first record
 * @returns the finalizers on it that are the operator's
 * @throws what the door throws
 */
export async function prepareFinalizers(
  { metadata, spec }: KMSVaultSecret,
  { note, destination }: { readonly note: Note | undefined; readonly destination: Note["destination"] },
  door: FinalizerDoor,
): Promise<readonly string[]> {
  const known = finalizersOf(metadata, note);
  const { add, remove } = finalizerChange(spec.deletionPolicy, known);
  const kept = known.added.filter((finalizer) => !remove.includes(finalizer));
  if (add !== undefined) {
    await door.record({ ...(note ?? { destination }), finalizers: [...new Set([...known.added, add])] });
    await door.add(add);
    kept.push(add);
  }
  for (const finalizer of remove) await door.remove(finalizer);
  return kept;
}

/** What is known of an object's finalizers. What the operator put on and somebody took off is nobody's. */
export function finalizersOf(
  { finalizers: present = [] }: KMSVaultSecret["metadata"],
  note: Note | undefined,
): Finalizers {
  return { present, added: (note?.finalizers ?? []).filter((finalizer) => present.includes(finalizer)) };
}
