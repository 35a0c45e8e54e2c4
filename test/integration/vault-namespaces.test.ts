// spec.vaultNamespace: the object's secret lives in another Vault namespace than the operator's own — only where
// --allow-vault-namespaces says that objects may choose.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { uniqueName } from "../env/unique.ts";
import { condition, openWorld, untilOlder, type World } from "./world.ts";

const mount = "kv";
const [one, two] = [uniqueName("team"), uniqueName("team")];
let world: World;
beforeAll(async () => {
  world = await openWorld();
  for (const namespace of [one, two]) {
    await world.vault.write(`sys/namespaces/${namespace}`);
    await world.vault.write(`${namespace}/sys/mounts/${mount}`, { type: "kv", options: { version: "2" } });
    await eventually(async () => expect(await world.vault.read(`${namespace}/${mount}/config`)).toBeDefined());
  }
});
afterAll(() => world[Symbol.asyncDispose]());

async function dataIn(namespace: string, path: string): Promise<unknown> {
  return (await world.vault.read(`${namespace}/${mount}/data/${path}`))?.data;
}

describe("allowed", () => {
  beforeAll(() => world.start({ args: ["--sync-period-seconds=0", "--allow-vault-namespaces"] }));
  afterAll(() => world.operator.stop());

  test("written, edited, put right and removed in its namespace", async () => {
    const spec = { path: `${mount}/data/life`, vaultNamespace: one, deletionPolicy: "Destroy" };
    const object = await world.sync("life", { ...spec, secrets: await world.entries({ k: "1" }) });
    expect(object.status.vault).toMatchObject({ namespace: one, mount, path: "life", version: 1 });
    expect(await dataIn(one, "life")).toEqual({ k: "1" });
    const { custom_metadata: mark } = await world.vault.read(`${one}/${mount}/metadata/life`);
    expect(mark).toMatchObject({ uid: object.metadata.uid });
    await world.sync("life", { ...spec, secrets: await world.entries({ k: "2" }) });
    await world.vault.delete(`${one}/${mount}/data/life`);
    await world.poke("life");
    expect(await dataIn(one, "life")).toEqual({ k: "2" });
    await world.remove("life");
    expect(await world.vault.read(`${one}/${mount}/metadata/life`)).toBeUndefined();
  });

  test("slashes at its ends mean nothing", async () => {
    const spec = { path: `${mount}/data/slashes`, secrets: await world.entries({ k: "v" }) };
    const object = await world.sync("slashes", { ...spec, vaultNamespace: `/${one}/` });
    expect(object.status.vault).toMatchObject({ namespace: one });
    expect(await dataIn(one, "slashes")).toEqual({ k: "v" });
  });

  test("the same path in two namespaces are two places; in one they are one", async () => {
    const path = `${mount}/data/same`;
    const first = await world.sync("same-one", { path, vaultNamespace: one, secrets: await world.entries({ k: "1" }) });
    await world.sync("same-two", { path, vaultNamespace: two, secrets: await world.entries({ k: "2" }) });
    expect([await dataIn(one, "same"), await dataIn(two, "same")]).toEqual([{ k: "1" }, { k: "2" }]);
    await untilOlder(first);
    await world.apply("same-three", { path, vaultNamespace: one, secrets: await world.entries({ k: "3" }) });
    await world.settled("same-three", "PathConflict");
    expect(await dataIn(one, "same")).toEqual({ k: "1" });
  });

  test("another namespace is a move", async () => {
    const spec = { path: `${mount}/data/moved`, deletionPolicy: "Destroy", secrets: await world.entries({ k: "v" }) };
    await world.sync("moved", { ...spec, vaultNamespace: one });
    await world.sync("moved", { ...spec, vaultNamespace: two });
    expect(await dataIn(two, "moved")).toEqual({ k: "v" });
    await eventually(async () => expect(await dataIn(one, "moved")).toBeUndefined());
  });

  test("a namespace that is not there: the object says so, and is synced when it is made", async () => {
    const later = uniqueName("later");
    const secrets = await world.entries({ k: "v" });
    await world.apply("later", { path: `${mount}/data/later`, vaultNamespace: later, secrets });
    const ready = await eventually(async () => {
      const found = condition(await world.get("later"), "Ready");
      expect(found?.status).toBe("False");
      return found;
    });
    expect(ready.message).toContain(later);
    await world.vault.write(`sys/namespaces/${later}`);
    await world.vault.write(`${later}/sys/mounts/${mount}`, { type: "kv", options: { version: "2" } });
    await world.request("later");
    await world.settled("later");
    expect(await dataIn(later, "later")).toEqual({ k: "v" });
  });
});

test("allowed, the object's namespace stands in the place of VAULT_NAMESPACE, which is the default", async () => {
  await world.start({
    args: ["--sync-period-seconds=0", "--allow-vault-namespaces"],
    env: { VAULT_NAMESPACE: one },
  });
  const path = `${mount}/data/default`;
  await world.sync("default", { path, secrets: await world.entries({ k: "default" }) });
  await world.sync("over", { path, vaultNamespace: two, secrets: await world.entries({ k: "over" }) });
  expect([await dataIn(one, "default"), await dataIn(two, "default")]).toEqual([{ k: "default" }, { k: "over" }]);
  await untilOlder(await world.get("default"));
  await world.apply("named", { path, vaultNamespace: one, secrets: await world.entries({ k: "named" }) });
  await world.settled("named", "PathConflict");
  await world.operator.stop();
});

describe("not allowed", () => {
  beforeAll(() => world.start({ args: ["--sync-period-seconds=0"] }));
  afterAll(() => world.operator.stop());

  test("PolicyDenied with an event, nothing written; without the field it is synced", async () => {
    const path = `${world.v2}/data/refused`;
    await world.apply("refused", { path, vaultNamespace: one, secrets: await world.entries({ k: "v" }) });
    const refused = await world.settled("refused", "PolicyDenied");
    expect(condition(refused, "Ready").message).toContain("--allow-vault-namespaces");
    expect(await world.event("refused", "PolicyDenied")).toMatchObject({ type: "Warning" });
    expect(await world.metadataOf("refused")).toBeUndefined();
    await world.edit("refused", { vaultNamespace: null });
    await world.settled("refused");
    expect(await world.atV2("refused")).toEqual({ k: "v" });
  });

  test("a denied object holds no path", async () => {
    const path = `${world.v2}/data/free`;
    await world.apply("denied", { path, vaultNamespace: two, secrets: await world.entries({ k: "denied" }) });
    await untilOlder(await world.settled("denied", "PolicyDenied"));
    await world.sync("allowed", { path, secrets: await world.entries({ k: "allowed" }) });
    expect(await world.atV2("free")).toEqual({ k: "allowed" });
  });

  test("an old location in a namespace that is no longer allowed is not removed, and the object says so", async () => {
    const path = `${mount}/data/left`;
    const secrets = await world.entries({ k: "v" });
    await world.restart({ args: ["--sync-period-seconds=0", "--allow-vault-namespaces"] });
    await world.sync("left", { path, vaultNamespace: one, deletionPolicy: "Destroy", secrets });
    await world.restart({ args: ["--sync-period-seconds=0"] });
    await world.edit("left", { path: `${world.v2}/left`, vaultNamespace: null });
    await eventually(async () => expect(await world.atV2("left")).toEqual({ k: "v" }));
    await eventually(async () => {
      expect(condition(await world.get("left"), "Ready").message).toContain("--allow-vault-namespaces");
    });
    expect(await dataIn(one, "left")).toEqual({ k: "v" });
  });

  test("the deletion of one that was written when it was allowed is blocked, and says by what", async () => {
    const spec = { path: `${mount}/data/blocked`, vaultNamespace: one, deletionPolicy: "Destroy" };
    await world.restart({ args: ["--sync-period-seconds=0", "--allow-vault-namespaces"] });
    await world.sync("blocked", { ...spec, secrets: await world.entries({ k: "v" }) });
    await world.restart({ args: ["--sync-period-seconds=0"] });
    await world.delete("blocked");
    await eventually(async () => {
      const blocked = condition(await world.get("blocked"), "DeletionBlocked");
      expect(blocked).toMatchObject({ status: "True", reason: "PolicyDenied" });
    });
    expect(await dataIn(one, "blocked")).toEqual({ k: "v" });
    await world.restart({ args: ["--sync-period-seconds=0", "--allow-vault-namespaces"] });
    await world.untilGone("blocked");
    expect(await dataIn(one, "blocked")).toBeUndefined();
  });
});
