import { expect, test } from "vitest";
import { addedFinalizersAnnotation, deleteFinalizer, type DeletionPolicy, softDeleteFinalizer } from "../api/kinds.ts";
import { finalizerEdit, finalizersOf } from "./finalizers.ts";

const users = "example.com/users";

function metadata(finalizers: readonly string[], added?: string) {
  return {
    finalizers,
    annotations: { note: "mine", ...(added !== undefined && { [addedFinalizersAnnotation]: added }) },
  };
}

test.each<[string, DeletionPolicy | undefined, ReturnType<typeof metadata>, ReturnType<typeof metadata> | undefined]>([
  ["nothing to do", undefined, metadata([users]), undefined],
  ["nothing to do, a user's own", undefined, metadata([deleteFinalizer]), undefined],
  ["set", "Destroy", metadata([users]), metadata([users, deleteFinalizer], deleteFinalizer)],
  ["set, and there already from the user", "Destroy", metadata([deleteFinalizer]), undefined],
  ["set, and done", "Destroy", metadata([deleteFinalizer], deleteFinalizer), undefined],
  ["unset", undefined, metadata([users, deleteFinalizer], deleteFinalizer), metadata([users])],
  [
    "changed",
    "SoftDelete",
    metadata([deleteFinalizer], deleteFinalizer),
    metadata([softDeleteFinalizer], softDeleteFinalizer),
  ],
  ["taken off by somebody, policy unset", undefined, metadata([users], deleteFinalizer), metadata([users])],
  ["taken off by somebody", "Destroy", metadata([], deleteFinalizer), metadata([deleteFinalizer], deleteFinalizer)],
])("%s", (_, policy, before, after) => {
  expect(finalizerEdit(policy, before)).toEqual(after);
});

test("an object without lists has none", () => {
  expect(finalizersOf({})).toEqual({ present: [], added: [] });
  expect(finalizerEdit("Destroy", {})).toEqual({
    finalizers: [deleteFinalizer],
    annotations: { [addedFinalizersAnnotation]: deleteFinalizer },
  });
});
