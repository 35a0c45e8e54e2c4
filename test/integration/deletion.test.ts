// What the deletion of an object does to Vault: with the contract's finalizer the data goes, all versions of it; without
// it, or when it is not ours (any more), Vault is left alone.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { privateVault } from "../env/private.ts";
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { kmsVaultSecret, secretPath } from "../gen/manifests.ts";
import { condition, openWorld, type World } from "./world.ts";

const finalizers = [deleteFinalizer];
const foreign = "example.com/foreign";
const strangersMark = { "managed-by": "kms-vault-operator", owner: "a/b", uid: "0b9f6f6e", cluster: "another-cluster" };
let world: World;

beforeAll(async () => {
  world = await openWorld({ args: ["--sync-period-seconds=0"] });
  await upgradedObjects();
  await world.start();
});
afterAll(() => world[Symbol.asyncDispose]());

test("KV v1: the path is removed", async () => {
  await world.sync("v1", { path: `${world.v1}/gone`, secrets: await world.entries({ k: "v" }) }, { finalizers });
  await world.remove("v1");
  expect(await world.atV1("gone")).toBeUndefined();
});

test("KV v2: every version and the metadata are removed, and a neighbour's path is not", async () => {
  const path = `${world.v2}/data/gone`;
  await world.foreignV2("gone/below", { k: "v" });
  await world.sync("v2", { path, secrets: await world.entries({ k: "1" }) }, { finalizers });
  await world.sync("v2", { path, secrets: await world.entries({ k: "2" }) }, { finalizers });
  expect(await world.versionOf("gone")).toBe(2);
  await world.remove("v2");
  expect(await world.vault.read(`${world.v2}/metadata/gone`)).toBeUndefined();
  expect(await world.atV2("gone/below")).toEqual({ k: "v" });
});

test("without the finalizer Vault is left alone", async () => {
  await world.sync("plain", { path: `${world.v2}/data/plain`, secrets: await world.entries({ k: "v" }) });
  await world.sync("plain-v1", { path: `${world.v1}/plain`, secrets: await world.entries({ k: "v" }) });
  await world.remove("plain");
  await world.remove("plain-v1");
  // What is reconciled next shows that the deletions have been.
  await world.sync("after-plain", { path: `${world.v1}/after`, secrets: await world.entries({ k: "v" }) });
  expect(await world.atV2("plain")).toEqual({ k: "v" });
  expect(await world.atV1("plain")).toEqual({ k: "v" });
});

test("another controller's finalizer is no order to delete anything", async () => {
  const path = `${world.v2}/data/foreign`;
  await world.sync("foreign", { path, secrets: await world.entries({ k: "v" }) }, { finalizers: [foreign] });
  const before = await world.reconciles();
  await world.delete("foreign");
  await eventually(async () => expect(await world.reconciles()).toBeGreaterThan(before));
  expect((await world.get("foreign")).metadata.finalizers).toEqual([foreign]);
  await letGo("foreign");
  expect(await world.atV2("foreign")).toEqual({ k: "v" });
});

test("beside another controller's finalizer ours does its work and leaves, the other stays", async () => {
  const path = `${world.v2}/data/both`;
  const both = { finalizers: [foreign, deleteFinalizer] };
  await world.sync("both", { path, secrets: await world.entries({ k: "v" }) }, both);
  await world.delete("both");
  await eventually(async () => expect((await world.get("both")).metadata.finalizers).toEqual([foreign]));
  expect(await world.versionOf("both")).toBeUndefined();
  await letGo("both");
});

test("a finalizer that is put on the object later counts", async () => {
  await world.sync("later", { path: `${world.v1}/later`, secrets: await world.entries({ k: "v" }) });
  await world.kube.patch(secretPath({ namespace: world.namespace, name: "later" }), { metadata: { finalizers } });
  await world.remove("later");
  expect(await world.atV1("later")).toBeUndefined();
});

describe("the object is released and Vault left alone, with an event that says why, when", () => {
  test("someone else has wiped the KV v2 path and written there since", async () => {
    const path = `${world.v2}/data/rewritten`;
    await world.sync("rewritten", { path, secrets: await world.entries({ k: "v" }) }, { finalizers });
    await world.vault.delete(`${world.v2}/metadata/rewritten`);
    await world.foreignV2("rewritten", { k: "theirs" });
    await world.remove("rewritten");
    expect(await world.event("rewritten", "Released", "someone else has written there since")).toMatchObject({
      type: "Normal",
    });
    expect(await world.atV2("rewritten")).toEqual({ k: "theirs" });
  });

  test("someone else has written to the KV v1 path since", async () => {
    await world.sync("rw", { path: `${world.v1}/rw`, secrets: await world.entries({ k: "v" }) }, { finalizers });
    await world.foreignV1("rw", { k: "theirs" });
    await world.remove("rw");
    await world.event("rw", "Released", "someone else has written there since");
    expect(await world.atV1("rw")).toEqual({ k: "theirs" });
  });

  test("another living object names the path", async () => {
    const secrets = await world.entries({ k: "v" });
    const path = `${world.v2}/data/shared`;
    await world.sync("shared-one", { path, secrets }, { finalizers });
    // Too young to be the holder, or of the same second and then either may be: who was synced first has the record.
    await world.apply("shared-two", { path: `${world.v2}/shared`, secrets }, { finalizers });
    await eventually(async () => expect((await world.get("shared-two")).status).toBeDefined());
    await world.remove("shared-one");
    await world.event("shared-one", "Released", "another object names it");
    expect(await world.atV2("shared")).toEqual({ k: "v" });
    await world.settled("shared-two");
    await world.remove("shared-two");
    expect(await world.atV2("shared")).toBeUndefined();
  });

  test("the annotation deletion: orphan asks for it", async () => {
    const path = `${world.v2}/data/orphan`;
    await world.sync("orphan", { path, secrets: await world.entries({ k: "v" }) }, { finalizers });
    await world.annotate("orphan", { "k8s.patoarvizu.dev/deletion": "orphan" });
    await world.remove("orphan");
    await world.event("orphan", "Released", "orphan");
    expect(await world.atV2("orphan")).toEqual({ k: "v" });
  });

  test("it never got to write there", async () => {
    const path = `${world.v2}/data/never`;
    await world.foreignV2("never", { k: "theirs" });
    await world.apply("never", { path, secrets: await world.entries({ k: "v" }) }, { finalizers });
    await world.settled("never", "AdoptionRequired");
    await world.remove("never");
    await world.event("never", "Released", "no record");
    expect(await world.atV2("never")).toEqual({ k: "theirs" });
  });
});

test("data that is gone already, and a mount that is, hold nothing up", async () => {
  const mount = `${world.v2}-unmounted`;
  await world.vault.write(`sys/mounts/${mount}`, { type: "kv", options: { version: "1" } });
  await world.sync("no-mount", { path: `${mount}/x`, secrets: await world.entries({ k: "v" }) }, { finalizers });
  await world.sync("no-data", { path: `${world.v2}/data/x`, secrets: await world.entries({ k: "v" }) }, { finalizers });
  await world.vault.delete(`sys/mounts/${mount}`);
  await world.vault.delete(`${world.v2}/metadata/x`);
  await world.remove("no-mount");
  await world.remove("no-data");
});

test("neither Partial nor KMS nor a valid spec is needed", async () => {
  await world.applyPartial("part", { secrets: await world.entries({ k: "v" }) });
  await world.sync("bare", { path: `${world.v2}/data/bare`, includeSecrets: ["part"] }, { finalizers });
  await world.deletePartial("part");
  await world.settled("bare", "PartialNotFound");
  expect(await world.atV2("bare")).toEqual({ k: "v" });
  await world.edit("bare", { path: "" });
  await world.settled("bare", "InvalidSpec");
  await world.kms.faults({ outage: "error" });
  try {
    await world.remove("bare");
  } finally {
    await world.kms.faults({});
  }
  expect(await world.versionOf("bare")).toBeUndefined();
});

test("Vault down: DeletionBlocked with the cause and one event; Vault back: gone, without anyone's help", async () => {
  await using vault = await privateVault({ persistent: true });
  const servers = { vault: vault.info };
  await using blocked = await openWorld({
    servers,
    args: ["--sync-period-seconds=0"],
    env: { VAULT_MAX_RETRIES: "0" },
  });
  await blocked.start();
  const path = `${blocked.v2}/data/blocked`;
  await blocked.sync("blocked", { path, secrets: await blocked.entries({ k: "v" }) }, { finalizers });
  await vault.stop();
  await blocked.delete("blocked");
  const seen = await eventually(async () => {
    const found = condition(await blocked.get("blocked"), "DeletionBlocked");
    expect(found).toBeDefined();
    return found;
  });
  expect(seen).toMatchObject({ status: "True", reason: "VaultUnavailable" });
  expect(seen.message).toContain("could not be removed from Vault");
  await blocked.event("blocked", "VaultUnavailable", "DeletionBlocked");
  const counted = "kms_vault_operator_deletions_blocked";
  expect(await blocked.operator.metric(counted, { reason: "VaultUnavailable" })).toBe(1);
  await vault.start();
  await vault.unseal();
  await blocked.untilGone("blocked");
  await eventually(async () => expect(await blocked.operator.metric(counted)).toBe(0));
  expect(await blocked.versionOf("blocked")).toBeUndefined();
  expect((await blocked.seen("blocked")).filter(({ reason }) => reason === "VaultUnavailable")).toHaveLength(1);
});

describe("objects of the original that were deleted before ours ever saw them fall back to spec.path", () => {
  test.each([
    ["KV v1", "upgraded-v1"],
    ["KV v2, all versions", "upgraded-v2"],
    ["with the wrong engineVersion", "upgraded-engine"],
  ])("%s", async (_what, name) => {
    await world.untilGone(name);
    expect(await world.atV1(name)).toBeUndefined();
    expect(await world.versionOf(name)).toBeUndefined();
  });

  test("without even a status, but not where another cluster's mark is", async () => {
    await world.untilGone("upgraded-marked");
    await world.event("upgraded-marked", "Released");
    expect(await world.atV2("upgraded-marked")).toEqual({ k: "v" });
    expect(await world.customOf("upgraded-marked")).toEqual(strangersMark);
  });

  test("a path that leads nowhere is let go", async () => {
    await world.untilGone("upgraded-nowhere");
    await world.event("upgraded-nowhere", "Released");
  });
});

/** Terminating, with what the original left in status and Vault. */
async function upgradedObjects(): Promise<void> {
  const { v1, v2 } = world;
  await world.foreignV1("upgraded-v1", { k: "v" });
  await world.foreignV2("upgraded-v2", { k: "1" });
  await world.foreignV2("upgraded-v2", { k: "2" });
  await world.foreignV2("upgraded-engine", { k: "1" });
  await world.foreignV2("upgraded-marked", { k: "v" });
  await world.foreignCustom("upgraded-marked", strangersMark);
  const kvSettings = { engineVersion: "v1" };
  const specs = {
    "upgraded-v1": { path: `${v1}/upgraded-v1`, kvSettings },
    "upgraded-v2": { path: `${v2}/data/upgraded-v2`, kvSettings: { engineVersion: "v2", casIndex: 1 } },
    "upgraded-engine": { path: `${v2}/data/upgraded-engine`, kvSettings },
    "upgraded-marked": { path: `${v2}/data/upgraded-marked` },
    "upgraded-nowhere": { path: "sys/mounts/x", kvSettings },
  };
  for (const [name, spec] of Object.entries(specs)) {
    const named = { namespace: world.namespace, name };
    await world.kube.create(
      kmsVaultSecret(named, { ...spec, secrets: [{ key: "k", emptySecret: true }] }, { finalizers }),
    );
    if (name !== "upgraded-marked") await world.forge(name, { created: true });
    await world.delete(name);
  }
}

/** Takes every finalizer away, as the other controller would its own. */
async function letGo(name: string): Promise<void> {
  await world.kube.patch(secretPath({ namespace: world.namespace, name }), { metadata: { finalizers: null } });
  await world.untilGone(name);
}
