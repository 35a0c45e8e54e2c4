// What a user sees when an object is applied for the first time: the value in Vault, the contract's event, the status
// and the printer columns.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { mountKv, uniqueName } from "../env/unique.ts";
import { condition, startWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

test("KV v1: the whole map is written to the path, the event and status.created are the contract's", async () => {
  const secrets = await world.entries({ user: "shop", password: 'p"ä\\n\u0000 \u{1F511}' });
  const path = `${world.v1}/team/db`;
  const object = await world.sync("v1", { path, kvSettings: { engineVersion: "v1" }, secrets });
  expect(await world.atV1("team/db")).toEqual({ user: "shop", password: 'p"ä\\n\u0000 \u{1F511}' });
  expect(object.status).toMatchObject({
    created: true,
    observedGeneration: 1,
    vault: { mount: world.v1, path: "team/db", engineVersion: "v1" },
    keys: { synced: 2 },
  });
  expect(await world.event("v1", "SecretCreated")).toEqual({
    type: "Normal",
    reason: "SecretCreated",
    message: `Wrote secret v1 to ${path}`,
    component: "kms-vault-controller",
  });
});

test("KV v2: version 1 at the API path, and a status that says everything about it", async () => {
  const path = `${world.v2}/data/team/db`;
  const before = Date.now() - 1_000;
  const object = await world.sync("v2", { path, secrets: await world.entries({ a: "one", b: "two" }) });
  expect(await world.atV2("team/db")).toEqual({ a: "one", b: "two" });
  expect(await world.versionOf("team/db")).toBe(1);
  const { status } = object;
  expect(status).toMatchObject({
    created: true,
    observedGeneration: 1,
    vault: { mount: world.v2, path: "team/db", engineVersion: "v2", version: 1 },
    keys: { synced: 2 },
  });
  expect(condition(object, "Ready")).toMatchObject({
    status: "True",
    reason: "Synced",
    message: "2 keys are in Vault",
  });
  expect(condition(object, "Reconciling")).toBeUndefined();
  expect(Date.parse(status.lastSyncTime)).toBeGreaterThan(before);
  expect(status.record).toMatchObject({
    mount: world.v2,
    path: "team/db",
    version: 1,
    digest: expect.stringMatching(/^v1:/),
  });
  expect((await world.event("v2", "SecretCreated")).message).toBe(`Wrote secret v2 to ${path}`);
});

describe("where a path leads", () => {
  test("on KV v2, with and without data/, with needless slashes, and where the logical path begins with data", async () => {
    const secrets = await world.entries({ k: "v" });
    await Promise.all([
      world.sync("without-data", { path: `${world.v2}/plain`, secrets }),
      world.sync("slashes", { path: `/${world.v2}//data//slashes/`, secrets }),
      world.sync("data-data", { path: `${world.v2}/data/data/deep`, secrets }),
      world.sync("odd-names", { path: `${world.v2}/data/a b/c%2Fd/ü?x=1`, secrets }),
    ]);
    for (const at of ["plain", "slashes", "data/deep", `a%20b/c%252Fd/${encodeURIComponent("ü?x=1")}`]) {
      expect(await world.atV2(at), at).toEqual({ k: "v" });
    }
  });

  test("through mounts of several segments, also one that holds the word data", async () => {
    const mount = `${uniqueName("team")}/data/kv`;
    await world.vault.write(`sys/mounts/${mount}`, { type: "kv", options: { version: "2" } });
    await eventually(async () => expect(await world.vault.read(`${mount}/config`)).toBeDefined());
    const object = await world.sync("deep-mount", {
      path: `${mount}/data/x/y`,
      secrets: await world.entries({ k: "v" }),
    });
    expect(object.status.vault).toMatchObject({ mount, path: "x/y" });
    expect((await world.vault.read(`${mount}/data/x/y`)).data).toEqual({ k: "v" });
    const other = await mountKv(world.vault, "v1");
    await world.sync("v1-data", { path: `${other}/data/x`, secrets: await world.entries({ k: "v" }) });
    expect(await world.vault.read(`${other}/data/x`)).toEqual({ k: "v" });
  });
});

test("emptySecret writes the empty string, whatever encryptedSecret holds, and asks KMS for nothing", async () => {
  const before = await world.decryptions();
  const secrets = [
    { key: "empty", emptySecret: true },
    { key: "ignored", emptySecret: true, encryptedSecret: "%%% no base64" },
  ];
  await world.sync("empty", { path: `${world.v2}/data/empty`, secrets });
  expect(await world.atV2("empty")).toEqual({ empty: "", ignored: "" });
  expect(await world.decryptions()).toBe(before);
});

test("bytes that are no text are written as base64 where the entry says so", async () => {
  const bytes = Uint8Array.of(0xff, 0x00, 0xfe);
  const secrets = [{ key: "bytes", encoding: "base64", encryptedSecret: await world.encrypt(bytes) }];
  await world.sync("bytes", { path: `${world.v2}/data/bytes`, secrets });
  expect(await world.atV2("bytes")).toEqual({ bytes: "/wD+" });
});

test("kubectl get shows Ready, Reason, Path, Version, Keys and Age, by the short names too", async () => {
  const path = `${world.v2}/data/columns`;
  await world.sync("columns", { path, secrets: await world.entries({ a: "1", b: "2", c: "3" }) });
  const lines = await kubectl("get", "kmsvs", "columns", "-n", world.namespace);
  expect(lines[0]?.split(/\s{2,}/)).toEqual(["NAME", "READY", "REASON", "PATH", "VERSION", "KEYS", "AGE"]);
  expect(lines[1]?.split(/\s+/).slice(0, 6)).toEqual(["columns", "True", "Synced", path, "1", "3"]);
  await world.applyPartial("part", { secrets: [] });
  expect(await kubectl("get", "pkmsvs", "-o", "name", "-n", world.namespace)).toEqual([
    "partialkmsvaultsecret.k8s.patoarvizu.dev/part",
  ]);
});

async function kubectl(...args: string[]): Promise<string[]> {
  const { programs, kubernetes } = inject("stack");
  const run = promisify(execFile);
  const { stdout } = await run(programs.kubectl ?? "kubectl", [`--kubeconfig=${kubernetes.kubeconfig}`, ...args]);
  return stdout.trimEnd().split("\n");
}
