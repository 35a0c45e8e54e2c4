import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseDuration } from "./base/duration.ts";
import {
  isNamespaceName,
  parseBoolean,
  parseInteger,
  parseListenAddress,
  parseNamespaces,
  parseRateLimit,
  parseSeconds,
  parseServerUrl,
} from "./config-values.ts";

// The vectors of parseBoolean and parseInteger are what Go 1.26's strconv answers.
test.each([
  ["1", true],
  ["t", true],
  ["T", true],
  ["TRUE", true],
  ["true", true],
  ["True", true],
  ["0", false],
  ["f", false],
  ["F", false],
  ["FALSE", false],
  ["false", false],
  ["False", false],
  ["yes", undefined],
  ["", undefined],
  ["tRUE", undefined],
  [" true", undefined],
  ["on", undefined],
])("parseBoolean(%j)", (text, value) => {
  expect(parseBoolean(text)).toBe(value);
});

test.each([
  ["0", 0],
  ["120", 120],
  ["-1", -1],
  ["+5", 5],
  ["0x10", 16],
  ["0X1f", 31],
  ["0b101", 5],
  ["0o17", 15],
  ["017", 15],
  ["08", undefined],
  ["1_000", 1000],
  ["1__0", undefined],
  ["_1", undefined],
  ["0x_10", 16],
  ["1e3", undefined],
  ["1.0", undefined],
  ["", undefined],
  [" 1", undefined],
  ["９", undefined],
  ["0_7", 7],
  ["9007199254740991", 9007199254740991],
  ["0x", undefined],
  ["-0x10", -16],
  ["1_", undefined],
  // Go reads this one; a double cannot hold it.
  ["9007199254740993", undefined],
])("parseInteger(%j)", (text, value) => {
  expect(parseInteger(text)).toBe(value);
});

test("parseSeconds takes whole seconds and durations", () => {
  expect(["60", "0", "1m", "1.5", "-5"].map(parseSeconds)).toEqual([60_000, 0, 60_000, undefined, undefined]);
});

test.each([
  ["10", { perSecond: 10, burst: 10 }],
  ["10.5", { perSecond: 10.5, burst: 10 }],
  ["0.5", { perSecond: 0.5, burst: 1 }],
  ["10:20", { perSecond: 10, burst: 20 }],
  ["0", undefined],
  ["10:0", undefined],
  ["10:", undefined],
  [":10", undefined],
  ["-1", undefined],
  ["a", undefined],
])("parseRateLimit(%j)", (text, value) => {
  expect(parseRateLimit(text)).toEqual(value);
});

test.each([
  [":8080", { port: 8080 }],
  [":0", { port: 0 }],
  ["127.0.0.1:8080", { host: "127.0.0.1", port: 8080 }],
  ["localhost:1", { host: "localhost", port: 1 }],
  ["[::1]:8080", { host: "::1", port: 8080 }],
  ["::1:8080", undefined],
  ["8080", undefined],
  [":", undefined],
  [":65536", undefined],
  ["a b:80", undefined],
])("parseListenAddress(%j)", (text, value) => {
  expect(parseListenAddress(text)).toEqual(value);
});

describe("parseNamespaces", () => {
  test.each([
    ["", []],
    [" ", []],
    ["a", ["a"]],
    ["a,b", ["a", "b"]],
    [" a , b ,a", ["a", "b"]],
    // Broken input must not read as "every namespace".
    [",", undefined],
    ["a,", undefined],
    ["A", undefined],
    ["a b", undefined],
    ["*", undefined],
  ])("%j", (text, value) => {
    expect(parseNamespaces(text)).toEqual(value);
  });

  test("an empty list comes from blanks alone", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(parseNamespaces(text)?.length === 0).toBe(text.trim() === "");
      }),
    );
  });

  test("every valid list round-trips", () => {
    const name = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);
    fc.assert(
      fc.property(fc.uniqueArray(name, { minLength: 1 }), (names) => {
        expect(names.every(isNamespaceName)).toBe(true);
        expect(parseNamespaces(names.join(", "))).toEqual(names);
      }),
    );
  });
});

test.each([
  ["https://vault:8200", "https://vault:8200"],
  ["https://vault:8200/", "https://vault:8200"],
  ["http://127.0.0.1:8200/prefix/", "http://127.0.0.1:8200/prefix"],
  ["https://[::1]:8200", "https://[::1]:8200"],
  ["vault:8200", undefined],
  ["https://", undefined],
  ["https://user:secret@vault", undefined],
  ["https://vault?x=1", undefined],
  ["ftp://vault", undefined],
  ["", undefined],
])("parseServerUrl(%j)", (text, value) => {
  expect(parseServerUrl(text)).toBe(value);
});

describe("for any text", () => {
  test("numbers are finite or undefined", () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^[+-]?0?[xbo]?[0-9a-f_.smhnu:]*$/));
    fc.assert(
      fc.property(text, (given) => {
        for (const parse of [parseInteger, parseDuration, parseSeconds]) {
          const value = parse(given);
          expect(value === undefined || Number.isFinite(value)).toBe(true);
        }
      }),
    );
  });

  test("decimal integers read as themselves", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        expect(parseInteger(String(value))).toBe(value);
      }),
    );
  });

  test("a sum of units is the sum of its parts", () => {
    const part = fc.tuple(fc.nat(10_000), fc.constantFrom("ms", "s", "m", "h"));
    fc.assert(
      fc.property(fc.array(part, { minLength: 1 }), (parts) => {
        const sum = parts.reduce((total, [amount, unit]) => total + (parseDuration(`${amount}${unit}`) ?? NaN), 0);
        expect(parseDuration(parts.map(([amount, unit]) => `${amount}${unit}`).join(""))).toBe(sum);
      }),
    );
  });
});
