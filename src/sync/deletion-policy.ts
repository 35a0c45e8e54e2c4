// What the deletion of an object does to Vault, and the finalizer that holds the object until it is done. Pure. A set
// policy wins over a user's finalizer; with none set, the contract's finalizer means Destroy, unless the operator put it
// there itself for a policy that has been taken away since.
import { deleteFinalizer, type DeletionPolicy, softDeleteFinalizer } from "../api/kinds.ts";

const finalizerOf: Readonly<Record<DeletionPolicy, string | undefined>> = {
  Retain: undefined,
  SoftDelete: softDeleteFinalizer,
  Destroy: deleteFinalizer,
};

/** The finalizers that hold a deleted object until Vault is as its policy says. */
export const ownFinalizers: readonly string[] = [deleteFinalizer, softDeleteFinalizer];

/** What is known of an object's finalizers. */
export interface Finalizers {
  /** On the object. */
  readonly present: readonly string[];
  /** Those among them that the operator put there, by its record. */
  readonly added: readonly string[];
}

/** The policy that counts for a deleted object. */
export function effectivePolicy(set: DeletionPolicy | undefined, { present, added }: Finalizers): DeletionPolicy {
  if (set !== undefined) return set;
  const users = present.filter((finalizer) => !added.includes(finalizer));
  if (users.includes(deleteFinalizer)) return "Destroy";
  return users.includes(softDeleteFinalizer) ? "SoftDelete" : "Retain";
}

/** What a living object's finalizers lack for its policy, and what the operator put there and is needed no more. */
export function finalizerChange(
  set: DeletionPolicy | undefined,
  { present, added }: Finalizers,
): { readonly add: string | undefined; readonly remove: readonly string[] } {
  const wanted = set === undefined ? undefined : finalizerOf[set];
  return {
    add: wanted === undefined || present.includes(wanted) ? undefined : wanted,
    remove: added.filter((finalizer) => finalizer !== wanted && present.includes(finalizer)),
  };
}
