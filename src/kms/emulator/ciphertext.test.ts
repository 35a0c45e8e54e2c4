import { createSecretKey, randomBytes, randomUUID } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeContext, keyIdOf, open, seal } from "./ciphertext.ts";

const key = { keyId: randomUUID(), material: createSecretKey(randomBytes(32)) };
const plaintext = fc.uint8Array({ minLength: 1, maxLength: 200 });
// Names that JavaScript objects treat specially are pairs like any other.
const text = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("__proto__", "constructor", "0", "é", "e\u0301"));
const context = fc.dictionary(text, text, { maxKeys: 8 });

test("what is sealed opens again, with many pairs in any order", () => {
  fc.assert(
    fc.property(plaintext, context, (bytes, pairs) => {
      const blob = seal(key, bytes, pairs);
      const reversed = Object.fromEntries(Object.entries(pairs).toReversed());
      expect(keyIdOf(blob)).toBe(key.keyId);
      expect(open(key.material, blob, reversed)).toEqual(Buffer.from(bytes));
    }),
  );
});

test("no byte of a blob can be changed, dropped or added", () => {
  const blob = seal(key, Buffer.from("value"), { app: "x" });
  for (let at = 0; at < blob.length; at++) {
    for (const flip of [0x01, 0x80]) {
      const changed = Buffer.from(blob);
      changed[at] = (changed[at] ?? 0) ^ flip;
      expect(open(key.material, changed, { app: "x" }), `byte ${at}`).toBeUndefined();
    }
    expect(open(key.material, blob.subarray(0, at), { app: "x" }), `cut at ${at}`).toBeUndefined();
  }
  expect(open(key.material, Buffer.concat([blob, Buffer.alloc(1)]), { app: "x" })).toBeUndefined();
});

test("a blob opens under its own encryption context only", () => {
  fc.assert(
    fc.property(plaintext, context, context, (bytes, one, other) => {
      const names = Object.keys(one);
      const same =
        names.length === Object.keys(other).length &&
        names.every((name) => Object.hasOwn(other, name) && other[name] === one[name]);
      fc.pre(!same);
      expect(open(key.material, seal(key, bytes, one), other)).toBeUndefined();
    }),
  );
});

test.each([
  [{ a: "bc" }, { ab: "c" }],
  [{ a: "b", c: "d" }, { a: "bcd" }],
  [
    { a: "b", c: "d" },
    { a: "d", c: "b" },
  ],
  [{ a: "" }, {}],
  [{ "": "a" }, { a: "" }],
  [{ a: "x", b: "x" }, { a: "x" }],
])("the encryption contexts %j and %j do not encode alike", (one, other) => {
  expect(encodeContext(one)).not.toEqual(encodeContext(other));
});

test("another key does not open a blob", () => {
  const blob = seal(key, Buffer.from("value"), {});
  expect(open(createSecretKey(randomBytes(32)), blob, {})).toBeUndefined();
});

test("two blobs of one value differ", () => {
  expect(seal(key, Buffer.from("value"), {})).not.toEqual(seal(key, Buffer.from("value"), {}));
});

test.each([Buffer.alloc(0), Buffer.from("short"), Buffer.alloc(100)])("no blob of ours: %#", (bytes) => {
  expect(keyIdOf(bytes)).toBeUndefined();
});
