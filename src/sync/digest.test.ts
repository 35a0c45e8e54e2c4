import fc from "fast-check";
import { expect, test } from "vitest";
import type { Destination } from "../vault/kv/engine.ts";
import { sourceDigest } from "./digest.ts";
import type { ResolvedEntry } from "./resolve.ts";

const destination: Destination = { namespace: "", mount: "secret", engineVersion: "v2", path: "x" };
const entry: ResolvedEntry = {
  key: "a",
  encryptedSecret: "YQ==",
  encryptionContext: { one: "1", two: "2" },
  encoding: "utf8",
  empty: false,
};
const base = { entries: [entry], destination, onDecryptError: "Keep", writeMode: "Replace", keyChoice: [undefined] };

const entries = fc.uniqueArray(
  fc.record({
    key: fc.string({ minLength: 1 }),
    encryptedSecret: fc.base64String(),
    encryptionContext: fc.dictionary(fc.string(), fc.string()),
    encoding: fc.constantFrom("utf8" as const, "base64" as const),
    empty: fc.boolean(),
  }),
  { selector: ({ key }) => key },
);

test("the order of entries and of context pairs does not matter", () => {
  fc.assert(
    fc.property(entries, (list) => {
      const shuffled = list.toReversed().map((one) => ({
        ...one,
        encryptionContext: Object.fromEntries(Object.entries(one.encryptionContext).toReversed()),
      }));
      expect(sourceDigest({ ...base, entries: shuffled })).toBe(sourceDigest({ ...base, entries: list }));
    }),
  );
});

test.each([
  ["key", { ...base, entries: [{ ...entry, key: "b" }] }],
  ["ciphertext", { ...base, entries: [{ ...entry, encryptedSecret: "Yg==" }] }],
  ["context value", { ...base, entries: [{ ...entry, encryptionContext: { one: "1", two: "3" } }] }],
  ["context name", { ...base, entries: [{ ...entry, encryptionContext: { one: "1", three: "2" } }] }],
  ["encoding", { ...base, entries: [{ ...entry, encoding: "base64" as const }] }],
  ["empty", { ...base, entries: [{ ...entry, empty: true }] }],
  ["an entry more", { ...base, entries: [entry, { ...entry, key: "b" }] }],
  ["path", { ...base, destination: { ...destination, path: "y" } }],
  ["mount", { ...base, destination: { ...destination, mount: "other" } }],
  ["Vault namespace", { ...base, destination: { ...destination, namespace: "team" } }],
  ["engine", { ...base, destination: { ...destination, engineVersion: "v1" as const } }],
  ["key choice", { ...base, keyChoice: ["AWS"] }],
  ["onDecryptError", { ...base, onDecryptError: "Skip" }],
])("another %s is another digest", (_what, changed) => {
  expect(sourceDigest(changed)).not.toBe(sourceDigest(base));
});

test("what an empty entry holds besides does not matter", () => {
  const empty = { ...base, entries: [{ ...entry, empty: true }] };
  expect(sourceDigest({ ...base, entries: [{ ...entry, empty: true, encryptedSecret: "" }] })).toBe(
    sourceDigest(empty),
  );
});

test("the format is what it was: another one would decrypt everything anew in every installation", () => {
  expect(sourceDigest(base)).toMatchInlineSnapshot(`"v1:OA6EqVoiTxkOcAaHjWhUBSa3vOJvVT9TOeOsk9GwPPU"`);
});
