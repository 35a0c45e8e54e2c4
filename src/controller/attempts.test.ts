import { expect, test } from "vitest";
import { OperatorError } from "../base/errors.ts";
import { notTried } from "../sync/outcome.ts";
import { Attempts } from "./attempts.ts";

const failed = (code: "KMSAccessDenied" | "KMSThrottled") => notTried(new OperatorError(code, "it failed"));

test("what failed is news no more; something else is, and so is the same once it has worked", () => {
  const attempts = new Attempts();
  expect(attempts.isNew("uid", "one")).toBe(true);
  attempts.ended("uid", "one", failed("KMSAccessDenied"));
  expect(attempts.isNew("uid", "one")).toBe(false);
  expect(attempts.isNew("other", "one")).toBe(true);
  expect(attempts.isNew("uid", "two")).toBe(true);
  attempts.forget("uid");
  expect(attempts.isNew("uid", "one")).toBe(true);
});

test.each([
  ["what KMS had no time for", "one", failed("KMSThrottled")],
  ["what did not come to KMS", undefined, failed("KMSAccessDenied")],
  ["what was given up for something newer", "one", { kind: "superseded" } as const],
])("%s stays news", (_what, digest, outcome) => {
  const attempts = new Attempts();
  attempts.ended("uid", digest, outcome);
  expect(attempts.isNew("uid", "one")).toBe(true);
});
