import { expect, test } from "vitest";
import * as gen from "../../test/gen/secrets.ts";
import type { Status } from "../api/kinds.ts";
import { OperatorError } from "../base/errors.ts";
import type { Failed, Outcome, Synced } from "../sync/outcome.ts";
import type { Destination } from "../vault/kv/engine.ts";
import { noticesOf } from "./notices.ts";
import { nextStatus } from "./status.ts";

const secret = gen.secret("s", { path: "secret/data/x" });
const destination: Destination = { namespace: "", mount: "secret", engineVersion: "v2", path: "x" };
const synced: Synced = { kind: "synced", destination, keys: 1, remarks: [] };
const written = { destination, again: false };

function failed(code: "DecodingError" | "DecryptingError" | "VaultSealed", failedKeys: string[] = []): Failed {
  return { kind: "failed", error: new OperatorError(code, "why"), failedKeys, remarks: [] };
}

function status(outcome: Outcome, previous?: Status): Status {
  return nextStatus({ generation: 1, previous, outcome, record: undefined, now: 0 });
}

function notices(outcome: Outcome, previous?: Status): unknown {
  return noticesOf(secret, outcome, { previous, next: status(outcome, previous) });
}

test("every write is told, in the words of the contract", () => {
  const told = [{ type: "Normal", reason: "SecretCreated", message: "Wrote secret s to secret/data/x" }];
  expect(notices({ ...synced, written })).toEqual(told);
  expect(notices({ ...synced, written }, status(synced))).toEqual(told);
});

test("in sync is not told, nor is a blind rewrite of the same", () => {
  expect(notices(synced)).toEqual([]);
  expect(notices({ ...synced, written: { ...written, again: true } }, status(synced))).toEqual([]);
});

test.each([
  [failed("DecodingError", ["a"]), "DecodingError", "Error decoding key a"],
  [failed("DecryptingError", ["a"]), "DecryptingError", "Error decrypting key a"],
  [failed("DecryptingError", ["a", "b"]), "DecryptingError", "Error decrypting key a (and 1 more: b)"],
  [failed("VaultSealed"), "VaultSealed", "why"],
])("a failure is told once: %#", (outcome, reason, message) => {
  expect(notices(outcome)).toEqual([{ type: "Warning", reason, message }]);
  expect(notices(outcome, status(outcome))).toEqual([]);
});

test("a remark is told once, beside the write", () => {
  const outcome: Synced = { ...synced, written, remarks: [{ code: "DuplicateKey", message: "key a twice" }] };
  expect(notices(outcome)).toMatchObject([{ reason: "SecretCreated" }, { reason: "DuplicateKey", type: "Warning" }]);
  expect(notices({ ...outcome, written }, status(outcome))).toMatchObject([{ reason: "SecretCreated" }]);
});

test("a change of path names what was left behind", () => {
  const old = { ...destination, path: "old" };
  const left: Synced["left"] = [{ destination: old, fate: { kind: "kept" } }];
  expect(notices({ ...synced, written, left })).toMatchObject([
    { message: "Wrote secret s to secret/data/x; secret/data/old was left in place" },
  ]);
  expect(notices({ ...synced, left })).toMatchObject([{ message: "secret/data/old was left in place" }]);
  expect(notices({ ...synced, left: [{ destination: old, fate: { kind: "removed", destination: old } }] })).toEqual([
    { type: "Normal", reason: "SecretRemoved", message: "Removed secret/data/old, where the object was before" },
  ]);
});
