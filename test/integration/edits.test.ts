// What follows an edit, and what does not: edits of objects and Partials reach Vault at once, unchanged values are
// never written again, and changes that ask for nothing cause nothing. Without a resync, so that whatever happens here
// happens because of the change.
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { secretPath } from "../gen/manifests.ts";
import { startWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld({ args: ["--sync-period-seconds=0"] });
});
afterAll(() => world[Symbol.asyncDispose]());

test("a changed, a new and a removed key are one new version, and one event more", async () => {
  const path = `${world.v2}/data/edited`;
  const [same, old, gone] = await world.entries({ same: "s", other: "old", gone: "g" });
  await world.sync("edited", { path, secrets: [same, old, gone] });
  const [changed, added] = await world.entries({ other: "new", added: "a" });
  const object = await world.sync("edited", { path, secrets: [same, changed, added] });
  expect(await world.atV2("edited")).toEqual({ same: "s", other: "new", added: "a" });
  expect(object.status).toMatchObject({ observedGeneration: 2, vault: { version: 2 }, keys: { synced: 3 } });
  await eventually(async () => {
    const written = (await world.events("edited")).filter(({ reason }) => reason === "SecretCreated");
    expect(written.reduce((sum, { count }) => sum + count, 0)).toBe(2);
  });
});

test("on KV v1 too", async () => {
  const path = `${world.v1}/edited`;
  await world.sync("edited-v1", { path, secrets: await world.entries({ a: "1", b: "2" }) });
  await world.sync("edited-v1", { path, secrets: await world.entries({ a: "3" }) });
  expect(await world.atV1("edited")).toEqual({ a: "3" });
});

test("an edited Partial is written to every object that includes it, and to no other", async () => {
  await world.applyPartial("shared", { secrets: await world.entries({ token: "old" }) });
  const includers = ["one", "two"];
  for (const name of includers) {
    await world.sync(name, { path: `${world.v2}/data/includes/${name}`, includeSecrets: ["shared"] });
  }
  await world.sync("three", {
    path: `${world.v2}/data/includes/three`,
    secrets: await world.entries({ token: "own" }),
  });
  await world.applyPartial("shared", { secrets: await world.entries({ token: "new" }) });
  for (const name of includers) {
    await eventually(async () => expect(await world.atV2(`includes/${name}`)).toEqual({ token: "new" }));
  }
  expect(await world.versionOf("includes/three")).toBe(1);
});

test("another ciphertext of the same value is no new version; the digest follows, so that KMS is asked once", async () => {
  for (const path of [`${world.v2}/data/reencrypted`, `${world.v1}/reencrypted`]) {
    const name = path.startsWith(world.v2) ? "reencrypted-v2" : "reencrypted-v1";
    const before = await world.sync(name, { path, secrets: await world.entries({ k: "same" }) });
    const mark = await world.mark();
    const after = await world.sync(name, { path, secrets: await world.entries({ k: "same" }) });
    const operations = (await world.asked(mark)).map(({ operation }) => operation);
    expect(operations, path).toEqual(["read"]);
    expect(after.status.record.digest).not.toBe(before.status.record.digest);
    expect(after.status.lastSyncTime).toBe(before.status.lastSyncTime);
    expect(after.status.vault.version).toBe(before.status.vault.version);
    const decryptions = await world.decryptions();
    await world.poke(name);
    expect(await world.decryptions()).toBe(decryptions);
  }
});

test("the order of entries and of encryption context pairs means nothing", async () => {
  const path = `${world.v2}/data/order`;
  const [one, two] = await Promise.all([world.entry("one", "1", { a: "x", b: "y" }), world.entry("two", "2")]);
  await world.sync("order", { path, secrets: [one, two] });
  const decryptions = await world.decryptions();
  await world.sync("order", { path, secrets: [two, { ...one, secretContext: { b: "y", a: "x" } }] });
  expect(await world.decryptions()).toBe(decryptions);
  expect(await world.versionOf("order")).toBe(1);
});

test("labels, other people's annotations and statuses cause no reconcile; reconcile-requested-at causes one", async () => {
  await world.sync("quiet", { path: `${world.v2}/data/quiet`, secrets: await world.entries({ k: "v" }) });
  // Whatever of the earlier objects was still under way has ended once the queue is idle.
  await eventually(async () => expect(await world.operator.metric("controller_runtime_active_workers")).toBe(0));
  const before = await world.reconciles();
  const at = secretPath({ namespace: world.namespace, name: "quiet" });
  await world.kube.patch(at, { metadata: { labels: { team: "shop" } } });
  await world.annotate("quiet", { "example.com/note": "hello" });
  await world.forge("quiet", { created: false });
  // The watch brings changes in order: when this one has been seen, so have the others.
  await world.poke("quiet");
  expect(await world.reconciles()).toBe(before + 1);
  expect((await world.get("quiet")).status.created).toBe(true);
});
