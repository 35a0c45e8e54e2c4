// Several objects, people and clusters at one secret that is merged into: whose a key is when it changes hands, and what
// stays when one of them leaves.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { engines, startWorld, untilOlder, type World } from "./world.ts";

const writeMode = "Merge";
let world: World;
beforeAll(async () => {
  world = await startWorld({ args: ["--sync-period-seconds=0"] });
});
afterAll(() => world[Symbol.asyncDispose]());

describe.each(engines)("on KV %s", (engine) => {
  test("what somebody writes beside the object's keys while KMS is slow is kept", async () => {
    const name = `slow-${engine}`;
    await world.foreign(engine, "slow", { theirs: "x" });
    const secrets = await world.entries({ mine: "1" });
    const before = await world.decryptions();
    await world.kms.faults({ latencyMs: 1_000, operations: ["Decrypt"] });
    try {
      await world.apply(name, { path: `${world[engine]}/slow`, writeMode, secrets });
      await eventually(async () => expect(await world.decryptions()).toBeGreaterThan(before));
      await world.foreign(engine, "slow", { theirs: "y", more: "z" });
    } finally {
      await world.kms.faults({});
    }
    await world.settled(name);
    expect(await world.at(engine, "slow")).toEqual({ theirs: "y", more: "z", mine: "1" });
  });

  test("a key that the older one drops and the younger one waits for changes hands, and is never gone", async () => {
    const path = `${world[engine]}/handed`;
    const names = [`handing-${engine}`, `taking-${engine}`] as const;
    await untilOlder(await world.merged(names[0], path, { a: "1", b: "1" }));
    await world.apply(names[1], { path, writeMode, secrets: await world.entries({ b: "2", c: "2" }) });
    await world.settled(names[1], "PathConflict");
    await world.edit(names[0], { secrets: await world.entries({ a: "1" }) });
    await world.settled(names[1]);
    await world.settled(names[0]);
    expect(await world.at(engine, "handed")).toEqual({ a: "1", b: "2", c: "2" });
    // Taken away in between, it would be a version more.
    if (engine === "v2") expect(await world.versionOf("handed")).toBe(2);
    await world.poke(names[0]);
    expect(await world.at(engine, "handed")).toEqual({ a: "1", b: "2", c: "2" });
  });

  test("deleted with Destroy, a key stays that another object may have by a Partial that is missing", async () => {
    const path = `${world[engine]}/unknown`;
    const names = [`leaving-${engine}`, `including-${engine}`] as const;
    const partial = `absent-${engine}`;
    await untilOlder(await world.merged(names[0], path, { a: "1", b: "1" }, { deletionPolicy: "Destroy" }));
    await world.apply(names[1], { path, writeMode, includeSecrets: [partial] });
    await world.settled(names[1], "PartialNotFound");
    await world.remove(names[0]);
    expect(await world.at(engine, "unknown")).toEqual({ a: "1", b: "1" });
    await world.applyPartial(partial, { secrets: await world.entries({ b: "2" }) });
    await world.settled(names[1]);
    expect(await world.at(engine, "unknown")).toEqual({ a: "1", b: "2" });
  });
});

describe("another cluster's mark covers a secret for those who merge as well, and is not wiped:", () => {
  const theirs = { "managed-by": "kms-vault-operator", owner: "a/b", uid: "0b9f6f6e", cluster: "another-cluster" };

  test("it was there first", async () => {
    const secrets = await world.entries({ mine: "1" });
    await world.foreignV2("covered", { theirs: "x" });
    await world.foreignCustom("covered", theirs);
    await world.apply("covered", { path: `${world.v2}/covered`, writeMode, secrets });
    await world.settled("covered", "PathConflict");
    await world.poke("covered");
    expect(await world.atV2("covered")).toEqual({ theirs: "x" });
    expect(await world.customOf("covered")).toEqual(theirs);
  });

  test("it came later, beside the object's own", async () => {
    await world.merged("seized", `${world.v2}/seized`, { mine: "1" });
    const both = { ...(await world.customOf("seized")), ...theirs };
    await world.foreignCustom("seized", both);
    await world.poke("seized");
    await world.settled("seized", "PathConflict");
    expect(await world.customOf("seized")).toEqual(both);
  });
});

test("an edit of a Partial that frees a key wakes who waits for it", async () => {
  const path = `${world.v2}/woken`;
  await world.applyPartial("holding", { secrets: await world.entries({ one: "1" }) });
  await untilOlder(await world.sync("holder", { path, writeMode, includeSecrets: ["holding"] }));
  await world.apply("waiter", { path, writeMode, secrets: await world.entries({ one: "mine" }) });
  await world.settled("waiter", "PathConflict");
  await world.editPartial("holding", { secrets: await world.entries({ other: "1" }) });
  await world.settled("waiter");
  await eventually(async () => expect(await world.atV2("woken")).toEqual({ one: "mine", other: "1" }));
});

test("of two objects' kvMetadata on one secret the oldest's counts, and nothing flips", async () => {
  const path = `${world.v2}/settings`;
  await untilOlder(await world.merged("older", path, { a: "1" }, { kvMetadata: { maxVersions: 5 } }));
  await world.merged("younger", path, { b: "1" }, { kvMetadata: { maxVersions: 7 } });
  for (const name of ["younger", "older"]) await world.poke(name);
  expect(await world.metadataOf("settings")).toMatchObject({ max_versions: 5 });
  const mark = await world.mark();
  for (const name of ["younger", "older", "younger"]) await world.poke(name);
  const asked = await world.asked(mark);
  expect(asked.length).toBeGreaterThan(0);
  expect(asked.filter(({ operation }) => operation !== "read")).toEqual([]);
  expect(await world.metadataOf("settings")).toMatchObject({ max_versions: 5 });
});
