// Data that was at the path before the object: on KV v2 it is never overwritten unseen, on KV v1 it is, as the original
// did. Equal data is taken over without a trace in Vault.
import { afterAll, beforeAll, expect, test } from "vitest";
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { condition, startWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld({ args: ["--sync-period-seconds=0"] });
});
afterAll(() => world[Symbol.asyncDispose]());

test("KV v2, other data: AdoptionRequired and an event, nothing written; the annotation takes it over at once", async () => {
  await world.foreignV2("other", { theirs: "x" });
  await world.apply("other", { path: `${world.v2}/data/other`, secrets: await world.entries({ ours: "y" }) });
  const refused = await world.settled("other", "AdoptionRequired");
  expect(refused.status).toMatchObject({ created: false });
  expect(condition(refused, "Ready").message).toContain('k8s.patoarvizu.dev/adopt: "true"');
  expect(await world.event("other", "AdoptionRequired")).toMatchObject({ type: "Warning" });
  expect(await world.atV2("other")).toEqual({ theirs: "x" });

  await world.annotate("other", { "k8s.patoarvizu.dev/adopt": "true" });
  const adopted = await world.settled("other");
  expect(adopted.status).toMatchObject({ created: true, vault: { version: 2 } });
  expect(await world.atV2("other")).toEqual({ ours: "y" });
});

test("KV v2, equal data: taken over without a new version and without an event; later edits are written", async () => {
  await world.foreignV2("equal", { a: "1", b: "" });
  const path = `${world.v2}/data/equal`;
  const secrets = [...(await world.entries({ a: "1" })), { key: "b", emptySecret: true }];
  const object = await world.sync("equal", { path, secrets }, { finalizers: [deleteFinalizer] });
  expect(object.status).toMatchObject({ created: true, vault: { version: 1 }, keys: { synced: 2 } });
  expect(object.status.lastSyncTime).toBeUndefined();
  await world.sync("equal", { path, secrets: await world.entries({ a: "2" }) }, { finalizers: [deleteFinalizer] });
  expect(await world.versionOf("equal")).toBe(2);
  const written = (await world.events("equal")).filter(({ reason }) => reason === "SecretCreated");
  expect(written.map(({ count }) => count)).toEqual([1]);
  await world.remove("equal");
  expect(await world.versionOf("equal")).toBeUndefined();
});

test("KV v2 data that differs only in what a value is, not how it prints, is other data", async () => {
  await world.foreignV2("typed", { n: 1 });
  await world.apply("typed", { path: `${world.v2}/data/typed`, secrets: await world.entries({ n: "1" }) });
  await world.settled("typed", "AdoptionRequired");
  expect(await world.atV2("typed")).toEqual({ n: 1 });
});

test("a KV v2 path whose latest version is deleted, or that has metadata only, is free", async () => {
  await world.foreignV2("deleted", { k: "old" });
  await world.vault.delete(`${world.v2}/data/deleted`);
  await world.vault.write(`${world.v2}/metadata/bare`, { custom_metadata: { note: "mine" } });
  const secrets = await world.entries({ k: "new" });
  await world.sync("deleted", { path: `${world.v2}/data/deleted`, secrets });
  await world.sync("bare", { path: `${world.v2}/data/bare`, secrets });
  expect(await world.atV2("deleted")).toEqual({ k: "new" });
  expect(await world.versionOf("deleted")).toBe(2);
  expect(await world.atV2("bare")).toEqual({ k: "new" });
  expect((await world.vault.read(`${world.v2}/metadata/bare`)).custom_metadata).toMatchObject({ note: "mine" });
});

test("KV v1 is overwritten, as the original did", async () => {
  await world.foreignV1("v1", { theirs: "x" });
  await world.sync("v1", { path: `${world.v1}/v1`, secrets: await world.entries({ ours: "y" }) });
  expect(await world.atV1("v1")).toEqual({ ours: "y" });
});
