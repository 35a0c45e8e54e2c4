// The mark: what the operator wrote on KV v2 says whose it is, in custom_metadata. It decides against outsiders only,
// costs nobody their own custom_metadata, and where Vault's policies do not allow it the objects are synced all the same.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { condition, openWorld, startWorld, type World } from "./world.ts";

const finalizers = [deleteFinalizer];
let world: World;
let cluster: string;
beforeAll(async () => {
  world = await startWorld({ args: ["--sync-period-seconds=0"] });
  cluster = await world.clusterId();
});
afterAll(() => world[Symbol.asyncDispose]());

/** The mark that an object leaves. */
function markOf({ metadata }: { readonly metadata: { readonly name: string; readonly uid: string } }) {
  const owner = `${world.namespace}/${metadata.name}`;
  return { "managed-by": "kms-vault-operator", owner, uid: metadata.uid, cluster };
}

const strangers = { "managed-by": "kms-vault-operator", uid: "0b9f6f6e-1c7c-4c3b-9d7f-3d1f0a1b2c3d" };

test("a write leaves the mark, beside what users keep there", async () => {
  await world.foreignCustom("marked", { team: "payments", owner_mail: "a@example.com" });
  const path = `${world.v2}/data/marked`;
  const object = await world.sync("marked", { path, secrets: await world.entries({ k: "1" }) });
  const marked = { ...markOf(object), team: "payments", owner_mail: "a@example.com" };
  expect(await world.customOf("marked")).toEqual(marked);
  await world.foreignCustom("marked", { ...marked, team: "billing" });
  await world.sync("marked", { path, secrets: await world.entries({ k: "2" }) });
  expect(await world.customOf("marked")).toEqual({ ...marked, team: "billing" });
});

test("equal data that is adopted is marked as well, without a new version", async () => {
  await world.foreignV2("equal", { k: "v" });
  const secrets = await world.entries({ k: "v" });
  const object = await world.sync("equal", { path: `${world.v2}/data/equal`, secrets });
  expect(await world.customOf("equal")).toEqual(markOf(object));
  expect(await world.versionOf("equal")).toBe(1);
});

test("an object that was made anew under its name adopts what the former one wrote", async () => {
  await world.foreignV2("rebuilt", { k: "old" });
  await world.foreignCustom("rebuilt", { ...strangers, owner: `${world.namespace}/rebuilt`, cluster, note: "mine" });
  const secrets = await world.entries({ k: "new" });
  const object = await world.sync("rebuilt", { path: `${world.v2}/data/rebuilt`, secrets });
  expect(await world.atV2("rebuilt")).toEqual({ k: "new" });
  expect(await world.customOf("rebuilt")).toEqual({ ...markOf(object), note: "mine" });
});

test.each([
  ["other", "theirs"],
  ["equal", "ours"],
])("another cluster's mark on %s data: PathConflict, nothing written, until annotated", async (what, value) => {
  const name = `outsider-${what}`;
  const theirs = { ...strangers, owner: `${world.namespace}/${name}`, cluster: "another-cluster" };
  await world.foreignV2(name, { k: value });
  await world.foreignCustom(name, theirs);
  await world.apply(name, { path: `${world.v2}/data/${name}`, secrets: await world.entries({ k: "ours" }) });
  const refused = await world.settled(name, "PathConflict");
  expect(condition(refused, "Ready").message).toContain('k8s.patoarvizu.dev/adopt: "true"');
  expect(await world.event(name, "PathConflict")).toMatchObject({ type: "Warning" });
  expect(await world.atV2(name)).toEqual({ k: value });
  expect(await world.versionOf(name)).toBe(1);
  expect(await world.customOf(name)).toEqual(theirs);

  await world.annotate(name, { "k8s.patoarvizu.dev/adopt": "true" });
  const adopted = await world.settled(name);
  expect(await world.atV2(name)).toEqual({ k: "ours" });
  expect(await world.customOf(name)).toEqual(markOf(adopted));
});

test("the heir of a holder that left while no operator ran takes over by the mark", async () => {
  const path = `${world.v2}/data/inherited`;
  await world.sync("deceased", { path, secrets: await world.entries({ k: "first" }) });
  await world.operator.stop();
  await world.delete("deceased");
  await world.apply("heir", { path, secrets: await world.entries({ k: "second" }) });
  await world.start();
  const heir = await world.settled("heir");
  expect(await world.atV2("inherited")).toEqual({ k: "second" });
  expect(await world.customOf("inherited")).toEqual(markOf(heir));
});

describe("removal", () => {
  test("a mark that carries another uid: the object is released, Vault is left alone", async () => {
    const path = `${world.v2}/data/taken`;
    const object = await world.sync("taken", { path, secrets: await world.entries({ k: "v" }) }, { finalizers });
    const theirs = { ...markOf(object), uid: strangers.uid };
    await world.foreignCustom("taken", theirs);
    await world.remove("taken");
    await world.event("taken", "Released");
    expect(await world.atV2("taken")).toEqual({ k: "v" });
    expect(await world.customOf("taken")).toEqual(theirs);
  });

  test("the mark is ours and the version too: gone", async () => {
    const path = `${world.v2}/data/ours`;
    await world.sync("ours", { path, secrets: await world.entries({ k: "v" }) }, { finalizers });
    await world.foreignCustom("ours", { ...(await world.customOf("ours")), note: "mine" });
    await world.remove("ours");
    expect(await world.metadataOf("ours")).toBeUndefined();
  });
});

describe("with Vault policies that were written for the original", () => {
  let poor: World;
  beforeAll(async () => {
    poor = await openWorld({ args: ["--sync-period-seconds=0"] });
    const token = await poor.tokenWith({
      [`${poor.v2}/data/*`]: ["create", "read", "update"],
      [`${poor.v2}/metadata/readable`]: ["read"],
      [`${poor.v2}/metadata/deletable`]: ["delete"],
      [`${poor.v2}/metadata/no-patch`]: ["read", "update"],
      // No patch: a mark beside keys of the user's is written with all of them, and Vault counts them.
      [`${poor.v2}/metadata/full`]: ["read", "update", "delete"],
      [`${poor.v1}/*`]: ["create", "update", "delete"],
    });
    await poor.start({ env: { VAULT_TOKEN: token } });
  });
  afterAll(() => poor[Symbol.asyncDispose]());

  /** What was tried to change the metadata of a path. */
  async function attempts(path: string, since: Awaited<ReturnType<World["mark"]>>): Promise<readonly string[]> {
    const asked = await poor.asked(since);
    return asked
      .filter((one) => one.path === `${poor.v2}/metadata/${path}`)
      .map(({ operation }) => operation)
      .filter((operation) => operation !== "read");
  }

  test.each([
    ["neither read nor written", "nothing", "data"],
    ["read only", "readable", "metadata"],
  ])(
    "metadata may be %s: synced without a mark, the status says what is missing, and it is not tried with each look",
    async (_what, name, observed) => {
      const since = await poor.mark();
      const path = `${poor.v2}/data/${name}`;
      const object = await poor.sync(name, { path, secrets: await poor.entries({ k: "1" }) });
      expect(await poor.atV2(name)).toEqual({ k: "1" });
      expect(await poor.customOf(name)).toEqual({});
      const { message } = condition(object, "Ready");
      expect(message).toContain("VaultPermissionDenied");
      expect(message).toContain(`${poor.v2}/metadata/${name}`);
      expect(message).toMatch(/\b(patch|update)\b/);
      await poor.poke(name);
      await poor.sync(name, { path, secrets: await poor.entries({ k: "2" }) });
      await poor.poke(name);
      expect(await poor.atV2(name)).toEqual({ k: "2" });
      // By PATCH, and by reading and writing where that is denied: each of them once.
      const tried = await attempts(name, since);
      expect(tried).toContain("patch");
      expect(tried).toEqual([...new Set(tried)]);
      const steady = await poor.mark();
      await poor.poke(name);
      expect((await poor.asked(steady)).map(({ operation, path: asked }) => `${operation} ${asked}`)).toEqual([
        `read ${poor.v2}/${observed}/${name}`,
      ]);
    },
  );

  test("without the mark the removal relies on record and version", async () => {
    const path = `${poor.v2}/data/deletable`;
    await poor.sync("deletable", { path, secrets: await poor.entries({ k: "v" }) }, { finalizers });
    await poor.remove("deletable");
    expect(await poor.metadataOf("deletable")).toBeUndefined();
  });

  test("patch denied, read and update granted: the mark is written all the same, users' own keys are kept", async () => {
    await poor.foreignCustom("no-patch", { team: "payments" });
    const path = `${poor.v2}/data/no-patch`;
    const object = await poor.sync("no-patch", { path, secrets: await poor.entries({ k: "v" }) });
    expect(await poor.customOf("no-patch")).toMatchObject({ team: "payments", uid: object.metadata.uid });
    expect(condition(object, "Ready").message).not.toContain("VaultPermissionDenied");
  });

  test("no room for the mark beside the user's own keys: synced all the same, the status says so, and it is tried once", async () => {
    // As many as Vault takes.
    const custom = Object.fromEntries(Array.from({ length: 64 }, (_, index) => [`note-${index}`, "mine"]));
    await poor.foreignCustom("full", custom);
    const path = `${poor.v2}/data/full`;
    const since = await poor.mark();
    const object = await poor.sync("full", { path, secrets: await poor.entries({ k: "v" }) }, { finalizers });
    expect(condition(object, "Ready").message).toContain(`${poor.v2}/metadata/full`);
    expect(await poor.atV2("full")).toEqual({ k: "v" });
    expect(await poor.customOf("full")).toEqual(custom);
    await poor.poke("full");
    await poor.sync("full", { path, secrets: await poor.entries({ k: "2" }) }, { finalizers });
    await poor.poke("full");
    expect(await attempts("full", since)).toEqual(["patch", "update"]);
    await poor.remove("full");
    expect(await poor.metadataOf("full")).toBeUndefined();
  });

  test("KV v1 has no mark and misses none; where it may not be read the record alone allows the removal", async () => {
    const kvSettings = { engineVersion: "v1" };
    const spec = { path: `${poor.v1}/v1`, kvSettings, deletionPolicy: "Destroy" };
    await poor.sync("v1", { ...spec, secrets: await poor.entries({ k: "v" }) });
    expect(await poor.atV1("v1")).toEqual({ k: "v" });
    await poor.remove("v1");
    expect(await poor.atV1("v1")).toBeUndefined();
  });
});
