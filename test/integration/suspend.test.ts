// spec.suspend: the object is left as it is, in Vault and by the operator, but for its deletion; its path stays its own.
import { afterAll, beforeAll, expect, test } from "vitest";
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { eventually } from "../env/eventually.ts";
import { startWorld, untilOlder, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld({ args: ["--sync-period-seconds=1"] });
});
afterAll(() => world[Symbol.asyncDispose]());

/** What Vault was asked about a KV v2 path, but for the test's own deletion. */
async function askedAbout(path: string, since: Awaited<ReturnType<World["mark"]>>) {
  const asked = await world.asked(since);
  return asked.filter((one) => one.path.endsWith(`/${path}`) && one.operation !== "delete");
}

test("nothing is reconciled: no edit, no repair, no question to Vault or KMS; resumed, all of it is made good", async () => {
  const path = `${world.v2}/data/edited`;
  await world.sync("neighbour", { path: `${world.v2}/neighbour`, secrets: await world.entries({ k: "v" }) });
  await world.sync("edited", { path, secrets: await world.entries({ k: "1" }) });
  await world.edit("edited", { suspend: true });
  const suspended = await world.settled("edited", "Suspended");
  expect(suspended.status).toMatchObject({ created: true, vault: { path: "edited", version: 1 } });
  const [decryptions, mark] = [await world.decryptions(), await world.mark()];
  await world.vault.delete(path);
  await world.edit("edited", { secrets: await world.entries({ k: "2" }) });
  await world.settled("edited", "Suspended");
  await world.request("edited");
  // By then there were resyncs enough.
  await eventually(async () => expect((await askedAbout("neighbour", mark)).length).toBeGreaterThan(3));
  expect(await askedAbout("edited", mark)).toEqual([]);
  expect(await world.decryptions()).toBe(decryptions);
  expect(await world.atV2("edited")).toBeUndefined();

  await world.edit("edited", { suspend: false });
  await world.settled("edited");
  expect(await world.atV2("edited")).toEqual({ k: "2" });
});

test("suspended from the start, nothing is written, and the path is held all the same", async () => {
  const path = `${world.v2}/data/held`;
  const secrets = await world.entries({ k: "v" });
  await world.apply("holder", { path, suspend: true, secrets });
  await untilOlder(await world.settled("holder", "Suspended"));
  await world.apply("loser", { path, secrets });
  await world.settled("loser", "PathConflict");
  expect(await world.atV2("held")).toBeUndefined();
  await world.remove("holder");
  await world.settled("loser");
  expect(await world.atV2("held")).toEqual({ k: "v" });
});

test.each([
  ["Destroy", undefined],
  ["Retain", { k: "v" }],
])("deletion proceeds, with %s", async (deletionPolicy, left) => {
  const name = `deleted-${deletionPolicy.toLowerCase()}`;
  await world.sync(name, { path: `${world.v2}/${name}`, deletionPolicy, secrets: await world.entries({ k: "v" }) });
  await world.edit(name, { suspend: true });
  await world.settled(name, "Suspended");
  await world.remove(name);
  expect(await world.atV2(name)).toEqual(left);
});

test("a deletionPolicy that is set meanwhile counts: the data is not forgotten", async () => {
  await world.sync("armed", { path: `${world.v2}/armed`, secrets: await world.entries({ k: "v" }) });
  await world.edit("armed", { suspend: true });
  await world.settled("armed", "Suspended");
  await world.edit("armed", { deletionPolicy: "Destroy" });
  await eventually(async () => expect(await world.finalizersOf("armed")).toEqual([deleteFinalizer]));
  await world.remove("armed");
  expect(await world.metadataOf("armed")).toBeUndefined();
});
