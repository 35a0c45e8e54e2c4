import * as fc from "fast-check";
import { expect, test } from "vitest";
import { isJsonObject, objectAt, parseExactJson, stringsAt, stringsIn } from "./json.ts";

test.each(["12345678901234567890", "1.0", "1e5", "-0", "0.1000", "9007199254740993", "5", "-17.25"])(
  "%s is printed as it came",
  (digits) => {
    const text = `{"a":[${digits}]}`;
    expect(JSON.stringify(parseExactJson(text))).toBe(text);
  },
);

test("a number that a double holds exactly is a number", () => {
  expect(parseExactJson('{"version":7}')).toEqual({ version: 7 });
});

test("whatever JSON.stringify prints comes back the same", () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const once = JSON.stringify(parseExactJson(text));
      expect(JSON.stringify(parseExactJson(once))).toBe(once);
    }),
  );
});

test("what is no JSON is undefined, and nothing of it is told", () => {
  expect(parseExactJson('{"password":"canary')).toBeUndefined();
});

test("a key named rawJSON or __proto__ is a key like any other", () => {
  const value = parseExactJson('{"data":{"rawJSON":"a","__proto__":"b"}}');
  expect(Object.entries(objectAt(value, "data") ?? {})).toEqual([
    ["rawJSON", "a"],
    ["__proto__", "b"],
  ]);
});

test("an exact number, an array and null are no objects", () => {
  expect([parseExactJson("1.0"), [], null].map(isJsonObject)).toEqual([false, false, false]);
});

test("members are looked at before they are believed", () => {
  expect(objectAt({ a: 1 }, "a")).toBeUndefined();
  expect(objectAt(undefined, "a")).toBeUndefined();
  expect(stringsAt({ errors: ["x", 1, null] }, "errors")).toEqual(["x"]);
  expect(stringsAt({ warnings: null }, "warnings")).toEqual([]);
});

test("every string of a request is found", () => {
  expect(stringsIn({ data: { a: "one", b: { c: ["two", 3] } }, options: { cas: 1 } })).toEqual(["one", "two"]);
});
