// Which keys may be used, as far as the lists alone tell; aws.test.ts has what KMS's answer decides.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { aliasesIn, chooseKey, isAwsKey, isListed, regionOfKey } from "./aws-keys.ts";

const id = "1234abcd-12ab-34cd-56ef-1234567890ab";
const arn = `arn:aws:kms:eu-west-1:111122223333:key/${id}`;
const alias = "arn:aws:kms:eu-west-1:111122223333:alias/app/prod";
const foreign = ["age1qqqq", "transit/key"];

const denied = expect.objectContaining({ code: "KeyNotAllowed", retry: "terminal" });

/** As the operator, in the region of `arn`. */
const choose = (operatorKeys: readonly string[] | undefined, call: Parameters<typeof chooseKey>[1]) =>
  chooseKey(operatorKeys, call, { region: "eu-west-1" });

describe("how AWS names keys", () => {
  test.each([
    arn,
    alias,
    id,
    "mrk-1234abcd12ab34cd56ef1234567890ab",
    "alias/aws/ssm",
    `arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/${id}`,
    `arn:aws-cn:kms:cn-north-1:111122223333:key/${id}`,
    `arn:aws-eusc:kms:eusc-de-east-1:111122223333:key/${id}`,
    "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
  ])("%s", (text) => expect(isAwsKey(text)).toBe(true));

  test.each([
    ...foreign,
    "",
    "*",
    "alias/",
    "alias/*",
    `arn:aws:kms:*:111122223333:key/${id}`,
    `arn:aws:kms::111122223333:key/${id}`,
    `arn:aws:kms:evil.example:111122223333:key/${id}`,
    `arn:aws:kms:eu-west-1.evil:111122223333:key/${id}`,
    `arn:aws:kms:eu-west-1@evil:111122223333:key/${id}`,
    `arn:aws:kms:EU-WEST-1:111122223333:key/${id}`,
    `arn:aws:kms:eu-west-1\n:111122223333:key/${id}`,
    `arn:aws:kms:eu-west-1:1111:key/${id}`,
    `${arn}\n`,
    ` ${arn}`,
    "arn:aws:s3:eu-west-1:111122223333:key/x",
  ])("not %j", (text) => {
    expect(isAwsKey(text)).toBe(false);
    expect(() => regionOfKey(text)).toThrow(denied);
  });

  test("a region has nothing in it that means something in a host name", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[aeu\-19./:@#?%\\ \n]*$/), (region) => {
        const text = `arn:aws:kms:${region}:111122223333:key/${id}`;
        if (isAwsKey(text)) expect(regionOfKey(text)).toMatch(/^[a-z-]+-\d+$/);
      }),
    );
  });
});

describe("the choice", () => {
  test("without lists: what the object names, or whatever the ciphertext says", () => {
    expect(choose(undefined, {})).toEqual({ lists: [] });
    expect(choose(["*"], { allowedKeys: ["*"] })).toEqual({ lists: [] });
    expect(choose(undefined, { keyId: arn })).toEqual({ keyId: arn, region: "eu-west-1", lists: [] });
    expect(choose(undefined, { keyId: "alias/app" })).toEqual({ keyId: "alias/app", lists: [] });
  });

  test("a key that every list names is asked for, and KMS sees to the rest", () => {
    expect(choose([arn, "alias/a"], { keyId: arn, allowedKeys: [alias, arn] })).toMatchObject({
      keyId: arn,
      lists: [],
    });
  });

  test("otherwise the answer is held against the lists that do not name it", () => {
    expect(choose([arn, "alias/a"], {})).toEqual({ lists: [[arn, "alias/a"]] });
    expect(choose([arn, "alias/a"], { keyId: "alias/b", allowedKeys: ["alias/b"] })).toEqual({
      keyId: "alias/b",
      lists: [[arn, "alias/a"]],
    });
    expect(choose([arn, "alias/a"], { allowedKeys: [arn, "alias/b"] })).toEqual({
      lists: [
        [arn, "alias/a"],
        [arn, "alias/b"],
      ],
    });
  });

  test("the only key there may be is asked for", () => {
    expect(choose([alias, ...foreign], {})).toEqual({ keyId: alias, region: "eu-west-1", lists: [] });
    expect(choose(undefined, { allowedKeys: ["alias/a"] })).toEqual({ keyId: "alias/a", lists: [] });
  });

  test("whatever a second list has, the only key of the first is asked for, where it is", () => {
    const only = { keyId: arn, region: "eu-west-1" };
    for (const more of [[arn], [arn, alias], [alias, "alias/a", arn]]) {
      expect(choose([arn], { allowedKeys: more })).toEqual({ ...only, lists: [] });
      expect(choose(more, { allowedKeys: [arn] })).toEqual({ ...only, lists: [] });
    }
    expect(choose([arn], { allowedKeys: [alias] })).toEqual({ ...only, lists: [[alias]] });
  });

  test("keys of other key services are their business; with no other, AWS may not be asked", () => {
    for (const list of [foreign, []]) {
      expect(() => choose(list, {})).toThrow(denied);
      expect(() => choose(list, { keyId: arn })).toThrow(denied);
      expect(() => choose([arn], { allowedKeys: list })).toThrow(denied);
    }
    expect(() => choose(undefined, { keyId: "age1qqqq" })).toThrow(denied);
  });
});

describe("names without an account and a region mean those of the operator", () => {
  const names = ["alias/a", id];
  const roleArn = "arn:aws:iam::444455556666:role/team";

  test.each([
    ["as another role", { roleArn }, { region: "eu-west-1" }],
    ["as another role than the operator's", { roleArn }, { region: "eu-west-1", roleArn: `${roleArn}-operator` }],
    ["in another region", { keyId: arn }, { region: "us-east-1" }],
    ["in a region, when the operator has none", { keyId: arn }, {}],
  ])("%s they count for nothing", (_, call, own) => {
    const named = { keyId: "alias/a", ...call };
    expect(() => chooseKey(names, call, own)).toThrow(denied);
    expect(() => chooseKey(["alias/a"], call, own)).toThrow(denied);
    expect(() => chooseKey(undefined, { ...named, allowedKeys: names }, own)).toThrow(denied);
    expect(chooseKey([...names, alias, `${arn}0`], named, own).lists).toEqual([[alias, `${arn}0`]]);
    expect(chooseKey([...names, arn], { ...call, keyId: arn }, own)).toMatchObject({ keyId: arn, lists: [] });
  });

  test("nor beside the only key, in another region", () => {
    expect(() => chooseKey([arn], { allowedKeys: names }, { region: "us-east-1" })).toThrow(denied);
    expect(chooseKey([arn], { allowedKeys: names }, { region: "eu-west-1" }).lists).toEqual([names]);
  });

  test("the operator's own role and region are where they count", () => {
    expect(chooseKey(names, { roleArn, keyId: "alias/a" }, { roleArn })).toEqual({ keyId: "alias/a", lists: [] });
    expect(chooseKey(names, { keyId: arn }, { region: "eu-west-1" }).lists).toEqual([names]);
  });
});

test("an answer's key is listed by its ARN or its id, and never by a part of them", () => {
  expect(isListed([arn], arn)).toBe(true);
  expect(isListed([id], arn)).toBe(true);
  expect(isListed([alias, id.slice(1), arn.slice(0, -1)], arn)).toBe(false);
  expect(isListed([arn], arn.replace("eu-west-1", "eu-west-2"))).toBe(false);
});

test("aliases of a region are those with its ARN, and names", () => {
  expect(aliasesIn([alias, "alias/b", arn, id, ...foreign], "eu-west-1")).toEqual([alias, "alias/b"]);
  expect(aliasesIn([alias, "alias/b"], "us-east-1")).toEqual(["alias/b"]);
});
