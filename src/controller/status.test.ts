import { describe, expect, test } from "vitest";
import type { Status } from "../api/kinds.ts";
import { OperatorError } from "../base/errors.ts";
import type { Failed, Synced } from "../sync/outcome.ts";
import type { Destination } from "../vault/kv/engine.ts";
import { blockedStatus, nextStatus } from "./status.ts";

const destination: Destination = { namespace: "", mount: "secret", engineVersion: "v2", path: "x" };
const revision = { version: 3, createdTime: "2026-01-01T00:00:00.000000001Z" };
const synced: Synced = { kind: "synced", destination, revision, keys: 2, remarks: [] };
const written = { destination, again: false };
const now = Date.parse("2026-05-05T05:05:05.555Z");
const record = { format: "v1", namespace: "", mount: "secret", path: "x", engineVersion: "v2" as const, mac: "m" };

function failed(code: "DecryptingError" | "VaultUnavailable", more: Partial<Failed> = {}): Failed {
  return { kind: "failed", error: new OperatorError(code, "why"), failedKeys: [], remarks: [], ...more };
}

function after(outcome: Synced | Failed, previous?: Status, time = now): Status {
  return nextStatus({ generation: 7, previous, outcome, record: undefined, now: time });
}

function ready(status: Status): unknown {
  return status.conditions?.find(({ type }) => type === "Ready");
}

test("the first write", () => {
  const status = nextStatus({
    generation: 7,
    includes: ["p"],
    previous: undefined,
    outcome: { ...synced, written },
    record,
    now,
  });
  expect(status).toEqual({
    created: true,
    observedGeneration: 7,
    conditions: [
      {
        type: "Ready",
        status: "True",
        reason: "Synced",
        message: "2 keys are in Vault",
        observedGeneration: 7,
        lastTransitionTime: "2026-05-05T05:05:05Z",
      },
    ],
    vault: { mount: "secret", path: "x", engineVersion: "v2", version: 3 },
    keys: { synced: 2 },
    lastSyncTime: "2026-05-05T05:05:05Z",
    includes: ["p"],
    record,
  });
});

test("in sync a second time, later: the status is the same, so nothing is patched", () => {
  const first = after({ ...synced, written });
  expect(after(synced, first, now + 3_600_000)).toEqual(first);
});

test("the same failure again: the status is the same", () => {
  const first = after(failed("VaultUnavailable"));
  expect(after(failed("VaultUnavailable"), first, now + 60_000)).toEqual(first);
});

describe("failures", () => {
  test("one that is tried again by itself is Reconciling too, a terminal one is not", () => {
    const backoff = after(failed("VaultUnavailable"));
    expect(backoff.conditions?.map(({ type }) => type)).toEqual(["Ready", "Reconciling"]);
    const terminal = after(failed("DecryptingError"), backoff);
    expect(terminal.conditions?.map(({ type }) => type)).toEqual(["Ready"]);
  });

  test("created, place, record and the time of the last write stay through a failure", () => {
    const before = nextStatus({ generation: 1, previous: undefined, outcome: { ...synced, written }, record, now });
    const status = after(failed("VaultUnavailable"), before, now + 60_000);
    expect(status).toMatchObject({
      created: true,
      lastSyncTime: "2026-05-05T05:05:05Z",
      record,
      vault: { version: 3 },
      keys: { synced: 2 },
    });
    expect(ready(status)).toMatchObject({ status: "False", reason: "VaultUnavailable", message: "why" });
  });

  test("failed keys are named, and gone from the status when they heal", () => {
    const partly = after(failed("DecryptingError", { failedKeys: ["bad"], keys: 1, written }));
    expect(partly.keys).toEqual({ synced: 1, failed: ["bad"] });
    expect(partly.created).toBe(true);
    expect(after(synced, partly).keys).toEqual({ synced: 2 });
  });

  test("before any write, created is false", () => {
    expect(after(failed("VaultUnavailable")).created).toBe(false);
  });
});

test("remarks stand in the message of Ready, which stays True", () => {
  const remark = { code: "DuplicateKey" as const, message: "key a stands in more than one place" };
  expect(ready(after({ ...synced, remarks: [remark] }))).toMatchObject({
    status: "True",
    reason: "Synced",
    message: "2 keys are in Vault; DuplicateKey: key a stands in more than one place",
  });
});

test("a message that would fill the object is cut", () => {
  const error = new OperatorError("DecryptingError", "x".repeat(100_000));
  const message = (ready(after({ ...failed("DecryptingError"), error })) as { message: string }).message;
  expect(message).toHaveLength(2_000);
});

test("a blocked deletion keeps the rest of the status, above all the record", () => {
  const before = nextStatus({ generation: 1, previous: undefined, outcome: { ...synced, written }, record, now });
  const blocked = blockedStatus(before, new OperatorError("VaultSealed", "why"), { generation: 2, now });
  expect(blocked).toMatchObject({ record, created: true });
  expect(blocked.conditions?.at(-1)).toMatchObject({ type: "DeletionBlocked", status: "True", reason: "VaultSealed" });
});
