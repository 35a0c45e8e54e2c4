import { expect, test } from "vitest";
import * as gen from "../../test/gen/secrets.ts";
import { resolve } from "./resolve.ts";

const none = () => undefined;
const reserved = "k8s.patoarvizu.dev/namespace";

function keysAndCiphertexts(resolved: ReturnType<typeof resolve>): Record<string, string> {
  return Object.fromEntries(resolved.entries.map(({ key, encryptedSecret }) => [key, encryptedSecret]));
}

test("a later include wins over an earlier one, and any include over the object's own key", () => {
  const partials = new Map([
    [
      "one",
      gen.partial("one", {
        secrets: [
          { key: "a", encryptedSecret: "one-a" },
          { key: "b", encryptedSecret: "one-b" },
        ],
      }),
    ],
    ["two", gen.partial("two", { secrets: [{ key: "b", encryptedSecret: "two-b" }] })],
  ]);
  const own = gen.secret("own", {
    secrets: [
      { key: "a", encryptedSecret: "own-a" },
      { key: "c", encryptedSecret: "own-c" },
    ],
    includeSecrets: ["one", "two"],
  });
  const resolved = resolve(own, (name) => partials.get(name));
  expect(keysAndCiphertexts(resolved)).toEqual({ a: "one-a", b: "two-b", c: "own-c" });
  expect(resolved.duplicates).toEqual([
    { key: "a", winner: "PartialKMSVaultSecret one" },
    { key: "b", winner: "PartialKMSVaultSecret two" },
  ]);
});

test.each([
  { entry: { e: "1" }, spec: { s: "1" }, partial: { p: "1" }, effective: { e: "1" } },
  { entry: {}, spec: { s: "1" }, partial: { p: "1" }, effective: { p: "1" } },
  { entry: undefined, spec: { s: "1" }, partial: {}, effective: { s: "1" } },
  { entry: undefined, spec: { s: "1" }, partial: undefined, effective: { s: "1" } },
  { entry: undefined, spec: undefined, partial: undefined, effective: {} },
])("context of a Partial's entry: its own, else the Partial's, else the including object's (%o)", (given) => {
  const included = gen.partial("p", {
    secrets: [{ key: "a", encryptedSecret: "YQ==", ...(given.entry && { secretContext: given.entry }) }],
    ...(given.partial && { secretContext: given.partial }),
  });
  const including = gen.secret("s", {
    secrets: [],
    includeSecrets: ["p"],
    ...(given.spec && { secretContext: given.spec }),
  });
  expect(resolve(including, () => included).entries[0]?.encryptionContext).toEqual(given.effective);
});

test("an entry's own context replaces the spec's whole, it is not merged with it", () => {
  const own = gen.secret("s", {
    secrets: [{ key: "a", encryptedSecret: "YQ==", secretContext: { x: "1" } }],
    secretContext: { x: "2", y: "2" },
  });
  expect(resolve(own, none).entries[0]?.encryptionContext).toEqual({ x: "1" });
});

test("every missing Partial is named", () => {
  const including = gen.secret("s", { includeSecrets: ["gone", "there", "gone-too"] });
  const partials = (name: string) => (name === "there" ? gen.partial("there") : undefined);
  expect(() => resolve(including, partials)).toThrow(
    expect.objectContaining({ code: "PartialNotFound", message: expect.stringContaining("gone, gone-too not found") }),
  );
});

test("an object without any entry is invalid: an empty map is never written", () => {
  expect(() => resolve(gen.secret("s", { secrets: [] }), none)).toThrow(
    expect.objectContaining({ code: "InvalidSpec" }),
  );
});

test("line breaks in base64 are skipped, as Go's decoder does", () => {
  const own = gen.secret("s", { secrets: [{ key: "a", encryptedSecret: "YWJj\r\nZGVm\n" }] });
  expect(resolve(own, none).entries[0]?.encryptedSecret).toBe("YWJjZGVm");
});

test.each([
  ["an entry's own context", { secretContext: { [reserved]: "x" } }, {}, {}],
  ["an empty entry's", { emptySecret: true, secretContext: { [reserved]: "x" } }, {}, {}],
  [
    "the spec's, though the entry has another",
    { secretContext: { a: "b" } },
    { secretContext: { [reserved]: "x" } },
    {},
  ],
  ["the Partial's", {}, {}, { secretContext: { a: "b", [reserved]: "x" } }],
])("a place named by hand is found wherever it stands: %s", (_what, own, spec, partial) => {
  const secrets = [{ key: "a", encryptedSecret: "YQ==", ...own }];
  const included = gen.partial("p", { secrets, ...partial });
  const resolved = resolve(gen.secret("s", { ...spec, secrets: [], includeSecrets: ["p"] }), () => included);
  expect(resolved.entries.map(({ reservedKey }) => reservedKey)).toEqual([reserved]);
});
