// spec.kvMetadata: KV v2's own options of one secret. They are written when they differ from what the object says, never
// otherwise, and what the object does not name is left as it is.
import { afterAll, beforeAll, expect, test } from "vitest";
import { condition, openWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld({ args: ["--sync-period-seconds=0"] });
  const token = await world.tokenForAllBut({
    [`${world.v2}/metadata/denied`]: ["read"],
  });
  await world.start({ env: { VAULT_TOKEN: token } });
});
afterAll(() => world[Symbol.asyncDispose]());

async function synced(name: string, kvMetadata: object) {
  return world.sync(name, { path: `${world.v2}/${name}`, secrets: await world.entries({ k: "v" }), kvMetadata });
}

/** Writes to the metadata of a path, by whomever. */
async function metadataWrites(path: string, since: Awaited<ReturnType<World["mark"]>>): Promise<number> {
  const asked = await world.asked(since);
  return asked.filter((one) => one.path === `${world.v2}/metadata/${path}` && one.operation !== "read").length;
}

test("written with the secret; at the looks after it only read", async () => {
  await synced("both", { maxVersions: 5, deleteVersionAfter: "36h" });
  expect(await world.metadataOf("both")).toMatchObject({ max_versions: 5, delete_version_after: "36h0m0s" });
  const mark = await world.mark();
  await world.poke("both");
  await world.poke("both");
  expect((await world.asked(mark)).map(({ operation, path }) => `${operation} ${path}`)).toEqual([
    `read ${world.v2}/metadata/both`,
    `read ${world.v2}/metadata/both`,
  ]);
});

test("an edit of them is written without a new version and without KMS", async () => {
  await synced("edited", { maxVersions: 5 });
  const decryptions = await world.decryptions();
  await world.edit("edited", { kvMetadata: { maxVersions: 7 } });
  await world.settled("edited");
  expect(await world.metadataOf("edited")).toMatchObject({ max_versions: 7, current_version: 1 });
  expect(await world.decryptions()).toBe(decryptions);
});

test("put right when somebody changes them; what the object does not name is left alone", async () => {
  await synced("drift", { maxVersions: 5 });
  await world.vault.write(`${world.v2}/metadata/drift`, { max_versions: 3, delete_version_after: "48h" });
  await world.poke("drift");
  expect(await world.metadataOf("drift")).toMatchObject({ max_versions: 5, delete_version_after: "48h0m0s" });
  const mark = await world.mark();
  await world.vault.write(`${world.v2}/metadata/drift`, { delete_version_after: "72h", cas_required: true });
  await world.poke("drift");
  expect(await world.metadataOf("drift")).toMatchObject({ max_versions: 5, delete_version_after: "72h0m0s" });
  // The test's own.
  expect(await metadataWrites("drift", mark)).toBe(1);
});

test("the same length of time in other words is no difference", async () => {
  await world.vault.write(`${world.v2}/metadata/words`, { delete_version_after: "1h30m" });
  await synced("words", { deleteVersionAfter: "90m" });
  const mark = await world.mark();
  await world.edit("words", { kvMetadata: { deleteVersionAfter: "5400s" } });
  await world.settled("words");
  await world.poke("words");
  expect(await metadataWrites("words", mark)).toBe(0);
});

test("a length of time that binary fractions do not hold is written once", async () => {
  const mark = await world.mark();
  await synced("fraction", { deleteVersionAfter: "1.1h" });
  expect(await world.metadataOf("fraction")).toMatchObject({ delete_version_after: "1h6m0s" });
  await world.poke("fraction");
  await world.poke("fraction");
  // Together with the mark.
  expect(await metadataWrites("fraction", mark)).toBe(1);
});

test("no longer named, they stay as they are", async () => {
  await synced("unnamed", { maxVersions: 5 });
  const mark = await world.mark();
  await world.edit("unnamed", { kvMetadata: null });
  await world.settled("unnamed");
  expect(await world.metadataOf("unnamed")).toMatchObject({ max_versions: 5 });
  expect(await metadataWrites("unnamed", mark)).toBe(0);
});

test("the mark and users' own custom_metadata are no business of theirs", async () => {
  await world.foreignCustom("custom", { note: "mine" });
  const object = await synced("custom", { maxVersions: 5 });
  expect(await world.customOf("custom")).toMatchObject({ note: "mine", uid: object.metadata.uid });
});

test("denied: the secret is synced all the same, and the object says what is missing", async () => {
  const object = await synced("denied", { maxVersions: 5 });
  expect(await world.atV2("denied")).toEqual({ k: "v" });
  expect(condition(object, "Ready").message).toContain(`${world.v2}/metadata/denied`);
  const mark = await world.mark();
  await world.poke("denied");
  expect(await metadataWrites("denied", mark)).toBe(0);
});

test("on KV v1 they mean nothing, and the object says so", async () => {
  const object = await world.sync("v1", {
    path: `${world.v1}/v1`,
    secrets: await world.entries({ k: "v" }),
    kvMetadata: { maxVersions: 5 },
  });
  expect(await world.atV1("v1")).toEqual({ k: "v" });
  expect(condition(object, "Ready").message).toContain("kvMetadata");
});
