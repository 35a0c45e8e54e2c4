// A KV v1 mount that is upgraded to KV v2 in place, as its owner may at any time: what the operator wrote before is found
// again at its new address, kept right there, and removed when its object goes.
import { afterAll, beforeAll, expect, test } from "vitest";
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { eventually } from "../env/eventually.ts";
import { mountKv } from "../env/unique.ts";
import { startWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld({ args: ["--sync-period-seconds=0"] });
});
afterAll(() => world[Symbol.asyncDispose]());

/** Resolves when the mount has taken its data along. */
async function upgraded(mount: string, data: object): Promise<void> {
  await world.vault.write(`sys/mounts/${mount}/tune`, { options: { version: "2" } });
  await eventually(async () => expect((await world.vault.read(`${mount}/data/x`))?.data).toEqual(data));
}

test.each(["Replace", "Merge"])("with %s, deleted since: the data is gone", async (writeMode) => {
  const name = `deleted-${writeMode.toLowerCase()}`;
  const mount = await mountKv(world.vault, "v1");
  const spec = { path: `${mount}/x`, writeMode, deletionPolicy: "Destroy" };
  await world.sync(name, { ...spec, secrets: await world.entries({ k: "v" }) });
  await upgraded(mount, { k: "v" });
  await world.remove(name);
  expect((await world.vault.read(`${mount}/data/x`))?.data ?? undefined).toBeUndefined();
});

test("deleted since, but somebody has written there: Vault is left alone", async () => {
  const mount = await mountKv(world.vault, "v1");
  const spec = { path: `${mount}/x`, secrets: await world.entries({ k: "v" }) };
  await world.sync("rewritten", spec, { finalizers: [deleteFinalizer] });
  await upgraded(mount, { k: "v" });
  await world.vault.write(`${mount}/data/x`, { data: { k: "theirs" } });
  await world.remove("rewritten");
  await world.event("rewritten", "Released");
  expect((await world.vault.read(`${mount}/data/x`)).data).toEqual({ k: "theirs" });
});

test("edited since: written at the new address, and gone from there with the object", async () => {
  const mount = await mountKv(world.vault, "v1");
  const spec = { path: `${mount}/x`, deletionPolicy: "Destroy" };
  await world.sync("edited", { ...spec, secrets: await world.entries({ k: "1" }) });
  await upgraded(mount, { k: "1" });
  // The first look finds the mount to be another than it was.
  await world.poke("edited");
  await world.edit("edited", { secrets: await world.entries({ k: "2" }) });
  await world.settled("edited");
  expect((await world.vault.read(`${mount}/data/x`)).data).toEqual({ k: "2" });
  await world.remove("edited");
  expect(await world.vault.read(`${mount}/metadata/x`)).toBeUndefined();
});
