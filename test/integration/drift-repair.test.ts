// Whatever somebody does to the data in Vault, the next look puts it right: at each resync, and at once when asked.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { condition, type Engine, openWorld, type World } from "./world.ts";

const right = { k: "right", other: "too" };
let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

type Harm = (path: string) => Promise<unknown>;

/** The same versions as before, of other data: what a version number alone does not tell. */
const rewriteToTheSameVersion: Harm = async (path) => {
  await world.vault.delete(`${world.v2}/metadata/${path}`);
  await world.foreignV2(path, { k: "wrong" });
};

/** As an object of the same cluster left it that is no more. */
const anothersMark: Harm = async (path) => {
  const custom = await world.customOf(path);
  await world.foreignCustom(path, { ...custom, owner: "gone/gone", uid: "0b9f6f6e-1c7c-4c3b-9d7f-3d1f0a1b2c3d" });
};

const harmsV2: readonly [string, Harm][] = [
  ["changed", (path) => world.foreignV2(path, { ...right, k: "wrong" })],
  ["given one key more", (path) => world.foreignV2(path, { ...right, extra: "x" })],
  ["emptied", (path) => world.foreignV2(path, {})],
  ["deleted, latest version", (path) => world.vault.delete(`${world.v2}/data/${path}`)],
  ["destroyed", (path) => world.vault.write(`${world.v2}/destroy/${path}`, { versions: [1] })],
  ["wiped with its metadata", (path) => world.vault.delete(`${world.v2}/metadata/${path}`)],
  ["wiped and rewritten up to the same version", rewriteToTheSameVersion],
  ["stripped of its mark", (path) => world.foreignCustom(path, {})],
  ["given another's mark of this cluster", anothersMark],
];

const harmsV1: readonly [string, Harm][] = [
  ["changed", (path) => world.foreignV1(path, { ...right, k: "wrong" })],
  ["given one key more", (path) => world.foreignV1(path, { ...right, extra: "x" })],
  ["deleted", (path) => world.vault.delete(`${world.v1}/${path}`)],
];

describe.each([
  ["within a resync", "--sync-period-seconds=1"],
  ["at once, without any resync, when the annotation asks for it", "--sync-period-seconds=0"],
])("%s", (when, period) => {
  beforeAll(() => world.start({ args: [period] }));
  afterAll(() => world.operator.stop());

  const isAsked = period.endsWith("=0");
  const nameOf = (engine: Engine, how: string) =>
    `${engine}-${how.replaceAll(/[^a-z0-9]+/g, "-")}-${isAsked ? "asked" : "by-itself"}`;

  describe.concurrent("all at the same time", () => {
    test.each(harmsV2)("KV v2 data that was %s is right again", async (how, harm) => {
      const path = nameOf("v2", how);
      const { metadata } = await world.sync(path, { path: `${world.v2}/${path}`, secrets: await world.entries(right) });
      await harm(path);
      if (isAsked) await world.request(path);
      await eventually(
        async () => {
          expect(await world.atV2(path)).toEqual(right);
          expect((await world.customOf(path))["uid"]).toBe(metadata.uid);
        },
        { timeoutMs: 5_000 },
      );
      await eventually(async () => {
        const { status } = await world.get(path);
        expect(status.vault.version).toBe(await world.versionOf(path));
      });
    });

    test.each(harmsV1)("KV v1 data that was %s is right again", async (how, harm) => {
      const path = nameOf("v1", how);
      await world.sync(path, { path: `${world.v1}/${path}`, secrets: await world.entries(right) });
      await harm(path);
      if (isAsked) await world.request(path);
      await eventually(async () => expect(await world.atV1(path)).toEqual(right), { timeoutMs: 5_000 });
    });
  });

  test("a harmless touch, metadata and the same data again, is no reason to write", async () => {
    const path = nameOf("v2", "touched");
    await world.sync(path, { path: `${world.v2}/${path}`, secrets: await world.entries(right) });
    const marked = await world.customOf(path);
    await world.vault.write(`${world.v2}/metadata/${path}`, {
      max_versions: 5,
      custom_metadata: { ...marked, note: "mine" },
    });
    await world.foreignV2(path, right);
    if (isAsked) await world.request(path);
    await eventually(async () => {
      expect((await world.get(path)).status.vault.version).toBe(2);
    });
    expect(await world.metadataOf(path)).toMatchObject({ current_version: 2, max_versions: 5 });
    expect(await world.customOf(path)).toEqual({ ...marked, note: "mine" });
  });

  test("a repair is told, counted, and costs one version", async () => {
    const path = nameOf("v2", "told");
    await world.sync(path, { path: `${world.v2}/${path}`, secrets: await world.entries(right) });
    const before = await world.operator.metric("kms_vault_operator_repairs_total");
    await world.foreignV2(path, { k: "wrong" });
    if (isAsked) await world.request(path);
    await eventually(async () => expect(await world.atV2(path)).toEqual(right));
    await eventually(async () => {
      expect(await world.operator.metric("kms_vault_operator_repairs_total")).toBe(before + 1);
    });
    await world.poke(path);
    expect(await world.versionOf(path)).toBe(3);
    expect(condition(await world.settled(path), "Ready").status).toBe("True");
    await world.event(path, "SecretCreated");
  });
});

test("deleted and undeleted between two looks: the same version again, so nothing is written", async () => {
  await world.start({ args: ["--sync-period-seconds=0"] });
  await world.sync("undeleted", { path: `${world.v2}/undeleted`, secrets: await world.entries(right) });
  await world.vault.delete(`${world.v2}/data/undeleted`);
  await world.vault.write(`${world.v2}/undelete/undeleted`, { versions: [1] });
  await world.poke("undeleted");
  expect(await world.versionOf("undeleted")).toBe(1);
  // And an old version that comes back is no business of the object's.
  await world.sync("undeleted", { path: `${world.v2}/undeleted`, secrets: await world.entries({ k: "2" }) });
  await world.vault.write(`${world.v2}/delete/undeleted`, { versions: [1] });
  await world.vault.write(`${world.v2}/undelete/undeleted`, { versions: [1] });
  await world.poke("undeleted");
  expect(await world.versionOf("undeleted")).toBe(2);
});
