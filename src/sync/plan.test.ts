import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OperatorError } from "../base/errors.ts";
import { PlainValue, samePlainMap } from "../base/plaintext.ts";
import type { Observed } from "../vault/kv/engine.ts";
import { type PlanInput, plan } from "./plan.ts";

const revision = { version: 4, createdTime: "2026-01-01T00:00:00Z" };

function values(map: Record<string, string>): Map<string, PlainValue> {
  return new Map(Object.entries(map).map(([key, value]) => [key, new PlainValue(value)]));
}

function failures(...keys: string[]): PlanInput["decrypted"]["failures"] {
  return keys.map((key) => ({ key, error: new OperatorError("DecryptingError", "no") }));
}

function present(map: Record<string, string>): Observed {
  return { state: "present", revision, data: values(map) };
}

function planOf(input: Partial<PlanInput> & Pick<PlanInput, "observed" | "decrypted">): unknown {
  const result = plan({
    onDecryptError: "Keep",
    mayOverwrite: true,
    mode: "Replace",
    ownKeys: new Set(),
    writtenKeys: new Set(),
    where: "secret/data/x",
    ...input,
  });
  if (!("data" in result)) return result;
  return { ...result, data: Object.fromEntries([...result.data].map(([key, value]) => [key, value.open()])) };
}

const wholly = (map: Record<string, string>) => ({ values: values(map), failures: [] });

describe("all entries decrypted", () => {
  test("nothing there: created with CAS 0", () => {
    expect(planOf({ observed: { state: "absent" }, decrypted: wholly({ a: "1" }) })).toEqual({
      kind: "create",
      data: { a: "1" },
      changed: ["a"],
      cas: 0,
    });
  });

  test("equal data is never written", () => {
    expect(planOf({ observed: present({ a: "1" }), decrypted: wholly({ a: "1" }) })).toMatchObject({ kind: "noop" });
    expect(planOf({ observed: present({ a: "1" }), decrypted: wholly({ a: "1" }), mayOverwrite: false })).toMatchObject(
      { kind: "noop" },
    );
  });

  test("other data is replaced, with the names of what changed, and CAS on the version seen", () => {
    const observed = present({ same: "1", other: "1", gone: "1" });
    expect(planOf({ observed, decrypted: wholly({ same: "1", other: "2", fresh: "1" }) })).toEqual({
      kind: "update",
      data: { same: "1", other: "2", fresh: "1" },
      changed: ["other", "fresh", "gone"],
      cas: 4,
    });
  });

  test("a deleted version is written anew on top of it", () => {
    expect(planOf({ observed: { state: "deleted", revision }, decrypted: wholly({ a: "1" }) })).toMatchObject({
      kind: "update",
      cas: 4,
    });
  });

  test("foreign data that differs is not overwritten", () => {
    const observed = present({ a: "theirs" });
    expect(planOf({ observed, decrypted: wholly({ a: "ours" }), mayOverwrite: false })).toMatchObject({
      kind: "conflict",
      error: expect.objectContaining({ code: "AdoptionRequired" }),
    });
  });

  test("casIndex: written with that version even when the data is equal", () => {
    expect(planOf({ observed: present({ a: "1" }), decrypted: wholly({ a: "1" }), casIndex: 4 })).toMatchObject({
      kind: "update",
      cas: 4,
    });
  });

  test("a KV v1 path that may not be read is written as the original did", () => {
    const observed: Observed = { state: "unreadable", missingCapability: "read" };
    expect(planOf({ observed, decrypted: wholly({ a: "1" }) })).toEqual({ kind: "update", data: { a: "1" } });
  });
});

describe("an entry failed", () => {
  const decrypted = { values: values({ good: "2" }), failures: failures("bad") };

  test("Keep: the failed key keeps Vault's value and no other key goes", () => {
    const observed = present({ good: "1", bad: "kept", leftTheSpec: "kept too" });
    expect(planOf({ observed, decrypted })).toEqual({
      kind: "update",
      data: { good: "2", bad: "kept", leftTheSpec: "kept too" },
      changed: ["good"],
      cas: 4,
    });
  });

  test("Keep: across a move the failed key is carried over from the old location", () => {
    const formerly = values({ good: "1", bad: "kept", leftTheSpec: "not carried" });
    expect(planOf({ observed: { state: "absent" }, decrypted, formerly })).toMatchObject({
      data: { good: "2", bad: "kept" },
    });
    expect(planOf({ observed: { state: "absent" }, decrypted, formerly: "unreadable" })).toEqual({ kind: "nothing" });
  });

  test("Keep: what may not be read cannot be kept, so nothing is written", () => {
    const observed: Observed = { state: "unreadable", missingCapability: "read" };
    expect(planOf({ observed, decrypted })).toEqual({ kind: "nothing" });
  });

  test("Keep with casIndex writes nothing", () => {
    expect(planOf({ observed: present({ bad: "kept" }), decrypted, casIndex: 4 })).toEqual({ kind: "nothing" });
  });

  test("Skip: the failed key vanishes, as the original did", () => {
    expect(planOf({ observed: present({ bad: "gone" }), decrypted, onDecryptError: "Skip" })).toMatchObject({
      data: { good: "2" },
    });
  });

  test("Fail: nothing is written", () => {
    expect(planOf({ observed: { state: "absent" }, decrypted, onDecryptError: "Fail" })).toEqual({ kind: "nothing" });
  });

  test("foreign data is not touched", () => {
    expect(planOf({ observed: present({ x: "theirs" }), decrypted, mayOverwrite: false })).toEqual({ kind: "nothing" });
  });
});

const keys = fc.constantFrom<string[]>("a", "b", "c", "d");
const data = fc.dictionary(keys, fc.constantFrom("1", "2"));

test("whatever is there and whatever fails: with Keep no key of Vault is ever lost", () => {
  fc.assert(
    fc.property(data, data, fc.uniqueArray(keys, { minLength: 1 }), (existing, decrypted, failing) => {
      const good = values(Object.fromEntries(Object.entries(decrypted).filter(([key]) => !failing.includes(key))));
      const result = plan({
        observed: present(existing),
        decrypted: { values: good, failures: failures(...failing) },
        onDecryptError: "Keep",
        mayOverwrite: true,
        mode: "Replace",
        ownKeys: new Set(),
        writtenKeys: new Set(),
        where: "x",
      });
      if (!("data" in result)) return;
      for (const key of Object.keys(existing)) expect(result.data.has(key)).toBe(true);
      for (const key of failing) expect(result.data.get(key)?.open()).toBe(existing[key]);
    }),
  );
});

test("no plan ever writes an empty map, or what is there already", () => {
  const observed = fc.oneof(
    fc.constant<Observed>({ state: "absent" }),
    fc.constant<Observed>({ state: "deleted", revision }),
    data.map(present),
  );
  const onDecryptError = fc.constantFrom("Keep" as const, "Skip" as const, "Fail" as const);
  fc.assert(
    fc.property(observed, data, fc.uniqueArray(keys), onDecryptError, (seen, decrypted, failing, mode) => {
      const result = plan({
        observed: seen,
        decrypted: { values: values(decrypted), failures: failures(...failing) },
        onDecryptError: mode,
        mayOverwrite: true,
        mode: "Replace",
        ownKeys: new Set(),
        writtenKeys: new Set(),
        where: "x",
      });
      if (result.kind !== "create" && result.kind !== "update") return;
      expect(result.data.size).toBeGreaterThan(0);
      if (seen.state === "present" && seen.data) expect(samePlainMap(result.data, seen.data)).toBe(false);
    }),
  );
});
