import { expect, test } from "vitest";
import type { Destination } from "../vault/kv/engine.ts";
import { OwnRevisions } from "./own-revisions.ts";

const destination: Destination = { namespace: "", mount: "kv", engineVersion: "v2", path: "x" };
const revision = { version: 2, createdTime: "2026-01-01T00:00:00Z" };

test("the latest version that was noted is ours, an earlier, a later or a rewritten one is not", () => {
  const own = new OwnRevisions(() => []);
  expect(own.has(destination, revision)).toBe(false);
  own.add({ destination, revision: { ...revision, version: 1 }, fingerprint: "f" }, "uid");
  own.add({ destination, revision, fingerprint: "f" }, "uid");
  expect(own.has({ ...destination }, { ...revision })).toBe(true);
  expect(own.has(destination, { ...revision, version: 1 })).toBe(false);
  expect(own.has(destination, { ...revision, version: 3 })).toBe(false);
  expect(own.has(destination, { ...revision, createdTime: "2026-01-01T00:00:01Z" })).toBe(false);
  expect(own.has({ ...destination, path: "y" }, revision)).toBe(false);
  expect(own.has(destination, undefined)).toBe(false);
  own.add({ destination, revision: { version: 5, createdTime: "2025-12-31T23:59:59Z" }, fingerprint: "f" }, "uid");
  expect(own.has(destination, revision)).toBe(true);
});

test("a version that was only noted for its number is nobody's word", () => {
  const own = new OwnRevisions(() => []);
  own.add({ destination, revision }, "uid");
  expect(own.has(destination, revision)).toBe(false);
});

test("what a failed write was to write is known until another one fails there", () => {
  const own = new OwnRevisions(() => []);
  expect(own.wasAttempted(destination, "f")).toBe(false);
  own.attempted(destination, "f");
  expect(own.wasAttempted({ ...destination }, "f")).toBe(true);
  expect(own.wasAttempted(destination, "g")).toBe(false);
  expect(own.wasAttempted({ ...destination, path: "y" }, "f")).toBe(false);
  own.attempted(destination, "g");
  expect(own.wasAttempted(destination, "f")).toBe(false);
});

test("the records of all objects are read when it first matters, and again after a take-over", () => {
  let read = 0;
  const own = new OwnRevisions(() => {
    read += 1;
    return [{ uid: "uid", place: { destination, revision, fingerprint: "f" } }];
  });
  expect(read).toBe(0);
  expect(own.has(destination, revision)).toBe(true);
  expect(own.has(destination, revision)).toBe(true);
  expect(read).toBe(1);
  own.renew();
  expect(own.has(destination, revision)).toBe(true);
  expect(read).toBe(2);
});

test("what objects have merged into a secret is known, and makes no version ours", () => {
  const own = new OwnRevisions(() => []);
  own.add({ destination, revision, fingerprint: "f", keys: ["a"] }, "one");
  own.add({ destination, revision, fingerprint: "g", keys: ["b"] }, "two");
  own.add({ destination, revision, fingerprint: "h", keys: ["a", "c"] }, "one");
  own.add({ destination, revision, fingerprint: "h", keys: ["a", "c"] }, "one");
  expect(own.mergedInto({ ...destination })).toEqual([
    { uid: "one", keys: ["a"], fingerprint: "f" },
    { uid: "two", keys: ["b"], fingerprint: "g" },
    { uid: "one", keys: ["a", "c"], fingerprint: "h" },
  ]);
  expect(own.mergedInto({ ...destination, path: "y" })).toEqual([]);
  expect(own.has(destination, revision)).toBe(false);
});
