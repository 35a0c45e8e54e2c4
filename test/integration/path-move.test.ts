// An object whose path changes under a deletion policy: the old location is removed as the policy says, but only after
// the new one is written, wholly, and only while it is still ours. Without a policy it is left (path-change.test.ts).
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { condition, type Engine, engines, openWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld({ args: ["--sync-period-seconds=0"] });
  const token = await world.tokenForAllBut({
    [`${world.v2}/data/denied-new`]: ["read"],
    [`${world.v2}/metadata/kept-old`]: ["read", "patch"],
  });
  await world.start({ env: { VAULT_TOKEN: token } });
});
afterAll(() => world[Symbol.asyncDispose]());

/** An object in Vault at `<name>-old`, with one key that holds "v". */
async function settledAtOld(
  name: string,
  spec: object,
  { engine = "v2", metadata = {} }: { readonly engine?: Engine; readonly metadata?: object } = {},
) {
  const secrets = await world.entries({ k: "v" });
  return world.sync(name, { path: `${world[engine]}/${name}-old`, secrets, ...spec }, metadata);
}

async function untilRemoved(engine: Engine, path: string): Promise<void> {
  await eventually(async () => expect(await world.at(engine, path)).toBeUndefined());
}

describe.each(engines)("on KV %s", (engine) => {
  test("Destroy: the new one is written, the old one removed", async () => {
    const name = `destroy-${engine}`;
    await settledAtOld(name, { deletionPolicy: "Destroy" }, { engine });
    await world.edit(name, { path: `${world[engine]}/${name}-new` });
    await world.settled(name);
    expect(await world.at(engine, `${name}-new`)).toEqual({ k: "v" });
    await untilRemoved(engine, `${name}-old`);
    expect(await world.metadataOf(`${name}-old`)).toBeUndefined();
    await world.remove(name);
    expect(await world.at(engine, `${name}-new`)).toBeUndefined();
  });

  test.each([
    ["Retain", { deletionPolicy: "Retain" }, {}],
    ["none, although the user set the finalizer", {}, { finalizers: [deleteFinalizer] }],
  ])("%s: the old one is left, and an event names it", async (what, spec, metadata) => {
    const name = `left-${what.split(",")[0]?.toLowerCase()}-${engine}`;
    await settledAtOld(name, spec, { engine, metadata });
    await world.edit(name, { path: `${world[engine]}/${name}-new` });
    await world.settled(name);
    await world.event(name, "SecretCreated", `${name}-old was left in place`);
    expect(await world.at(engine, `${name}-old`)).toEqual({ k: "v" });
  });

  test("a key that fails is carried over, and the old location stays until it decrypts again", async () => {
    const name = `carried-${engine}`;
    const [good, fails] = await world.entries({ good: "g", fails: "f" });
    await settledAtOld(name, { deletionPolicy: "Destroy", secrets: [good, fails] }, { engine });
    const broken = { ...fails, secretContext: { not: "its context" } };
    await world.edit(name, { path: `${world[engine]}/${name}-new`, secrets: [good, broken] });
    await world.settled(name, "DecryptingError");
    expect(await world.at(engine, `${name}-new`)).toEqual({ good: "g", fails: "f" });
    await world.poke(name);
    expect(await world.at(engine, `${name}-old`)).toEqual({ good: "g", fails: "f" });
    await world.edit(name, { secrets: [good, fails] });
    await world.settled(name);
    expect(await world.at(engine, `${name}-new`)).toEqual({ good: "g", fails: "f" });
    await untilRemoved(engine, `${name}-old`);
  });

  test("what someone else made of the old location since is not removed", async () => {
    const name = `meddled-${engine}`;
    await settledAtOld(name, { deletionPolicy: "Destroy" }, { engine });
    // With the mark; what is only written over is drift.
    if (engine === "v2") await world.vault.delete(`${world.v2}/metadata/${name}-old`);
    await world.foreign(engine, `${name}-old`, { k: "theirs" });
    await world.edit(name, { path: `${world[engine]}/${name}-new` });
    await world.settled(name);
    await world.poke(name);
    expect(await world.at(engine, `${name}-old`)).toEqual({ k: "theirs" });
    expect(await world.at(engine, `${name}-new`)).toEqual({ k: "v" });
  });

  test("an old location that another object names by now is its own", async () => {
    const name = `named-${engine}`;
    await settledAtOld(name, { deletionPolicy: "Destroy" }, { engine });
    const secrets = await world.entries({ k: "next" });
    await world.apply(`${name}-next`, { path: `${world[engine]}/${name}-old`, secrets });
    await eventually(async () => expect((await world.get(`${name}-next`)).status).toBeDefined());
    await world.edit(name, { path: `${world[engine]}/${name}-new` });
    await world.settled(name);
    await world.settled(`${name}-next`);
    await world.poke(name);
    expect(await world.at(engine, `${name}-old`)).toEqual({ k: "next" });
    expect(await world.at(engine, `${name}-new`)).toEqual({ k: "v" });
  });

  test("two objects swap their paths: both end up with their own data", async () => {
    const [one, two] = [`swap-one-${engine}`, `swap-two-${engine}`];
    const specs = { deletionPolicy: "Destroy" };
    await settledAtOld(one, { ...specs, secrets: await world.entries({ k: one }) }, { engine });
    await settledAtOld(two, { ...specs, secrets: await world.entries({ k: two }) }, { engine });
    await world.edit(one, { path: `${world[engine]}/${two}-old` });
    await world.edit(two, { path: `${world[engine]}/${one}-old` });
    await world.settled(one);
    await world.settled(two);
    await world.poke(one);
    await world.poke(two);
    expect(await world.at(engine, `${two}-old`)).toEqual({ k: one });
    expect(await world.at(engine, `${one}-old`)).toEqual({ k: two });
  });
});

test("SoftDelete: the old location's latest version is deleted and can be undeleted", async () => {
  await settledAtOld("soft", { deletionPolicy: "SoftDelete" });
  await world.edit("soft", { path: `${world.v2}/soft-new` });
  await world.settled("soft");
  await untilRemoved("v2", "soft-old");
  await world.vault.write(`${world.v2}/undelete/soft-old`, { versions: [1] });
  expect(await world.atV2("soft-old")).toEqual({ k: "v" });
  expect(await world.atV2("soft-new")).toEqual({ k: "v" });
});

test("from KV v1 to KV v2 and back: nothing is left behind", async () => {
  await settledAtOld("engines", { deletionPolicy: "Destroy" }, { engine: "v1" });
  await world.edit("engines", { path: `${world.v2}/data/engines-new` });
  await world.settled("engines");
  await untilRemoved("v1", "engines-old");
  await world.edit("engines", { path: `${world.v1}/engines-back` });
  await world.settled("engines");
  await untilRemoved("v2", "engines-new");
  expect(await world.atV1("engines-back")).toEqual({ k: "v" });
});

test("deleted while the old location is still waited for: both go", async () => {
  const [good, fails] = await world.entries({ good: "g", fails: "f" });
  await settledAtOld("both", { deletionPolicy: "Destroy", secrets: [good, fails] });
  const broken = { ...fails, secretContext: { not: "its context" } };
  await world.edit("both", { path: `${world.v2}/both-new`, secrets: [good, broken] });
  await world.settled("both", "DecryptingError");
  await world.remove("both");
  expect(await world.metadataOf("both-new")).toBeUndefined();
  expect(await world.metadataOf("both-old")).toBeUndefined();
});

test("back where it was before the removal could be done: nothing of the place is removed", async () => {
  const [good, fails] = await world.entries({ good: "g", fails: "f" });
  await settledAtOld("back", { deletionPolicy: "Destroy", secrets: [good, fails] });
  const broken = { ...fails, secretContext: { not: "its context" } };
  await world.edit("back", { path: `${world.v2}/back-new`, secrets: [good, broken] });
  await world.settled("back", "DecryptingError");
  await world.edit("back", { path: `${world.v2}/back-old`, secrets: [good, fails] });
  await world.settled("back");
  await untilRemoved("v2", "back-new");
  expect(await world.atV2("back-old")).toEqual({ good: "g", fails: "f" });
  expect(await world.versionOf("back-old")).toBe(1);
});

test("path and policy set by one edit: the old location goes by the new policy", async () => {
  await settledAtOld("at-once", {});
  await world.edit("at-once", { path: `${world.v2}/at-once-new`, deletionPolicy: "Destroy" });
  await world.settled("at-once");
  await untilRemoved("v2", "at-once-old");
  expect(await world.atV2("at-once-new")).toEqual({ k: "v" });
});

test("Vault denies the removal: the new location is written all the same, and the object says what is missing", async () => {
  await settledAtOld("kept", { deletionPolicy: "Destroy" });
  await world.edit("kept", { path: `${world.v2}/kept-new` });
  await eventually(async () => {
    const ready = condition(await world.get("kept"), "Ready");
    expect(ready.message).toMatch(/metadata\/kept-old\b.*\bdelete\b/);
    expect(ready.message).toContain(world.v2);
  });
  expect(await world.atV2("kept-new")).toEqual({ k: "v" });
  expect(await world.atV2("kept-old")).toEqual({ k: "v" });
  await world.edit("kept", { deletionPolicy: "Retain" });
  const settled = await world.settled("kept");
  expect(condition(settled, "Ready").message).not.toContain("kept-old");
});

describe("an unwritten new location never removes the old one:", () => {
  test("Vault denies the write", async () => {
    await settledAtOld("denied", { deletionPolicy: "Destroy" });
    await world.edit("denied", { path: `${world.v2}/denied-new` });
    await world.settled("denied", "VaultPermissionDenied");
    expect(await world.atV2("denied-old")).toEqual({ k: "v" });
    await world.edit("denied", { path: `${world.v2}/denied-old` });
    await world.settled("denied");
    expect(await world.versionOf("denied-old")).toBe(1);
  });

  test("KMS is down; back again, the object moves by itself", async () => {
    await settledAtOld("kms-down", { deletionPolicy: "Destroy" });
    await world.kms.faults({ outage: "error" });
    try {
      await world.edit("kms-down", { path: `${world.v2}/kms-down-new`, onDecryptError: "Fail" });
      await world.settled("kms-down", "KMSUnavailable");
      expect(await world.atV2("kms-down-old")).toEqual({ k: "v" });
      expect(await world.atV2("kms-down-new")).toBeUndefined();
    } finally {
      await world.kms.faults({});
    }
    await world.settled("kms-down");
    expect(await world.atV2("kms-down-new")).toEqual({ k: "v" });
    await untilRemoved("v2", "kms-down-old");
  });

  test("another's data is at the new place; once it is adopted, the old one goes", async () => {
    await world.foreignV2("foreign-new", { theirs: "x" });
    await settledAtOld("foreign", { deletionPolicy: "Destroy" });
    await world.edit("foreign", { path: `${world.v2}/foreign-new` });
    await world.settled("foreign", "AdoptionRequired");
    expect(await world.atV2("foreign-old")).toEqual({ k: "v" });
    expect(await world.atV2("foreign-new")).toEqual({ theirs: "x" });
    await world.annotate("foreign", { "k8s.patoarvizu.dev/adopt": "true" });
    await world.settled("foreign");
    expect(await world.atV2("foreign-new")).toEqual({ k: "v" });
    await untilRemoved("v2", "foreign-old");
  });
});
