import fc from "fast-check";
import { expect, test } from "vitest";
import type { KMSVaultSecret } from "../api/kinds.ts";
import { assertHolder, canShare, claimKey } from "./claims.ts";
import type { Rival } from "./pass.ts";

interface Shape {
  readonly age: number;
  readonly keys?: readonly string[];
  readonly writeMode?: "Replace" | "Merge";
  readonly namespace?: string;
}

/** An object; `age` 0 is the oldest. */
function rival({ age, keys = ["k"], writeMode = "Replace", namespace = "team" }: Shape): Rival {
  const metadata: KMSVaultSecret["metadata"] = {
    name: `named-${age}`,
    namespace,
    uid: `uid-${age}`,
    generation: 1,
    creationTimestamp: new Date(Date.UTC(2026, 0, 1, 0, 0, age)).toISOString(),
  };
  return { secret: { metadata, spec: { path: "secret/x", writeMode } }, namespace: "", keys: new Set(keys) };
}

function holds(self: Rival, others: readonly Rival[]): boolean {
  try {
    assertHolder(self, others, "secret/x");
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: "PathConflict" });
    return false;
  }
}

const merge = (age: number, ...keys: string[]) => rival({ age, keys, writeMode: "Merge" });

test.each<[string, Rival, readonly Rival[], boolean]>([
  ["alone", rival({ age: 0 }), [], true],
  ["the older", rival({ age: 0 }), [rival({ age: 1 })], true],
  ["the younger", rival({ age: 1 }), [rival({ age: 0 })], false],
  ["merging beside other keys", merge(1, "b"), [merge(0, "a")], true],
  ["merging a key of an older one", merge(1, "a", "b"), [merge(0, "a")], false],
  ["merging into an older one's whole", merge(1, "b"), [rival({ age: 0 })], false],
  ["replacing what an older one merges into", rival({ age: 1 }), [merge(0, "a")], false],
  ["beside one that itself does not hold the place", merge(2, "c"), [merge(0, "a"), merge(1, "a", "c")], true],
])("%s: holds the place %#", (_, self, others, expected) => {
  expect(holds(self, others)).toBe(expected);
});

test("the other is named within its own namespace only", () => {
  const self = rival({ age: 1 });
  expect(() => assertHolder(self, [rival({ age: 0 })], "secret/x")).toThrow("KMSVaultSecret named-0");
  const stranger = rival({ age: 0, namespace: "secret-project" });
  expect(() => assertHolder(self, [stranger], "secret/x")).toThrow("an object in another namespace");
});

test("whoever they are: those who hold a place can share it, and everyone else has an older holder against them", () => {
  const shape = fc.record({
    keys: fc.uniqueArray(fc.constantFrom("a", "b", "c"), { minLength: 1 }),
    writeMode: fc.constantFrom("Replace" as const, "Merge" as const),
  });
  fc.assert(
    fc.property(fc.array(shape, { minLength: 1, maxLength: 6 }), (shapes) => {
      const all = shapes.map((one, age) => rival({ age, ...one }));
      const holders = all.filter((one) =>
        holds(
          one,
          all.filter((other) => other !== one),
        ),
      );
      expect(holders[0]).toBe(all[0]);
      for (const one of all) {
        const olderHolders = holders.filter((holder) => holder !== one && all.indexOf(holder) < all.indexOf(one));
        expect(holders.includes(one)).toBe(olderHolders.every((holder) => canShare(holder, one)));
      }
    }),
  );
});

test("data/ and slashes make no other claim", () => {
  expect(claimKey("/secret//data/team/x/")).toBe(claimKey("secret/team/x"));
});
