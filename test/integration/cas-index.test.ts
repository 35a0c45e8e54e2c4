// `casIndex` to the letter of the contract: users of the original push a change by setting it to the version that
// Vault holds. Without a resync, so that the counts are of what the test asks for.
import { afterAll, beforeAll, expect, test } from "vitest";
import { condition, startWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld({ args: ["--sync-period-seconds=0"] });
});
afterAll(() => world[Symbol.asyncDispose]());

/** Applies an object with that casIndex and one value. */
async function apply(name: string, casIndex: number, value: string, more: object = {}): Promise<void> {
  const secrets = await world.entries({ k: value });
  const kvSettings = { engineVersion: "v2", casIndex };
  await world.apply(name, { path: `${world.v2}/data/${name}`, kvSettings, secrets, ...more });
}

function ready(object: object) {
  return condition(object, "Ready");
}

test("0 at an empty path writes version 1", async () => {
  await apply("first", 0, "one");
  const object = await world.settled("first");
  expect(object.status).toMatchObject({ created: true, vault: { version: 1 } });
  expect(await world.atV2("first")).toEqual({ k: "one" });
  await world.event("first", "SecretCreated");
});

test("version == casIndex + 1 is in sync whatever the data: no KMS call, no write; a change asks to raise casIndex", async () => {
  await apply("raise", 0, "one");
  await world.settled("raise");
  const before = await world.decryptions();
  const mark = await world.mark();
  await apply("raise", 0, "two");
  const object = await world.settled("raise");
  expect(ready(object)).toMatchObject({ status: "True", message: expect.stringContaining("raise casIndex to 1") });
  await world.event("raise", "CASConflict", "raise casIndex to 1");
  expect((await world.asked(mark)).map(({ operation }) => operation)).toEqual(["read"]);
  expect(await world.decryptions()).toBe(before);
  expect(await world.atV2("raise")).toEqual({ k: "one" });

  await apply("raise", 1, "two");
  const raised = await world.settled("raise");
  expect(raised.status.vault.version).toBe(2);
  expect(ready(raised).message).not.toContain("raise");
  expect(await world.atV2("raise")).toEqual({ k: "two" });
});

test("an object of the original whose version is casIndex + 1 is in sync, although we never saw it", async () => {
  await world.foreignV2("upgraded", { k: "whatever the original wrote" });
  const before = await world.decryptions();
  await apply("upgraded", 0, "else");
  const object = await world.settled("upgraded");
  expect(object.status).toMatchObject({ created: true, vault: { version: 1 } });
  expect(await world.decryptions()).toBe(before);
  expect(await world.versionOf("upgraded")).toBe(1);
  expect(await world.seen("upgraded")).toEqual([]);
});

test("set to the current version everything is written, also over data that is not ours: the user has said so", async () => {
  await world.foreignV2("over", { theirs: "x" });
  await apply("over", 1, "ours");
  const object = await world.settled("over");
  expect(object.status.vault.version).toBe(2);
  expect(await world.atV2("over")).toEqual({ k: "ours" });
});

test("even unchanged data is written when casIndex was raised, as the original did", async () => {
  await apply("again", 0, "same");
  await world.settled("again");
  await apply("again", 1, "same");
  expect((await world.settled("again")).status.vault.version).toBe(2);
});

test("version > casIndex + 1 is the contract's conflict, and nothing is written", async () => {
  for (const value of ["1", "2", "3"]) await world.foreignV2("low", { k: value });
  const before = await world.decryptions();
  await apply("low", 1, "mine");
  const object = await world.settled("low", "CASConflict");
  expect(ready(object).message).toContain("CAS index is lower than the latest version");
  expect(ready(object).message).toContain("set casIndex to 3");
  await world.event("low", "CASConflict", "CAS index is lower than the latest version");
  expect(await world.atV2("low")).toEqual({ k: "3" });
  expect(await world.decryptions()).toBe(before);
  await apply("low", 3, "mine");
  await world.settled("low");
  expect(await world.atV2("low")).toEqual({ k: "mine" });
});

test("a casIndex that Vault has not come to yet is a conflict too", async () => {
  await apply("high", 5, "mine");
  expect(ready(await world.settled("high", "CASConflict")).message).toContain("CAS index is higher");
  expect(await world.versionOf("high")).toBeUndefined();
});

test("drift is not repaired: that is what casIndex means", async () => {
  await apply("drift", 0, "mine");
  await world.settled("drift");
  await world.vault.delete(`${world.v2}/data/drift`);
  await world.poke("drift");
  expect(ready(await world.settled("drift"))).toMatchObject({ status: "True" });
  expect(await world.atV2("drift")).toBeUndefined();
  expect(await world.versionOf("drift")).toBe(1);
});

test("an entry that fails writes nothing at all, unless onDecryptError is Skip", async () => {
  await world.foreignV2("failing", { bad: "kept", k: "old" });
  const secrets = [...(await world.entries({ k: "new" })), { key: "bad", encryptedSecret: "YQ==" }];
  await apply("failing", 1, "unused", { secrets });
  await world.settled("failing", "DecryptingError");
  expect(await world.atV2("failing")).toEqual({ bad: "kept", k: "old" });
  await apply("failing", 1, "unused", { secrets, onDecryptError: "Skip" });
  await world.settled("failing", "DecryptingError");
  expect(await world.atV2("failing")).toEqual({ k: "new" });
});

test("on KV v1 it is ignored with a remark", async () => {
  const secrets = await world.entries({ k: "v" });
  const object = await world.sync("v1", {
    path: `${world.v1}/cas`,
    kvSettings: { engineVersion: "v1", casIndex: 3 },
    secrets,
  });
  expect(ready(object)).toMatchObject({ status: "True", message: expect.stringContaining("EngineMismatch: casIndex") });
  await world.event("v1", "EngineMismatch", "ignored");
  expect(await world.atV1("cas")).toEqual({ k: "v" });
});
