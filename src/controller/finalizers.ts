// The finalizers of a living object: what its deletion policy needs is put on before anything is written to Vault, and
// what the operator put on for a policy that is no more is taken away. A user's own is never taken from a living object.
// Whose a finalizer is stands in an annotation that comes and goes with it in one step. It needs no authentication:
// whoever may change annotations may change finalizers as well.
import { addedFinalizersAnnotation, type DeletionPolicy } from "../api/kinds.ts";
import type { MetadataEdit } from "../runtime/finalizer.ts";
import { type Finalizers, finalizerChange } from "../sync/deletion-policy.ts";

interface Metadata {
  readonly finalizers?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/** What is known of an object's finalizers. What the operator put on and somebody took off is nobody's. */
export function finalizersOf({ finalizers: present = [], annotations }: Metadata): Finalizers {
  const added = annotations?.[addedFinalizersAnnotation]?.split(",") ?? [];
  return { present, added: added.filter((finalizer) => present.includes(finalizer)) };
}

/** What a living object's policy asks to be changed of its finalizers; undefined: nothing. */
export function finalizerEdit(policy: DeletionPolicy | undefined, metadata: Metadata): MetadataEdit | undefined {
  const { present, added } = finalizersOf(metadata);
  const { add, remove } = finalizerChange(policy, { present, added });
  const withChange = (finalizers: readonly string[]): readonly string[] => [
    ...finalizers.filter((finalizer) => !remove.includes(finalizer)),
    ...(add === undefined ? [] : [add]),
  ];
  const { [addedFinalizersAnnotation]: before = "", ...annotations } = metadata.annotations ?? {};
  const ours = withChange(added).join(",");
  // Also where somebody took one of ours off: it would count as ours if they put it on again.
  if (add === undefined && remove.length === 0 && ours === before) return undefined;
  return {
    finalizers: withChange(present),
    annotations: ours === "" ? annotations : { ...annotations, [addedFinalizersAnnotation]: ours },
  };
}
