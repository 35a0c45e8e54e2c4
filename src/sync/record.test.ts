import fc from "fast-check";
import { expect, test } from "vitest";
import { PlainValue } from "../base/plaintext.ts";
import type { Note } from "./record.ts";
import { RecordKeeper, sameDestination, sameRevision } from "./record.ts";

const key = Buffer.alloc(32, 7);
const keeper = new RecordKeeper(key, "cluster");
const note: Note = {
  destination: { namespace: "", mount: "secret", engineVersion: "v2", path: "x" },
  revision: { version: 3, createdTime: "2026-01-01T00:00:00.000000001Z" },
  digest: "v1:digest",
  fingerprint: "fingerprint",
  former: [
    {
      destination: { namespace: "ns", mount: "kv", engineVersion: "v1", path: "old" },
      fingerprint: "older",
      keys: ["a", "b"],
      adopted: ["a"],
    },
  ],
};

test("a sealed note opens as it was", () => {
  expect(keeper.open(keeper.seal(note, "uid"), "uid")).toEqual(note);
  const bare: Note = { destination: { ...note.destination, engineVersion: "v1" } };
  expect(keeper.open(keeper.seal(bare, "uid"), "uid")).toEqual(bare);
});

test("any changed field, another object, cluster or key makes it no record", () => {
  const sealed = keeper.seal(note, "uid");
  const changes = fc.record(
    {
      namespace: fc.string(),
      mount: fc.string(),
      path: fc.string(),
      engineVersion: fc.constantFrom("v1" as const, "v2" as const),
      version: fc.nat(),
      versionCreatedTime: fc.string(),
      digest: fc.string(),
      fingerprint: fc.string(),
      keys: fc.array(fc.string()),
      adopted: fc.array(fc.string()),
      former: fc.array(
        fc.record({
          namespace: fc.string(),
          mount: fc.string(),
          path: fc.string(),
          engineVersion: fc.constantFrom("v1" as const, "v2" as const),
        }),
      ),
      mac: fc.string(),
      format: fc.string(),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(changes, (change) => {
      const forged = { ...sealed, ...change };
      fc.pre(JSON.stringify(forged) !== JSON.stringify(sealed));
      expect(keeper.open(forged, "uid")).toBeUndefined();
    }),
  );
  expect(keeper.open(sealed, "another uid")).toBeUndefined();
  expect(new RecordKeeper(key, "another cluster").open(sealed, "uid")).toBeUndefined();
  expect(new RecordKeeper(Buffer.alloc(32, 8), "cluster").open(sealed, "uid")).toBeUndefined();
  expect(keeper.open(undefined, "uid")).toBeUndefined();
});

test("a fingerprint tells data apart, and is bound to the object and the place", () => {
  const data = new Map([
    ["a", new PlainValue("1")],
    ["b", new PlainValue("2")],
  ]);
  const print = keeper.fingerprint(data, note.destination, "uid");
  expect(keeper.fingerprint(new Map([...data].toReversed()), note.destination, "uid")).toBe(print);
  expect(keeper.fingerprint(new Map([["a", new PlainValue("12")]]), note.destination, "uid")).not.toBe(print);
  expect(keeper.fingerprint(data, { ...note.destination, path: "y" }, "uid")).not.toBe(print);
  expect(keeper.fingerprint(data, note.destination, "another")).not.toBe(print);
});

test("a wiped and rewritten path has the same version number but is another revision", () => {
  const one = { version: 1, createdTime: "2026-01-01T00:00:00.1Z" };
  expect(sameRevision(one, { ...one })).toBe(true);
  expect(sameRevision(one, { ...one, createdTime: "2026-01-01T00:00:00.2Z" })).toBe(false);
  expect(sameRevision(one, undefined)).toBe(false);
});

test.each([
  [
    "a mount that was guessed and is known now",
    { mount: "secret", path: "team/x" },
    { mount: "secret/team", path: "x" },
  ],
  ["an engine upgraded in place", { engineVersion: "v1" as const }, { engineVersion: "v2" as const }],
])("%s is the same place", (_, one, other) => {
  expect(sameDestination({ ...note.destination, ...one }, { ...note.destination, ...other })).toBe(true);
});

test("another namespace, mount or path is another place", () => {
  for (const change of [{ namespace: "ns" }, { mount: "other" }, { path: "y" }]) {
    expect(sameDestination(note.destination, { ...note.destination, ...change })).toBe(false);
  }
});
