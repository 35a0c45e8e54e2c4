import { format, inspect } from "node:util";
import { createSecretKey } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fingerprint, PlainValue, Plaintext, samePlainMap } from "./plaintext.ts";

const canary = "canary-of-plaintext";

test.each([
  ["bytes", new Plaintext(Buffer.from(canary))],
  ["value", new PlainValue(canary)],
  ["nested", { deep: [new Map([["key", new PlainValue({ a: canary })]])] }],
])("%s print as [redacted] however they are printed", (_what, secret) => {
  const error = new Error("wrapped", { cause: secret });
  const printed = [
    // eslint-disable-next-line typescript/no-base-to-string
    String(secret),
    JSON.stringify({ secret }),
    inspect(secret, { depth: null, showHidden: true }),
    format("%s %o %j", secret, secret, secret),
    inspect(error, { depth: null }),
  ].join("\n");
  expect(printed).not.toContain(canary);
});

test("text comes back as it was, and what is not UTF-8 is refused rather than mangled", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      expect(new Plaintext(Buffer.from(text)).asText()?.open()).toBe(text);
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const text = new Plaintext(bytes).asText()?.open();
      if (text !== undefined) expect(Buffer.from(text as string).equals(bytes)).toBe(true);
    }),
  );
  expect(new Plaintext(Uint8Array.of(0xff)).asText()).toBeUndefined();
  expect(new Plaintext(Uint8Array.of(0xff)).asBase64().open()).toBe("/w==");
});

const maps = fc.dictionary(fc.string(), fc.string()).map((map) => toMap(map));

function toMap(map: Record<string, string>): Map<string, PlainValue> {
  return new Map(Object.entries(map).map(([key, value]) => [key, new PlainValue(value)]));
}

test("two maps have the same fingerprint exactly when they are the same", () => {
  const key = createSecretKey(Buffer.alloc(32, 1));
  fc.assert(
    fc.property(maps, maps, (one, other) => {
      const same = fingerprint(one, key, ["x"]) === fingerprint(other, key, ["x"]);
      expect(same).toBe(samePlainMap(one, other));
    }),
  );
});
