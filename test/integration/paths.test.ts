// Paths that lead nowhere, to something else than a KV engine, to the other engine version, or, without `data/`, to the
// right place after all (what crash-looped the original).
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { uniqueName } from "../env/unique.ts";
import { openScene, type Scene } from "./scene.ts";

let scene: Scene;
/** Nothing is mounted there. */
const nowhere = uniqueName("nowhere");

beforeAll(async () => {
  scene = await openScene();
  // The root token never expires: its expire_time of null made the original panic.
  expect((await scene.vault.read("auth/token/lookup-self")).expire_time).toBeNull();
  await scene.start();
});

afterAll(() => scene[Symbol.asyncDispose]());

interface Case {
  readonly what: string;
  readonly path: () => string;
  readonly engineVersion?: "v1" | "v2";
  readonly reason: string;
  /** In the condition and the event. */
  readonly message: RegExp;
}

const cases: readonly Case[] = [
  {
    what: "no mount, engine unknown",
    path: () => `${nowhere}/data/app`,
    reason: "EngineUnknown",
    message:
      /which engine is mounted above nowhere-\w+\/data\/app: .*enable the mount, .*or set kvSettings.engineVersion/,
  },
  {
    what: "no mount, v1",
    path: () => `${nowhere}/app`,
    engineVersion: "v1",
    reason: "NotKV",
    message: /writing nowhere-\w+\/app failed because nothing is mounted there: enable a KV secrets engine/,
  },
  {
    what: "no mount, v2",
    path: () => `${nowhere}/data/app`,
    engineVersion: "v2",
    reason: "NotKV",
    message: /writing nowhere-\w+\/data\/app failed because nothing is mounted there: enable a KV secrets engine/,
  },
  {
    what: "only a mount",
    path: () => scene.v1,
    reason: "InvalidPath",
    message: /is only the mount; add the secret's own path below it/,
  },
  {
    what: "only a mount and data",
    path: () => `${scene.v2}/data/`,
    engineVersion: "v2",
    reason: "InvalidPath",
    message: /is only the mount; add the secret's own path below it/,
  },
  {
    what: "one dot; the API server refuses two",
    path: () => `${scene.v2}/data/./app`,
    reason: "InvalidPath",
    message: /write spec.path as mount\/secret/,
  },
  {
    what: "Vault's own",
    path: () => "sys/policy/app",
    reason: "NotKV",
    message: /sys\/ is Vault's own; choose a path/,
  },
  { what: "a cubbyhole", path: () => "cubbyhole/app", reason: "NotKV", message: /choose a path below a KV mount/ },
  {
    what: "v1 that is v2",
    path: () => `${scene.v2}/app`,
    engineVersion: "v1",
    reason: "EngineMismatch",
    message: /mounted at kv-v2-\w+ is KV v2, but kvSettings.engineVersion says v1: correct it or leave it out/,
  },
  {
    what: "v2 that is v1",
    path: () => `${scene.v1}/data/app`,
    engineVersion: "v2",
    reason: "EngineMismatch",
    message: /mounted at kv-v1-\w+ is KV v1, but kvSettings.engineVersion says v2: correct it or leave it out/,
  },
];

test.each(cases)("$what: $reason", async ({ what, path, engineVersion, reason, message }) => {
  const name = what.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  const secrets = [await scene.entry("a", "1")];
  await scene.create(name, { path: path(), secrets, ...(engineVersion && { kvSettings: { engineVersion } }) });
  expect((await scene.untilReady(name, reason)).message).toMatch(message);
  await scene.untilTold(name, { reason, message: expect.stringMatching(message) });
  expect((await scene.status(name)).created).toBe(false);
  expect(await scene.vault.list(scene.v1)).toEqual([]);
  await scene.expectNeighbourGoesOn();
  expect(await scene.vault.list(`${scene.v2}/metadata`)).toEqual(["neighbour"]);
  // The remedy.
  await scene.edit(name, { path: `${scene.v2}/data/mended`, kvSettings: null });
  await scene.untilReady(name, "Synced");
  expect(await scene.atV2("mended")).toEqual({ a: "1" });
  await scene.delete(name);
  await scene.untilGone(name);
  await scene.vault.delete(`${scene.v2}/metadata/mended`);
});

test("a mount that is made later is found without an edit", async () => {
  const mount = uniqueName("later");
  await scene.create("later", { path: `${mount}/app`, secrets: [await scene.entry("a", "1")] });
  await scene.untilReady("later", "EngineUnknown");
  await scene.vault.write(`sys/mounts/${mount}`, { type: "kv", options: { version: "1" } });
  await scene.untilReady("later", "Synced");
  expect(await scene.vault.read(`${mount}/app`)).toEqual({ a: "1" });
});

test("KV v2 without data/: written, in sync, changed and removed as with it", async () => {
  const kvSettings = { engineVersion: "v2" };
  const metadata = { finalizers: ["delete.k8s.patoarvizu.dev"] };
  const spec = { path: `${scene.v2}/team/app`, kvSettings, secrets: [await scene.entry("a", "1")] };
  await scene.create("without-data", spec, metadata);
  await scene.untilReady("without-data", "Synced");
  expect(await scene.atV2("team/app")).toEqual({ a: "1" });
  await scene.edit("without-data", { secrets: [await scene.entry("a", "2")] });
  await eventually(async () => expect(await scene.atV2("team/app")).toEqual({ a: "2" }));
  await scene.look("without-data");
  expect(await scene.versionOf("team/app")).toBe(2);
  await scene.delete("without-data");
  await scene.untilGone("without-data");
  expect(await scene.versionOf("team/app")).toBeUndefined();
});

test("what stood at the good path stays when the path becomes a bad one", async () => {
  await scene.create("astray", { path: `${scene.v1}/astray`, secrets: [await scene.entry("a", "1")] });
  await scene.untilReady("astray", "Synced");
  await scene.edit("astray", { path: "sys/policy/astray" });
  await scene.untilReady("astray", "NotKV");
  expect(await scene.atV1("astray")).toEqual({ a: "1" });
});

test("the operator is unharmed", () => scene.expectUnharmed());
