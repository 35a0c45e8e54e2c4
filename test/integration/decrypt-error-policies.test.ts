// `onDecryptError`, on both engines: what becomes of Vault's data while one entry cannot be decrypted. Keep loses nothing,
// Fail touches nothing, Skip does what the original did.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EntryManifest, openScene, type Scene } from "./scene.ts";

let scene: Scene;
/** Under another context than the object gives. */
let bad: EntryManifest;

beforeAll(async () => {
  scene = await openScene();
  await scene.start();
  bad = { key: "bad", encryptedSecret: await scene.encrypt("x", { app: "other" }) };
});

afterAll(() => scene[Symbol.asyncDispose]());

async function entries(values: Readonly<Record<string, string>>): Promise<EntryManifest[]> {
  return Promise.all(Object.entries(values).map(([key, value]) => scene.entry(key, value)));
}

interface Placed {
  readonly path: string;
  readonly found: () => Promise<unknown>;
}

const engines: ReadonlyArray<{ engine: string; place: (name: string) => Placed }> = [
  { engine: "v1", place: (name) => ({ path: `${scene.v1}/${name}`, found: () => scene.atV1(name) }) },
  { engine: "v2", place: (name) => ({ path: `${scene.v2}/data/${name}`, found: () => scene.atV2(name) }) },
];

describe.each(engines)("KV $engine", ({ engine, place }) => {
  /** An object in sync with the keys good, bad and dropped. */
  async function synced(name: string, spec: object = {}): Promise<Placed> {
    const placed = place(name);
    const secrets = await entries({ good: "old", bad: "kept", dropped: "kept" });
    await scene.create(name, { path: placed.path, secrets, ...spec });
    await scene.untilReady(name, "Synced");
    return placed;
  }

  test("Keep: no key leaves Vault while one fails, not even one that left the object", async () => {
    const name = `keep-${engine}`;
    const { found } = await synced(name);
    const good = await scene.entry("good", "new");
    await scene.edit(name, { secrets: [good, bad] });
    await scene.untilReady(name, "DecryptingError");
    expect(await found()).toEqual({ good: "new", bad: "kept", dropped: "kept" });
    await scene.edit(name, { secrets: [good, await scene.entry("bad", "mended")] });
    await scene.untilReady(name, "Synced");
    expect(await found()).toEqual({ good: "new", bad: "mended" });
  });

  test("Keep: the failing key leaves the object, and then Vault", async () => {
    const name = `left-${engine}`;
    const { found } = await synced(name);
    await scene.edit(name, { secrets: [await scene.entry("good", "new"), bad] });
    await scene.untilReady(name, "DecryptingError");
    await scene.edit(name, { secrets: await entries({ good: "newer" }) });
    await scene.untilReady(name, "Synced");
    expect(await found()).toEqual({ good: "newer" });
  });

  test("Fail: nothing is written while one fails", async () => {
    const name = `fail-${engine}`;
    const { found } = await synced(name, { onDecryptError: "Fail" });
    const good = await scene.entry("good", "new");
    await scene.edit(name, { secrets: [good, bad] });
    await scene.untilReady(name, "DecryptingError");
    expect(await found()).toEqual({ good: "old", bad: "kept", dropped: "kept" });
    await scene.edit(name, { secrets: [good] });
    await scene.untilReady(name, "Synced");
    expect(await found()).toEqual({ good: "new" });
  });

  test("Skip: the others are written, the failing key goes", async () => {
    const name = `skip-${engine}`;
    const { found } = await synced(name, { onDecryptError: "Skip" });
    await scene.edit(name, { secrets: [await scene.entry("good", "new"), bad] });
    await scene.untilReady(name, "DecryptingError");
    expect(await found()).toEqual({ good: "new" });
    expect((await scene.status(name)).keys).toEqual({ synced: 1, failed: ["bad"] });
  });

  test("Skip: when nothing decrypts, nothing is written", async () => {
    const name = `skip-all-${engine}`;
    const { found } = await synced(name, { onDecryptError: "Skip" });
    await scene.edit(name, { secrets: [bad] });
    await scene.untilReady(name, "DecryptingError");
    expect(await found()).toEqual({ good: "old", bad: "kept", dropped: "kept" });
  });

  test("a change of the policy alone takes effect at once", async () => {
    const name = `change-${engine}`;
    const { found } = await synced(name, { onDecryptError: "Fail" });
    await scene.edit(name, { secrets: [await scene.entry("good", "new"), bad] });
    await scene.untilReady(name, "DecryptingError");
    await scene.edit(name, { onDecryptError: null });
    await scene.untilReady(name, "DecryptingError");
    expect(await found()).toEqual({ good: "new", bad: "kept", dropped: "kept" });
  });
});

describe("with casIndex", () => {
  test("a failed entry writes nothing, whatever Vault could have kept", async () => {
    const path = `${scene.v2}/data/cas`;
    const kvSettings = { engineVersion: "v2", casIndex: 0 };
    await scene.create("cas", { path, kvSettings, secrets: await entries({ good: "1", bad: "1" }) });
    await scene.untilReady("cas", "Synced");
    const good = await scene.entry("good", "2");
    await scene.edit("cas", { secrets: [good, bad], kvSettings: { casIndex: 1 } });
    await scene.untilReady("cas", "DecryptingError");
    expect(await scene.versionOf("cas")).toBe(1);
    await scene.edit("cas", { secrets: [good, await scene.entry("bad", "2")] });
    await scene.untilReady("cas", "Synced");
    expect(await scene.atV2("cas")).toEqual({ good: "2", bad: "2" });
    expect(await scene.versionOf("cas")).toBe(2);
  });

  test("Skip writes the others, as the original did", async () => {
    const path = `${scene.v2}/data/cas-skip`;
    const kvSettings = { engineVersion: "v2", casIndex: 0 };
    const secrets = [await scene.entry("good", "1"), bad];
    await scene.create("cas-skip", { path, kvSettings, secrets, onDecryptError: "Skip" });
    await scene.untilReady("cas-skip", "DecryptingError");
    expect(await scene.atV2("cas-skip")).toEqual({ good: "1" });
  });
});

test("data of somebody else is not touched because of an object that fails", async () => {
  await scene.vault.write(`${scene.v2}/data/foreign`, { data: { good: "theirs", other: "theirs" } });
  await scene.create("foreign", { path: `${scene.v2}/foreign`, secrets: [await scene.entry("good", "ours"), bad] });
  await scene.untilReady("foreign", "DecryptingError");
  expect(await scene.atV2("foreign")).toEqual({ good: "theirs", other: "theirs" });
  expect(await scene.versionOf("foreign")).toBe(1);
});

test("the others go on, the operator is unharmed", async () => {
  await scene.expectNeighbourGoesOn();
  await scene.expectUnharmed();
});
