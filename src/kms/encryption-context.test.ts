import * as fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson, contextDifference } from "./encryption-context.ts";

const contexts = fc.dictionary(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }));

test("the text of a context is JSON, whatever the order of its pairs", () => {
  fc.assert(
    fc.property(contexts, (context) => {
      const reversed = Object.fromEntries(Object.entries(context).toReversed());
      expect(canonicalJson(reversed)).toBe(canonicalJson(context));
      expect(JSON.parse(canonicalJson(context))).toEqual({ ...context });
    }),
  );
  expect(canonicalJson({ env: "prod", app: "shop" })).toBe('{"app":"shop","env":"prod"}');
});

test("contexts are different when their texts are", () => {
  fc.assert(
    fc.property(contexts, contexts, (one, other) => {
      expect(contextDifference(one, other) === undefined).toBe(canonicalJson(one) === canonicalJson(other));
      expect(contextDifference(one, one)).toBeUndefined();
    }),
  );
});

test("names are told, values never", () => {
  const found = { a: "secret-1", b: "secret-2", same: "x" };
  const expected = { b: "secret-3", c: "secret-4", same: "x" };
  expect(contextDifference(found, expected)).toBe("another value for b; no c; also a");
});

test("names that would upset a message are made harmless", () => {
  const many = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`n${String(index).padStart(2, "0")}`, ""]));
  expect(contextDifference(many, {})).toBe("also n00, n01, n02, n03, n04, n05, n06, n07 and 12 more");
  expect(contextDifference({ "a\nb\u202e": "" }, {})).toBe("also a?b?");
  expect(contextDifference({ ["x".repeat(200)]: "" }, {})).toBe(`also ${"x".repeat(100)}…`);
});

test("what every object has by birth is no pair of a context", () => {
  expect(contextDifference({}, { constructor: "x" })).toBe("no constructor");
  expect(contextDifference({ toString: "x" }, {})).toBe("also toString");
});
