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
  expect(outages.signOf(inSync, 0)).toBeUndefined();
  expect(outages.signOf(failed("VaultUnavailable", true), 1)).toBeUndefined();
  expect(outages.signOf(failed("VaultSealed", true), 2)).toBeUndefined();
  expect(outages.signOf(inSync, 3)).toBe("back");
  expect(outages.signOf(inSync, 4)).toBeUndefined();
});

test("an outage of KMS ends with a write, not with what needs no KMS", () => {
  const outages = new Outages();
  outages.signOf(failed("KMSUnavailable"), 0);
  expect(outages.signOf(inSync, 1)).toBeUndefined();
  expect(outages.signOf(written, 2)).toBe("back");
});

test("failures of an object's own are no outage", () => {
  const outages = new Outages();
  // A namespace that is not there, for one, is VaultUnavailable to its object alone.
  for (const code of ["VaultUnavailable", "VaultPermissionDenied", "DecryptingError"] as const) {
    outages.signOf(failed(code), 0);
  }
  expect(outages.signOf(written, 1)).toBeUndefined();
});

test("a server that comes and goes is believed once in half a minute", () => {
  const outages = new Outages();
  outages.signOf(failed("VaultUnavailable", true), 0);
  expect(outages.signOf(inSync, 1)).toBe("back");
  outages.signOf(failed("VaultUnavailable", true), 2);
  expect(outages.signOf(inSync, 3)).toBeUndefined();
  expect(outages.signOf(inSync, 30_001)).toBe("back");
});

test("what a throttling KMS lets through is a sign for the others, until long after", () => {
  const outages = new Outages();
  expect(outages.signOf(written, 0)).toBeUndefined();
  outages.signOf(failed("KMSThrottled"), 1);
  expect(outages.signOf(inSync, 2)).toBeUndefined();
  expect(outages.signOf(written, 3)).toBe("passed");
  expect(outages.signOf(written, 4)).toBe("passed");
  expect(outages.signOf(written, 300_002)).toBeUndefined();
});
