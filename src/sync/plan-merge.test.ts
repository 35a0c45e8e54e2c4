// What `writeMode: Merge` does and never does to a secret that others write to as well.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OperatorError } from "../base/errors.ts";
import { PlainValue } from "../base/plaintext.ts";
import type { Observed } from "../vault/kv/engine.ts";
import { type OnDecryptError, type PlanInput, plan } from "./plan.ts";

const revision = { version: 4, createdTime: "2026-01-01T00:00:00Z" };
type Values = Readonly<Record<string, string>>;

function valuesOf(map: Values): Map<string, PlainValue> {
  return new Map(Object.entries(map).map(([key, value]) => [key, new PlainValue(value)]));
}

interface Case extends Partial<Pick<PlanInput, "mayOverwrite" | "onDecryptError" | "formerly">> {
  /** What stands there; absent: nothing. */
  readonly there?: Values;
  readonly values: Values;
  readonly failing?: readonly string[];
  /** Keys that are the object's, those that it wrote itself. */
  readonly own?: readonly string[];
  /** Those that it found with the same value. */
  readonly adopted?: readonly string[];
}

function planOf({ there, values, failing = [], own = [], adopted = [], ...rest }: Case) {
  const observed: Observed =
    there === undefined ? { state: "absent" } : { state: "present", revision, data: valuesOf(there) };
  const failures = failing.map((key) => ({ key, error: new OperatorError("DecryptingError", "no") }));
  const result = plan({
    observed,
    decrypted: { values: valuesOf(values), failures },
    onDecryptError: "Keep",
    mode: "Merge",
    mayOverwrite: false,
    ownKeys: new Set([...own, ...adopted]),
    writtenKeys: new Set(own),
    where: "secret/data/x",
    ...rest,
  });
  if (!("data" in result)) return result;
  return { ...result, data: Object.fromEntries([...result.data].map(([key, value]) => [key, value.open()])) };
}

describe("a merge", () => {
  test("into nothing writes its keys", () => {
    expect(planOf({ values: { a: "1" } })).toMatchObject({ kind: "create", data: { a: "1" }, cas: 0 });
  });

  test("beside others' keys leaves them", () => {
    const next = planOf({ there: { theirs: "x" }, values: { a: "1" } });
    expect(next).toMatchObject({ kind: "update", data: { theirs: "x", a: "1" }, changed: ["a"], cas: 4 });
  });

  test("of a key that is there with another value and is not ours needs to be asked for", () => {
    const next = planOf({ there: { a: "x" }, values: { a: "1" } });
    expect(next).toMatchObject({ kind: "conflict", error: { code: "AdoptionRequired" } });
    expect(planOf({ there: { a: "x" }, values: { a: "1" }, mayOverwrite: true })).toMatchObject({ data: { a: "1" } });
    expect(planOf({ there: { a: "x" }, values: { a: "1" }, own: ["a"] })).toMatchObject({ data: { a: "1" } });
  });

  test("of equal keys writes nothing", () => {
    expect(planOf({ there: { a: "1", theirs: "x" }, values: { a: "1" } })).toMatchObject({ kind: "noop" });
  });

  test("takes away a key that it wrote and that is no entry's any more", () => {
    const next = planOf({ there: { a: "1", old: "1", theirs: "x" }, values: { a: "1" }, own: ["a", "old"] });
    expect(next).toMatchObject({ kind: "update", data: { a: "1", theirs: "x" }, changed: ["old"] });
  });

  test("leaves a key that it only found with the same value, and may change it", () => {
    expect(planOf({ there: { a: "1", found: "x" }, values: { a: "1" }, own: ["a"], adopted: ["found"] })).toMatchObject(
      {
        kind: "noop",
      },
    );
    expect(planOf({ there: { found: "x" }, values: { found: "y" }, adopted: ["found"] })).toMatchObject({
      kind: "update",
      data: { found: "y" },
    });
  });

  test("takes nothing away while an entry fails, and writes nothing with Fail", () => {
    const failing = { there: { a: "1", old: "1" }, values: { a: "2" }, failing: ["f"], own: ["a", "old"] };
    expect(planOf(failing)).toMatchObject({ data: { a: "2", old: "1" } });
    expect(planOf({ ...failing, onDecryptError: "Fail" })).toEqual({ kind: "nothing" });
    expect(planOf({ ...failing, onDecryptError: "Skip" })).toMatchObject({ data: { a: "2" } });
  });

  test("carries a failing key over from where the object was before", () => {
    const formerly = valuesOf({ f: "old", other: "x" });
    expect(planOf({ values: { a: "1" }, failing: ["f"], formerly })).toMatchObject({ data: { a: "1", f: "old" } });
  });
});

test("whatever is there and whatever fails: nobody else's key is ever lost or changed", () => {
  const key = fc.constantFrom<string[]>("a", "b", "c", "d");
  const data = fc.dictionary(key, fc.constantFrom("1", "2"), { noNullPrototype: true });
  const policy = fc.constantFrom<OnDecryptError>("Keep", "Skip", "Fail");
  fc.assert(
    fc.property(data, data, fc.uniqueArray(key), fc.uniqueArray(key), policy, (there, all, failing, own, onError) => {
      const values = Object.fromEntries(Object.entries(all).filter(([name]) => !failing.includes(name)));
      const next = planOf({ there, values, failing, own, onDecryptError: onError });
      if (!("data" in next)) return;
      for (const [name, value] of Object.entries(there)) {
        if (!own.includes(name)) expect(next.data[name]).toBe(value);
        if (failing.includes(name) && onError === "Keep") expect(next.data[name]).toBe(value);
      }
      for (const [name, value] of Object.entries(values)) expect(next.data[name]).toBe(value);
    }),
  );
});
