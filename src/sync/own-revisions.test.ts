import { expect, test } from "vitest";
import type { Destination } from "../vault/kv/engine.ts";
import { OwnRevisions } from "./own-revisions.ts";

const destination: Destination = { namespace: "", mount: "kv", engineVersion: "v2", path: "x" };
const revision = { version: 2, createdTime: "2026-01-01T00:00:00Z" };

test("the latest version that was noted is ours, an earlier, a later or a rewritten one is not", () => {
  const own = new OwnRevisions(() => []);
  expect(own.has(destination, revision)).toBe(false);
  own.add({ destination, revision: { ...revision, version: 1 }, fingerprint: "f" });
  own.add({ destination, revision, fingerprint: "f" });
  expect(own.has({ ...destination }, { ...revision })).toBe(true);
  expect(own.has(destination, { ...revision, version: 1 })).toBe(false);
  expect(own.has(destination, { ...revision, version: 3 })).toBe(false);
  expect(own.has(destination, { ...revision, createdTime: "2026-01-01T00:00:01Z" })).toBe(false);
  expect(own.has({ ...destination, path: "y" }, revision)).toBe(false);
  expect(own.has(destination, undefined)).toBe(false);
  own.add({ destination, revision: { version: 5, createdTime: "2025-12-31T23:59:59Z" }, fingerprint: "f" });
  expect(own.has(destination, revision)).toBe(true);
});

test("a version that was only noted for its number is nobody's word", () => {
  const own = new OwnRevisions(() => []);
  own.add({ destination, revision });
  expect(own.has(destination, revision)).toBe(false);
});
