import { expect, test } from "vitest";
import { VaultCallError } from "./errors.ts";
import { parseRetryAfter, retryDelay } from "./request-retry.ts";

const failure = (executed: "no" | "maybe", transient = true, retryAfterMs?: number) =>
  new VaultCallError("VaultUnavailable", "x", { executed, transient, retryAfterMs });

test.each([
  ["a read that may have been executed", failure("maybe"), true, true],
  ["a write that may have been executed", failure("maybe"), false, false],
  ["a write that was not executed", failure("no"), false, true],
  ["what cannot help", failure("no", false), true, false],
  ["a server that asks for too long", failure("no", true, 60_000), true, false],
])("%s: %s", (_what, error, isRead, again) => {
  expect(retryDelay(error, 0, isRead) !== undefined).toBe(again);
});

test("Retry-After is a floor", () => {
  expect(retryDelay(failure("no", true, 5_000), 0, false)).toBe(5_000);
});

test.each([
  ["3", 3_000],
  ["Thu, 01 Jan 1970 00:00:10 GMT", 9_000],
  ["Thu, 01 Jan 1970 00:00:00 GMT", 0],
  ["soon", undefined],
  [undefined, undefined],
])("Retry-After %s is %s ms", (value, ms) => {
  expect(parseRetryAfter(value, 1_000)).toBe(ms);
});
