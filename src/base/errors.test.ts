import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { asOperatorError, errorCodes, OperatorError } from "./errors.ts";

const page = readFileSync(new URL("../../docs/reference/errors.md", import.meta.url), "utf8");
const sections = new Map(
  page
    .split("\n## ")
    .slice(1)
    .map((section) => [section.slice(0, section.indexOf("\n")), section]),
);

test("every code has one section of the errors page, and no section is without a code", () => {
  expect([...sections.keys()].toSorted()).toEqual(Object.keys(errorCodes).toSorted());
});

test.each(Object.entries(errorCodes))("the page says of %s how it is followed up (%s)", (code, retry) => {
  if (code === "DuplicateKey") return;
  expect(sections.get(code)).toContain(retry === "backoff" ? "Tried again by itself" : "Waits");
});

test("what is no OperatorError becomes one, without its text, which may hold anything", () => {
  const error = asOperatorError(new TypeError("canary"));
  expect(error.code).toBe("InternalError");
  expect(error.message).not.toContain("canary");
  expect(error.cause).toBeInstanceOf(TypeError);
  const known = new OperatorError("CASConflict", "x");
  expect(asOperatorError(known)).toBe(known);
});
