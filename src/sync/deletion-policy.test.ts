import fc from "fast-check";
import { expect, test } from "vitest";
import { deleteFinalizer, type DeletionPolicy, softDeleteFinalizer } from "../api/kinds.ts";
import { effectivePolicy, finalizerChange } from "./deletion-policy.ts";

const users = "example.com/users";

test.each<[DeletionPolicy | undefined, string[], string[], DeletionPolicy]>([
  [undefined, [], [], "Retain"],
  [undefined, [deleteFinalizer], [], "Destroy"],
  [undefined, [softDeleteFinalizer], [], "SoftDelete"],
  [undefined, [deleteFinalizer, softDeleteFinalizer], [], "Destroy"],
  // Put there for a policy that was taken away again: as if it had never been set.
  [undefined, [deleteFinalizer], [deleteFinalizer], "Retain"],
  [undefined, [softDeleteFinalizer], [softDeleteFinalizer], "Retain"],
  [undefined, [deleteFinalizer, softDeleteFinalizer], [softDeleteFinalizer], "Destroy"],
  // A set policy wins over a user's finalizer.
  ["Retain", [deleteFinalizer], [], "Retain"],
  ["SoftDelete", [deleteFinalizer], [], "SoftDelete"],
  ["Destroy", [softDeleteFinalizer], [softDeleteFinalizer], "Destroy"],
])("policy %s with finalizers %j of which %j are ours: %s", (set, present, added, expected) => {
  expect(effectivePolicy(set, { present, added })).toBe(expected);
});

test.each<[DeletionPolicy | undefined, string[], string[], string | undefined, string[]]>([
  [undefined, [], [], undefined, []],
  [undefined, [deleteFinalizer], [], undefined, []],
  [undefined, [deleteFinalizer, users], [deleteFinalizer], undefined, [deleteFinalizer]],
  ["Destroy", [users], [], deleteFinalizer, []],
  ["Destroy", [deleteFinalizer], [], undefined, []],
  ["SoftDelete", [deleteFinalizer], [deleteFinalizer], softDeleteFinalizer, [deleteFinalizer]],
  ["SoftDelete", [deleteFinalizer], [], softDeleteFinalizer, []],
  ["Retain", [deleteFinalizer, softDeleteFinalizer], [softDeleteFinalizer], undefined, [softDeleteFinalizer]],
])("policy %s with finalizers %j of which %j are ours: adds %s, removes %j", (set, present, added, add, remove) => {
  expect(finalizerChange(set, { present, added })).toEqual({ add, remove });
});

test("a user's finalizer is never taken away, and doing what is asked leaves nothing to do", () => {
  const finalizers = fc.subarray([deleteFinalizer, softDeleteFinalizer, users]);
  const policy = fc.constantFrom<DeletionPolicy | undefined>(undefined, "Retain", "SoftDelete", "Destroy");
  fc.assert(
    fc.property(policy, finalizers, fc.subarray([deleteFinalizer, softDeleteFinalizer]), (set, present, ours) => {
      const added = ours.filter((one) => present.includes(one));
      const { add, remove } = finalizerChange(set, { present, added });
      for (const one of remove) expect(added).toContain(one);
      const next = {
        present: [...present.filter((one) => !remove.includes(one)), ...(add === undefined ? [] : [add])],
        added: [...added.filter((one) => !remove.includes(one)), ...(add === undefined ? [] : [add])],
      };
      expect(finalizerChange(set, next)).toEqual({ add: undefined, remove: [] });
      expect(effectivePolicy(set, next)).toBe(effectivePolicy(set, { present, added }));
    }),
  );
});
