import { expect, test } from "vitest";
import { type ErrorCode, OperatorError } from "../base/errors.ts";
import type { Outcome } from "../sync/outcome.ts";
import { Outages } from "./outages.ts";

const destination = { namespace: "", mount: "kv", path: "x", engineVersion: "v2" } as const;
const inSync: Outcome = { kind: "synced", destination, keys: 1, remarks: [] };
const written: Outcome = { ...inSync, written: { destination, again: false } };
const failed = (code: ErrorCode, isOutage = false): Outcome => ({
  kind: "failed",
  error: new OperatorError(code, "x", { isOutage }),
  failedKeys: [],
  remarks: [],
});

test("the first success after an outage of Vault ends it, once", () => {
  const outages = new Outages();
  expect(outages.isOver(inSync, 0)).toBe(false);
  expect(outages.isOver(failed("VaultUnavailable", true), 1)).toBe(false);
  expect(outages.isOver(failed("VaultSealed", true), 2)).toBe(false);
  expect(outages.isOver(inSync, 3)).toBe(true);
  expect(outages.isOver(inSync, 4)).toBe(false);
});

test("an outage of KMS ends with a write, not with what needs no KMS", () => {
  const outages = new Outages();
  outages.isOver(failed("KMSUnavailable"), 0);
  expect(outages.isOver(inSync, 1)).toBe(false);
  expect(outages.isOver(written, 2)).toBe(true);
});

test("failures of an object's own are no outage", () => {
  const outages = new Outages();
  // A namespace that is not there, for one, is VaultUnavailable to its object alone.
  for (const code of ["VaultUnavailable", "VaultPermissionDenied", "DecryptingError", "KMSThrottled"] as const) {
    outages.isOver(failed(code), 0);
  }
  expect(outages.isOver(written, 1)).toBe(false);
});

test("a server that comes and goes is believed once in half a minute", () => {
  const outages = new Outages();
  outages.isOver(failed("VaultUnavailable", true), 0);
  expect(outages.isOver(inSync, 1)).toBe(true);
  outages.isOver(failed("VaultUnavailable", true), 2);
  expect(outages.isOver(inSync, 3)).toBe(false);
  expect(outages.isOver(inSync, 30_001)).toBe(true);
});
