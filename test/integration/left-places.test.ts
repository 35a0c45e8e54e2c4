// What an object has left and could not have removed yet, or must not: it is kept in the record until it is settled, never
// longer; and an object that comes back to such a place finds it its own.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { uniqueName } from "../env/unique.ts";
import { engines, openWorld, type World } from "./world.ts";

const policy = uniqueName("policy");
const writing = ["create", "read", "update", "patch"];
let world: World;

beforeAll(async () => {
  world = await openWorld({ args: ["--sync-period-seconds=0"] });
  await grant(undeletable("freed-old"));
  const { auth } = await world.vault.write("auth/token/create", { policies: [policy], no_default_policy: true });
  await world.start({ env: { VAULT_TOKEN: auth.client_token } });
});
afterAll(() => world[Symbol.asyncDispose]());

/** Everything in this world's mounts, but for what `rules` say; nothing below `stuck/` may be deleted. */
async function grant(rules: Readonly<Record<string, readonly string[]>>): Promise<void> {
  const all = {
    [`${world.v1}/*`]: [...writing, "delete"],
    [`${world.v2}/*`]: [...writing, "delete"],
    ...undeletable("stuck/*"),
    "sys/internal/ui/mounts/*": ["read"],
    ...rules,
  };
  const path = Object.fromEntries(Object.entries(all).map(([at, capabilities]) => [at, { capabilities }]));
  await world.vault.write(`sys/policies/acl/${policy}`, { policy: JSON.stringify({ path }) });
}

/** Rules for a place that may be written and not removed. */
function undeletable(path: string): Readonly<Record<string, readonly string[]>> {
  const { v1, v2 } = world;
  return { [`${v1}/${path}`]: writing, [`${v2}/data/${path}`]: writing, [`${v2}/metadata/${path}`]: writing };
}

/** Waits until the record of an object names so many places that it has left. */
async function untilFormer(name: string, count: number): Promise<void> {
  await eventually(async () => expect((await world.get(name)).status.record.former ?? []).toHaveLength(count));
}

test("a version that is in sync by casIndex alone makes nothing leave the old place, until the object has written", async () => {
  const kvSettings = { engineVersion: "v2", casIndex: 0 };
  const secrets = await world.entries({ k: "v" });
  await world.sync("cas", { path: `${world.v2}/data/cas-old`, kvSettings, deletionPolicy: "Destroy", secrets });
  await world.foreignV2("cas-new", { theirs: "x" });
  await world.edit("cas", { path: `${world.v2}/data/cas-new` });
  await world.settled("cas");
  await world.poke("cas");
  expect(await world.atV2("cas-old")).toEqual({ k: "v" });
  expect(await world.atV2("cas-new")).toEqual({ theirs: "x" });

  await world.edit("cas", { kvSettings: { engineVersion: "v2", casIndex: 1 } });
  await world.settled("cas");
  expect(await world.atV2("cas-new")).toEqual({ k: "v" });
  await eventually(async () => expect(await world.metadataOf("cas-old")).toBeUndefined());
});

describe.each(engines)("on KV %s", (engine) => {
  test("once it could be removed a place is forgotten: what somebody puts there afterwards stays, be it the same", async () => {
    const name = `freed-${engine}`;
    const secrets = await world.entries({ k: "v" });
    await grant(undeletable("freed-old"));
    await world.sync(name, { path: `${world[engine]}/freed-old`, deletionPolicy: "Destroy", secrets });
    const custom = await world.customOf("freed-old");
    await world.edit(name, { path: `${world[engine]}/freed-new` });
    await world.settled(name);
    await untilFormer(name, 1);
    expect(await world.at(engine, "freed-old")).toEqual({ k: "v" });

    await grant({});
    await world.request(name);
    await eventually(async () => expect(await world.at(engine, "freed-old")).toBeUndefined());
    await untilFormer(name, 0);
    await world.foreign(engine, "freed-old", { k: "v" });
    // As it comes back from a backup.
    if (engine === "v2") await world.foreignCustom("freed-old", custom);
    await world.poke(name);
    await world.edit(name, { secrets: await world.entries({ k: "2" }) });
    await world.settled(name);
    await world.remove(name);
    expect(await world.at(engine, "freed-new")).toBeUndefined();
    expect(await world.at(engine, "freed-old")).toEqual({ k: "v" });
  });

  test.each(["Replace", "Merge"])(
    "with %s, away and back while the old place cannot be removed: in sync at once, with whatever value",
    async (writeMode) => {
      const name = `back-${writeMode.toLowerCase()}-${engine}`;
      const [old, next] = [`stuck/${name}`, `${name}-new`];
      const path = `${world[engine]}/${old}`;
      const secrets = await world.entries({ k: "v" });
      await world.sync(name, { path, writeMode, deletionPolicy: "Destroy", secrets });
      await world.edit(name, { path: `${world[engine]}/${next}` });
      await world.settled(name);
      await untilFormer(name, 1);
      await world.edit(name, { path, secrets: await world.entries({ k: "2" }) });
      await world.settled(name);
      expect(await world.at(engine, old)).toEqual({ k: "2" });
      await eventually(async () => expect((await world.at(engine, next)) ?? {}).toEqual({}));
      await untilFormer(name, 0);
    },
  );

  test("a move that is taken back while its values are decrypted writes nothing and removes nothing", async () => {
    const name = `reverted-${engine}`;
    const path = `${world[engine]}/${name}-old`;
    await world.sync(name, { path, deletionPolicy: "Destroy", secrets: await world.entries({ k: "v" }) });
    const [before, mark] = [await world.decryptions(), await world.mark()];
    await world.kms.faults({ latencyMs: 1_000, operations: ["Decrypt"] });
    try {
      await world.edit(name, { path: `${world[engine]}/${name}-new` });
      await eventually(async () => expect(await world.decryptions()).toBeGreaterThan(before));
      await world.edit(name, { path });
    } finally {
      await world.kms.faults({});
    }
    await world.settled(name);
    await untilFormer(name, 0);
    expect(await world.at(engine, `${name}-old`)).toEqual({ k: "v" });
    const changes = (await world.asked(mark)).filter(({ operation }) => operation !== "read");
    expect(changes).toEqual([]);
  });
});

describe.each(engines)("merging on KV %s, moved while an entry fails", (engine) => {
  /** An object at `<name>-new`, beside a stranger's key, with the values of `<name>-old`. */
  async function movedWithFailure(name: string) {
    const [good, fails] = await world.entries({ good: "g", fails: "f" });
    await world.foreign(engine, `${name}-new`, { theirs: "x" });
    const spec = { path: `${world[engine]}/${name}-old`, writeMode: "Merge", deletionPolicy: "Destroy" };
    await world.sync(name, { ...spec, secrets: [good, fails] });
    const broken = { ...fails, secretContext: { not: "its context" } };
    await world.edit(name, { path: `${world[engine]}/${name}-new`, secrets: [good, broken] });
    await world.settled(name, "DecryptingError");
    expect(await world.at(engine, `${name}-new`)).toEqual({ theirs: "x", good: "g", fails: "f" });
    return good;
  }

  test("healed with another value it is in sync", async () => {
    const name = `healed-${engine}`;
    await movedWithFailure(name);
    await world.edit(name, { secrets: await world.entries({ good: "g", fails: "2" }) });
    await world.settled(name);
    expect(await world.at(engine, `${name}-new`)).toEqual({ theirs: "x", good: "g", fails: "2" });
    await eventually(async () => expect((await world.at(engine, `${name}-old`)) ?? {}).toEqual({}));
  });

  test("the key that was carried over goes when it is dropped, and with the object", async () => {
    const name = `dropped-${engine}`;
    const good = await movedWithFailure(name);
    await world.edit(name, { secrets: [good] });
    await world.settled(name);
    expect(await world.at(engine, `${name}-new`)).toEqual({ theirs: "x", good: "g" });
    const other = `dropped-with-object-${engine}`;
    await movedWithFailure(other);
    await world.remove(name);
    await world.remove(other);
    expect(await world.at(engine, `${name}-new`)).toEqual({ theirs: "x" });
    expect(await world.at(engine, `${other}-new`)).toEqual({ theirs: "x" });
    expect((await world.at(engine, `${other}-old`)) ?? {}).toEqual({});
  });
});
