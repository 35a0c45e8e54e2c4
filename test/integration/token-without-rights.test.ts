// Vault's policies say no, in part or in whole, from the start or later: the object says which capability is missing
// where, nothing is lost, and when it is granted the object is synced by itself.
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { mountKv, uniqueName } from "../env/unique.ts";
import { openScene, type Scene } from "./scene.ts";

let scene: Scene;
const policy = uniqueName("policy");

beforeAll(async () => {
  scene = await openScene();
  await grant({});
  // Not the policy "default", which every token has: exactly what the tests grant.
  const { auth } = await scene.vault.write("auth/token/create", { policies: [policy], no_default_policy: true });
  // A user with the wrong password, for the objects that log in so.
  const env = { VAULT_TOKEN: auth.client_token, VAULT_USERNAME: "nobody", VAULT_PASSWORD: "wrong" };
  await scene.start({ env });
});

afterAll(() => scene[Symbol.asyncDispose]());

/** Path below the mounts → capabilities; in place of what was granted before. The neighbour may do everything. */
async function grant(rules: Readonly<Record<string, readonly string[]>>): Promise<void> {
  const all = {
    [`${scene.v2}/data/neighbour`]: ["create", "read", "update"],
    [`${scene.v2}/metadata/neighbour`]: ["read"],
    ...rules,
  };
  const path = Object.fromEntries(Object.entries(all).map(([at, capabilities]) => [at, { capabilities }]));
  await scene.vault.write(`sys/policies/acl/${policy}`, { policy: JSON.stringify({ path }) });
}

test("none at all on KV v1: nothing is written; granted: synced", async () => {
  const path = `${scene.v1}/none`;
  await scene.create("none-v1", { path, secrets: [await scene.entry("a", "1")], kvSettings: { engineVersion: "v1" } });
  const { message } = await scene.untilReady("none-v1", "VaultPermissionDenied");
  expect(message).toBe(
    `Vault denies writing ${path}: grant create and update on this path to the policy of the operator's login`,
  );
  await scene.untilTold("none-v1", { reason: "VaultPermissionDenied", message });
  expect(await scene.atV1("none")).toBeUndefined();
  await scene.expectNeighbourGoesOn();
  await grant({ [path]: ["create", "read", "update"] });
  await scene.untilReady("none-v1", "Synced");
  expect(await scene.atV1("none")).toEqual({ a: "1" });
});

test("none at all on KV v2: nothing is written, and not blindly either; granted: synced", async () => {
  const path = `${scene.v2}/data/none`;
  await scene.create("none-v2", { path, secrets: [await scene.entry("a", "1")] });
  const { message } = await scene.untilReady("none-v2", "VaultPermissionDenied");
  expect(message).toMatch(/read neither the metadata nor the data of kv-v2-\w+\/data\/none, .*; grant read/);
  await scene.untilTold("none-v2", { reason: "VaultPermissionDenied", message });
  await scene.expectNeighbourGoesOn();
  await grant({ [path]: ["create", "update"] });
  await scene.untilReady("none-v2", "VaultPermissionDenied");
  expect(await scene.versionOf("none")).toBeUndefined();
  // What policies written for the original give, and no more.
  await grant({ [path]: ["create", "read", "update"] });
  await scene.untilReady("none-v2", "Synced");
  expect(await scene.atV2("none")).toEqual({ a: "1" });
});

test("none, not even to know the engine: the object may say it itself", async () => {
  const mount = await mountKv(scene.vault, "v1");
  await scene.create("unknown", { path: `${mount}/app`, secrets: [await scene.entry("a", "1")] });
  const { message } = await scene.untilReady("unknown", "EngineUnknown");
  expect(message).toMatch(/grant the capabilities, or set kvSettings.engineVersion/);
  await scene.untilTold("unknown", { reason: "EngineUnknown", message });
  await scene.edit("unknown", { kvSettings: { engineVersion: "v1" } });
  await scene.untilReady("unknown", "VaultPermissionDenied");
  await grant({ [`${mount}/app`]: ["create", "read", "update"] });
  await scene.untilReady("unknown", "Synced");
  expect(await scene.vault.read(`${mount}/app`)).toEqual({ a: "1" });
});

test("taken away later: an edit is refused and what is in Vault stays; granted again: synced", async () => {
  const v1 = `${scene.v1}/later`;
  const v2 = `${scene.v2}/data/later`;
  const metadata = { [`${scene.v2}/metadata/later`]: ["read"] };
  await grant({ [v1]: ["create", "read", "update"], [v2]: ["create", "read", "update"], ...metadata });
  const secrets = [await scene.entry("a", "old"), await scene.entry("b", "old")];
  await scene.create("later-v1", { path: v1, secrets });
  await scene.create("later-v2", { path: v2, secrets });
  for (const name of ["later-v1", "later-v2"]) await scene.untilReady(name, "Synced");
  await grant({ [v1]: ["read"], [v2]: ["read"], ...metadata });
  for (const name of ["later-v1", "later-v2"]) {
    await scene.edit(name, { secrets: [await scene.entry("a", "new")] });
    expect((await scene.untilReady(name, "VaultPermissionDenied")).message).toMatch(/grant create and update/);
  }
  expect(await scene.atV1("later")).toEqual({ a: "old", b: "old" });
  expect(await scene.atV2("later")).toEqual({ a: "old", b: "old" });
  await scene.expectNeighbourGoesOn();
  await grant({ [v1]: ["read", "update"], [v2]: ["read", "update"], ...metadata });
  for (const name of ["later-v1", "later-v2"]) await scene.untilReady(name, "Synced");
  expect(await scene.atV1("later")).toEqual({ a: "new" });
  expect(await scene.atV2("later")).toEqual({ a: "new" });
});

test("KV v1 that may be written and not read: as with the original, and a failed entry writes nothing", async () => {
  const path = `${scene.v1}/blind`;
  await grant({ [path]: ["create", "update"] });
  const secrets = [await scene.entry("a", "1"), await scene.entry("b", "1")];
  await scene.create("blind", { path, secrets });
  const { message } = await scene.untilReady("blind", "Synced");
  expect(message).toBe(
    `2 keys are in Vault; VaultPermissionDenied: written at each resync, because ${path} may not be read; the capability read would save that`,
  );
  expect(await scene.atV1("blind")).toEqual({ a: "1", b: "1" });
  // What stands there cannot be kept when it cannot be read.
  await scene.edit("blind", { secrets: [await scene.entry("a", "2"), { key: "b", encryptedSecret: "no base64!" }] });
  await scene.untilReady("blind", "DecodingError");
  expect(await scene.atV1("blind")).toEqual({ a: "1", b: "1" });
  await scene.edit("blind", { secrets: [await scene.entry("a", "2")] });
  await scene.untilReady("blind", "Synced");
  expect(await scene.atV1("blind")).toEqual({ a: "2" });
});

test("KV v2 whose data may be written and not read: edits arrive, what others wrote is not written over", async () => {
  const path = `${scene.v2}/data/unread`;
  const rules = { [`${scene.v2}/metadata/unread`]: ["read"] };
  await grant({ ...rules, [path]: ["create", "update"] });
  await scene.create("unread", { path, secrets: [await scene.entry("a", "1"), await scene.entry("b", "1")] });
  await scene.untilReady("unread", "Synced");
  await scene.edit("unread", { secrets: [await scene.entry("a", "2"), await scene.entry("b", "1")] });
  await scene.untilReady("unread", "Synced");
  expect(await scene.atV2("unread")).toEqual({ a: "2", b: "1" });
  // A failed entry: nothing is written, because what stands there cannot be kept.
  await scene.edit("unread", { secrets: [await scene.entry("a", "3"), { key: "b", encryptedSecret: "no base64!" }] });
  await scene.untilReady("unread", "DecodingError");
  expect(await scene.atV2("unread")).toEqual({ a: "2", b: "1" });
  await scene.vault.write(path, { data: { theirs: "1" } });
  for (const onDecryptError of ["Skip", null]) {
    await scene.edit("unread", { secrets: [await scene.entry("a", "4")], onDecryptError });
    const { message } = await scene.untilReady("unread", "VaultPermissionDenied");
    expect(message).toMatch(/read only the metadata of kv-v2-\w+\/data\/unread, .*grant read/);
  }
  expect(await scene.atV2("unread")).toEqual({ theirs: "1" });
  await grant({ ...rules, [path]: ["create", "read", "update"] });
  await scene.untilReady("unread", "Synced");
  expect(await scene.atV2("unread")).toEqual({ a: "4" });
});

test("no right to delete: the deleted object waits and says why; granted: it goes, with its data", async () => {
  const rules = { [`${scene.v2}/data/held`]: ["create", "read", "update"], [`${scene.v2}/metadata/held`]: ["read"] };
  await grant(rules);
  const spec = { path: `${scene.v2}/data/held`, secrets: [await scene.entry("a", "1")] };
  await scene.create("held", spec, { finalizers: ["delete.k8s.patoarvizu.dev"] });
  await scene.untilReady("held", "Synced");
  await scene.delete("held");
  await eventually(async () => {
    expect((await scene.status("held")).conditions).toContainEqual(
      expect.objectContaining({
        type: "DeletionBlocked",
        status: "True",
        reason: "VaultPermissionDenied",
        message: expect.stringMatching(/removing kv-v2-\w+\/metadata\/held: grant delete on this path/),
      }),
    );
  });
  await scene.untilTold("held", {
    reason: "VaultPermissionDenied",
    message: expect.stringContaining("DeletionBlocked"),
  });
  expect(await scene.atV2("held")).toEqual({ a: "1" });
  await scene.expectNeighbourGoesOn();
  await grant({ ...rules, [`${scene.v2}/metadata/held`]: ["read", "delete"] });
  await scene.untilGone("held");
  expect(await scene.versionOf("held")).toBeUndefined();
});

test("a login that fails concerns the objects that log in so", async () => {
  const path = `${scene.v1}/login`;
  await grant({ [path]: ["create", "read", "update"] });
  await scene.create("login", { path, vaultAuthMethod: "userpass", secrets: [await scene.entry("a", "1")] });
  const { message } = await scene.untilReady("login", "VaultLoginFailed");
  await scene.untilTold("login", { reason: "VaultLoginFailed", message });
  expect(message).not.toContain("wrong");
  await scene.expectNeighbourGoesOn();
  await scene.edit("login", { vaultAuthMethod: null });
  await scene.untilReady("login", "Synced");
  expect(await scene.atV1("login")).toEqual({ a: "1" });
});

test("the operator is unharmed", () => scene.expectUnharmed());
