import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { markChange, type Self, standing, unmarkChange, type WriteMode } from "./ownership.ts";

const self: Self = { uid: "0a1b2c3d-0000-4000-8000-000000000001", owner: "team/app", cluster: "c1" };
const mark = (changes: Record<string, string> = {}) => ({
  "managed-by": "kms-vault-operator",
  owner: self.owner,
  uid: self.uid,
  cluster: self.cluster,
  ...changes,
});
const mergeMark = { "merge-0a1b2c3d": "team/app" };

/** What a merge patch makes of a map. */
function patched(custom: Record<string, string>, change: Readonly<Record<string, string | null>>) {
  const after = Object.entries({ ...custom, ...change }).filter(([, value]) => value !== null);
  return Object.fromEntries(after) as Record<string, string>;
}

describe("whose a secret is", () => {
  test.each<[string, Record<string, string>, WriteMode, string]>([
    ["no mark", {}, "Replace", "unmarked"],
    ["the user's own keys", { owner: "someone", uid: self.uid }, "Replace", "unmarked"],
    ["another manager's", mark({ "managed-by": "terraform" }), "Replace", "unmarked"],
    ["ours", mark(), "Replace", "ours"],
    ["this object made anew", mark({ uid: "other" }), "Replace", "neighbours"],
    ["another object of this cluster", mark({ uid: "other", owner: "team/other" }), "Replace", "neighbours"],
    ["another cluster's of that very name", mark({ cluster: "c2" }), "Replace", "foreign"],
    ["of the whole, seen by one that merges", mark(), "Merge", "neighbours"],
    ["of its keys", mergeMark, "Merge", "ours"],
    [
      "of its keys, under another cluster's of the whole",
      { ...mark({ cluster: "c2" }), ...mergeMark },
      "Merge",
      "foreign",
    ],
    ["of another's keys", { "merge-ffffffff": "team/other" }, "Merge", "unmarked"],
    ["another cluster's of the whole", mark({ cluster: "c2" }), "Merge", "foreign"],
    ["of its keys, seen when it no longer merges", mergeMark, "Replace", "unmarked"],
  ])("%s", (_, custom, mode, expected) => {
    expect(standing(custom, self, mode)).toBe(expected);
  });
});

test("marking makes it ours, is then done, and never touches the user's keys", () => {
  const users = fc.dictionary(fc.constantFrom("note", "team", "merge-me", "uid2"), fc.string(), {
    noNullPrototype: true,
  });
  const marks = fc.constantFrom({}, mark(), mark({ uid: "other" }), mark({ cluster: "c2" }), mergeMark, {
    ...mark(),
    ...mergeMark,
  });
  const mode = fc.constantFrom<WriteMode>("Replace", "Merge");
  fc.assert(
    fc.property(users, marks, mode, (own, before, as) => {
      const custom = { ...own, ...before };
      const after = patched(custom, markChange(custom, self, as));
      expect(standing(after, self, as)).toBe("ours");
      expect(markChange(after, self, as)).toEqual({});
      for (const [key, value] of Object.entries(own)) expect(after[key]).toBe(value);
    }),
  );
});

test("an object that begins to merge, or no longer does, leaves only one mark", () => {
  expect(patched(mark(), markChange(mark(), self, "Merge"))).toEqual(mergeMark);
  expect(patched(mergeMark, markChange(mergeMark, self, "Replace"))).toEqual(mark());
});

test("without a cluster there is no mark, and another's mark under the same name may be another cluster's", () => {
  const custom = { "merge-ffffffff": "team/app" };
  expect(patched(custom, markChange(custom, self, "Merge"))).toEqual({ ...mergeMark, ...custom });
  expect(markChange({}, { ...self, cluster: "" }, "Replace")).toEqual({});
});

test("leaving takes only the object's own keys' mark", () => {
  const custom = { ...mergeMark, "merge-ffffffff": "team/other", note: "mine" };
  expect(unmarkChange(custom, self)).toEqual({ "merge-0a1b2c3d": null });
  expect(unmarkChange({ note: "mine" }, self)).toEqual({});
});
