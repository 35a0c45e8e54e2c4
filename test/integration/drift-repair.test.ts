// Whatever somebody does to the data in Vault, the next look puts it right: at each resync, and at once when asked.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { condition, startWorld, type World } from "./world.ts";

const right = { k: "right", other: "too" };
let world: World;
beforeAll(async () => {
  world = await startWorld({ args: ["--sync-period-seconds=1"] });
});
afterAll(() => world[Symbol.asyncDispose]());

type Harm = (path: string) => Promise<unknown>;

/** The same versions as before, of other data: what a version number alone does not tell. */
const rewriteToTheSameVersion: Harm = async (path) => {
  await world.vault.delete(`${world.v2}/metadata/${path}`);
  await world.foreignV2(path, { k: "wrong" });
};

const harmsV2: readonly [string, Harm][] = [
  ["changed", (path) => world.foreignV2(path, { ...right, k: "wrong" })],
  ["given one key more", (path) => world.foreignV2(path, { ...right, extra: "x" })],
  ["emptied", (path) => world.foreignV2(path, {})],
  ["deleted, latest version", (path) => world.vault.delete(`${world.v2}/data/${path}`)],
  ["destroyed", (path) => world.vault.write(`${world.v2}/destroy/${path}`, { versions: [1] })],
  ["wiped with its metadata", (path) => world.vault.delete(`${world.v2}/metadata/${path}`)],
  ["wiped and rewritten up to the same version", rewriteToTheSameVersion],
];

const harmsV1: readonly [string, Harm][] = [
  ["changed", (path) => world.foreignV1(path, { ...right, k: "wrong" })],
  ["given one key more", (path) => world.foreignV1(path, { ...right, extra: "x" })],
  ["deleted", (path) => world.vault.delete(`${world.v1}/${path}`)],
];

describe.concurrent("within a resync", () => {
  test.each(harmsV2)("KV v2 data that was %s is there again", async (how, harm) => {
    const path = how.replaceAll(/[^a-z0-9]+/g, "-");
    await world.sync(path, { path: `${world.v2}/data/${path}`, secrets: await world.entries(right) });
    await harm(path);
    await eventually(async () => expect(await world.atV2(path)).toEqual(right), { timeoutMs: 5_000 });
    await eventually(async () => {
      const { status } = await world.get(path);
      expect(status.vault.version).toBe(await world.versionOf(path));
    });
  });

  test.each(harmsV1)("KV v1 data that was %s is there again", async (how, harm) => {
    const path = `v1-${how.replaceAll(/[^a-z0-9]+/g, "-")}`;
    await world.sync(path, { path: `${world.v1}/${path}`, secrets: await world.entries(right) });
    await harm(path);
    await eventually(async () => expect(await world.atV1(path)).toEqual(right), { timeoutMs: 5_000 });
  });
});

test("a harmless touch, metadata and the same data again, is no reason to write", async () => {
  await world.sync("touched", { path: `${world.v2}/data/touched`, secrets: await world.entries(right) });
  await world.vault.write(`${world.v2}/metadata/touched`, { max_versions: 5, custom_metadata: { note: "mine" } });
  await world.foreignV2("touched", right);
  await eventually(async () => {
    expect((await world.get("touched")).status.vault.version).toBe(2);
  });
  expect(await world.versionOf("touched")).toBe(2);
  expect((await world.vault.read(`${world.v2}/metadata/touched`)).custom_metadata).toMatchObject({ note: "mine" });
});

test("at once, without any resync, when the annotation asks for it", async () => {
  await world.restart({ args: ["--sync-period-seconds=0"] });
  await world.sync("asked", { path: `${world.v2}/data/asked`, secrets: await world.entries(right) });
  await world.vault.delete(`${world.v2}/data/asked`);
  await world.request("asked");
  await eventually(async () => expect(await world.atV2("asked")).toEqual(right));
  const object = await world.settled("asked");
  expect(condition(object, "Ready").status).toBe("True");
  await world.event("asked", "SecretCreated");
});
