// A status is a hint, never an authority: whoever may patch it can forge it. No forgery makes the operator remove what
// the object did not write, or believe in sync what is not.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { startWorld, type World } from "./world.ts";

const finalizers = [deleteFinalizer];
const recordKey = { apiVersion: "v1", plural: "secrets", name: "kms-vault-operator-fingerprint-key" };
let world: World;
beforeAll(async () => {
  world = await startWorld({ args: ["--sync-period-seconds=0"] });
  await world.foreignV2("victim", { precious: "data" });
  await world.foreignV1("victim", { precious: "data" });
});
afterAll(() => world[Symbol.asyncDispose]());

describe("deleted with a record that", () => {
  test("was pointed at another secret, nothing is removed anywhere", async () => {
    const { status } = await synced("pointed");
    const { version, created_time: createdTime } = (await world.vault.read(`${world.v2}/data/victim`)).metadata;
    const record = { ...status.record, path: "victim", version, versionCreatedTime: createdTime };
    await world.forge("pointed", { record });
    await world.remove("pointed");
    await world.event("pointed", "Released", "no record");
    expect(await world.atV2("victim")).toEqual({ precious: "data" });
    expect(await world.atV2("pointed")).toEqual({ k: "pointed" });
  });

  test("is another object's, nothing of either is removed", async () => {
    const owner = await synced("owner");
    await synced("copycat");
    await world.forge("copycat", owner.status);
    await world.remove("copycat");
    await world.event("copycat", "Released", "no record");
    expect(await world.atV2("owner")).toEqual({ k: "owner" });
    expect(await world.atV2("copycat")).toEqual({ k: "copycat" });
  });

  test("lost its MAC or its format, nothing is removed", async () => {
    const { status } = await synced("macless");
    await world.forge("macless", { record: { ...status.record, mac: "AAAA", format: "v0" } });
    await world.remove("macless");
    expect(await world.atV2("macless")).toEqual({ k: "macless" });
  });
});

test("a forged digest does not hide an edit, a forged fingerprint no foreign data", async () => {
  const path = `${world.v1}/hidden`;
  const one = await world.sync("hidden", { path, secrets: await world.entries({ k: "one" }) });
  const two = await world.sync("hidden", { path, secrets: await world.entries({ k: "two" }) });
  // The old record is authentic: whoever puts it back brings the old source and the old data, which both show.
  await world.forge("hidden", { record: { ...two.status.record, fingerprint: one.status.record.fingerprint } });
  await world.foreignV1("hidden", { k: "one" });
  await world.poke("hidden");
  expect(await world.atV1("hidden")).toEqual({ k: "two" });
  await world.forge("hidden", { record: one.status.record });
  await world.foreignV1("hidden", { k: "one" });
  await world.poke("hidden");
  expect(await world.atV1("hidden")).toEqual({ k: "two" });
});

test.each([
  ["wiped", null],
  ["replaced by nonsense", { created: false, conditions: null, vault: null, keys: null, record: null }],
])(
  "a status that was %s is made anew by the next look, by one KMS pass and without a new version",
  async (how, forged) => {
    const name = how.replaceAll(" ", "-");
    const before = await synced(name);
    const decryptions = await world.decryptions();
    await world.forge(name, forged);
    await world.poke(name);
    const after = await world.settled(name);
    expect(after.status.record).toEqual(before.status.record);
    expect(after.status).toMatchObject({ created: true, vault: { version: 1 }, keys: { synced: 1 } });
    expect(await world.decryptions()).toBe(decryptions + 1);
    expect(await world.versionOf(name)).toBe(1);
  },
);

test("a lost key costs one pass over KMS and nothing worse", async () => {
  const before = await synced("keyless");
  const v1 = await world.sync("keyless-v1", { path: `${world.v1}/keyless`, secrets: await world.entries({ k: "v" }) });
  await world.kube.delete({ ...recordKey, namespace: world.namespace });
  await world.restart();
  await world.poke("keyless");
  await world.poke("keyless-v1");
  for (const object of [before, v1]) {
    const after = await world.settled(object.metadata.name);
    expect(after.status.record.mac).not.toBe(object.status.record.mac);
    expect(after.status.lastSyncTime).toBe(object.status.lastSyncTime);
  }
  expect(await world.versionOf("keyless")).toBe(1);
  // The pass is over, and the new records are good.
  const decryptions = await world.decryptions();
  await world.poke("keyless");
  expect(await world.decryptions()).toBe(decryptions);
  await world.remove("keyless");
  expect(await world.versionOf("keyless")).toBeUndefined();
});

/** An object on KV v2 whose one key holds its name. */
async function synced(name: string) {
  const path = `${world.v2}/data/${name}`;
  return world.sync(name, { path, secrets: await world.entries({ k: name }) }, { finalizers });
}
