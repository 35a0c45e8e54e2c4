// In which order a message's data keys are tried.
import { expect, test } from "vitest";
import { dataKeysToTry } from "./envelope-keys.ts";

const account = "000000000000";
const arn = (region: string, id: string) => `arn:aws:kms:${region}:${account}:key/${id}`;
const uuid = (digit: number) => `00000000-0000-0000-0000-${String(digit).repeat(12)}`;
const replicated = `mrk-${"0".repeat(32)}`;

const one = arn("us-east-1", uuid(1));
const two = arn("us-east-1", uuid(2));
const far = arn("eu-west-1", uuid(3));
const replica = arn("eu-west-1", replicated);

/** The keys of the data keys that are tried, in order. */
function tried(keyNames: readonly string[], { keyId, allowedKeys, own = {} }: Partial<Asked> = {}): string[] {
  const dataKeys = keyNames.map((keyName) => ({ provider: "aws-kms", keyName, ciphertext: Uint8Array.of() }));
  const call = { ...(keyId !== undefined && { keyId }), ...(allowedKeys && { allowedKeys }) };
  return dataKeysToTry(dataKeys, call, own).map(({ keyName }) => keyName);
}

interface Asked {
  readonly keyId: string;
  readonly allowedKeys: readonly string[];
  readonly own: { readonly region?: string; readonly allowedKeys?: readonly string[] };
}

const own = { region: "us-east-1" };

test("of a key that is named, by its ARN or its id, no other", () => {
  for (const keyId of [two, uuid(2)]) expect(tried([far, one, two], { keyId, own })).toEqual([two]);
  for (const allowedKeys of [[two], [uuid(2)]]) expect(tried([far, one, two], { allowedKeys, own })).toEqual([two]);
});

test("of an alias, those of where it is", () => {
  expect(tried([far, one, two], { keyId: "alias/shop", own })).toEqual([one, two]);
  expect(tried([one, far, two], { keyId: `arn:aws:kms:eu-west-1:${account}:alias/shop`, own })).toEqual([far]);
});

test("those that may be used before those that may be behind an alias", () => {
  expect(tried([one, two], { allowedKeys: ["alias/shop", two], own })).toEqual([two, one]);
  expect(tried([one, two], { allowedKeys: [one, two], own: { ...own, allowedKeys: [two, far] } })).toEqual([two, one]);
  expect(tried([one, two], { allowedKeys: ["*"], own: { ...own, allowedKeys: ["*"] } })).toEqual([one, two]);
});

test("a key of several regions is in all of them", () => {
  expect(tried([replica, far, one], { own })).toEqual([one, replica]);
  expect(tried([far, replica], { keyId: arn("us-east-1", replicated), own })).toEqual([replica]);
});

test("all, four at most, when it is not known where KMS is asked or none is there", () => {
  const many = [1, 2, 3, 4, 5].map((digit) => arn("eu-west-1", uuid(digit)));
  expect(tried([far, one])).toEqual([far, one]);
  expect(tried(many, { own })).toEqual(many.slice(0, 4));
});

test("none of another provider", () => {
  const dataKey = { provider: "raw-aes", keyName: one, ciphertext: Uint8Array.of() };
  expect(dataKeysToTry([dataKey], {}, own)).toEqual([]);
});
