// spec.deletionPolicy: what becomes of the data when the object goes. The operator puts the finalizer on the object
// itself, before anything is written, and takes away only what it put there; a policy that is set wins over a finalizer
// that the user set.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { secretPath } from "../gen/manifests.ts";
import { type Engine, engines, openWorld, untilOlder, type World } from "./world.ts";

const softDeleteFinalizer = "softdelete.k8s.patoarvizu.dev";
let world: World;
beforeAll(async () => {
  world = await openWorld({ args: ["--sync-period-seconds=0"] });
  // Everything, but for one place that may only be read.
  const token = await world.tokenForAllBut({
    [`${world.v2}/data/denied`]: ["read"],
  });
  await world.start({ env: { VAULT_TOKEN: token } });
});
afterAll(() => world[Symbol.asyncDispose]());

/** An object that is in Vault, at the path of its name. */
async function synced(name: string, engine: Engine, spec: object, metadata: object = {}) {
  const path = `${world[engine]}/${name}`;
  return world.sync(name, { path, secrets: await world.entries({ k: "v" }), ...spec }, metadata);
}

async function untilFinalizers(name: string, finalizers: readonly string[]): Promise<void> {
  await eventually(async () => expect(await world.finalizersOf(name)).toEqual(finalizers));
}

describe.each(engines)("on KV %s", (engine) => {
  test("Destroy: the operator's own finalizer, and nothing is left", async () => {
    const name = `destroy-${engine}`;
    await synced(name, engine, { deletionPolicy: "Destroy" });
    expect(await world.finalizersOf(name)).toEqual([deleteFinalizer]);
    await world.remove(name);
    expect(await world.at(engine, name)).toBeUndefined();
    expect(await world.metadataOf(name)).toBeUndefined();
  });

  test("Retain: no finalizer, everything stays", async () => {
    const name = `retain-${engine}`;
    await synced(name, engine, { deletionPolicy: "Retain" });
    expect(await world.finalizersOf(name)).toEqual([]);
    await world.remove(name);
    expect(await world.at(engine, name)).toEqual({ k: "v" });
  });

  test("Retain wins over the user's finalizer, which stays as long as the object lives", async () => {
    const name = `retain-all-the-same-${engine}`;
    await synced(name, engine, { deletionPolicy: "Retain" }, { finalizers: [deleteFinalizer] });
    await world.poke(name);
    expect(await world.finalizersOf(name)).toEqual([deleteFinalizer]);
    await world.remove(name);
    expect(await world.at(engine, name)).toEqual({ k: "v" });
  });

  test("set, then unset, then deleted: as if it had never been set", async () => {
    const name = `unset-${engine}`;
    await synced(name, engine, { deletionPolicy: "Destroy" });
    await world.edit(name, { deletionPolicy: null });
    await untilFinalizers(name, []);
    await world.remove(name);
    expect(await world.at(engine, name)).toEqual({ k: "v" });
  });

  test("the loser of a conflict goes without the winner's data, be it one that was there first", async () => {
    const names = [`winner-${engine}`, `loser-${engine}`] as const;
    await untilOlder(await synced(names[0], engine, { deletionPolicy: "Destroy" }));
    await synced(names[1], engine, { deletionPolicy: "Destroy" });
    const secrets = await world.entries({ k: "winner" });
    await world.edit(names[0], { path: `${world[engine]}/${names[1]}`, secrets });
    await world.settled(names[0]);
    await world.poke(names[1]);
    await world.settled(names[1], "PathConflict");
    await world.remove(names[1]);
    expect(await world.at(engine, names[1])).toEqual({ k: "winner" });
  });

  test("a spec that is not valid any more does not hide what the policy is", async () => {
    const name = `invalid-${engine}`;
    await synced(name, engine, { deletionPolicy: "Destroy" });
    await world.edit(name, { path: "" });
    await world.settled(name, "InvalidSpec");
    await world.remove(name);
    expect(await world.at(engine, name)).toBeUndefined();
  });

  test("unset: a finalizer that the user had put there stays, and does what it always did", async () => {
    const name = `unset-users-${engine}`;
    await synced(name, engine, { deletionPolicy: "Destroy" }, { finalizers: [deleteFinalizer] });
    await world.edit(name, { deletionPolicy: null });
    await world.settled(name);
    await world.poke(name);
    expect(await world.finalizersOf(name)).toEqual([deleteFinalizer]);
    await world.remove(name);
    expect(await world.at(engine, name)).toBeUndefined();
  });
});

describe("SoftDelete on KV v2", () => {
  test("the latest version is deleted and can be undeleted; the metadata and older versions stay", async () => {
    await synced("soft", "v2", { deletionPolicy: "SoftDelete" });
    expect(await world.finalizersOf("soft")).toEqual([softDeleteFinalizer]);
    await world.edit("soft", { secrets: await world.entries({ k: "2" }) });
    await world.settled("soft");
    await world.remove("soft");
    const { versions } = await world.metadataOf("soft");
    expect(versions["1"]).toMatchObject({ deletion_time: "", destroyed: false });
    expect(versions["2"].deletion_time).not.toBe("");
    expect(versions["2"].destroyed).toBe(false);
    await world.vault.write(`${world.v2}/undelete/soft`, { versions: [2] });
    expect(await world.atV2("soft")).toEqual({ k: "2" });
  });

  test("wins over the user's finalizer, which would destroy", async () => {
    await synced("soft-users", "v2", { deletionPolicy: "SoftDelete" }, { finalizers: [deleteFinalizer] });
    expect([...(await world.finalizersOf("soft-users"))].toSorted()).toEqual([deleteFinalizer, softDeleteFinalizer]);
    await world.remove("soft-users");
    const { versions } = await world.metadataOf("soft-users");
    expect(versions["1"]).toMatchObject({ destroyed: false });
    expect(versions["1"].deletion_time).not.toBe("");
  });

  test("what someone else only wrote over, under the object's mark, goes with it and can be undeleted too", async () => {
    await synced("soft-drift", "v2", { deletionPolicy: "SoftDelete" });
    await world.foreignV2("soft-drift", { k: "theirs" });
    await world.remove("soft-drift");
    expect(await world.atV2("soft-drift")).toBeUndefined();
    await world.vault.write(`${world.v2}/undelete/soft-drift`, { versions: [2] });
    expect(await world.atV2("soft-drift")).toEqual({ k: "theirs" });
  });

  test("someone else has wiped the path and written there since: nothing is deleted", async () => {
    await synced("soft-foreign", "v2", { deletionPolicy: "SoftDelete" });
    await world.vault.delete(`${world.v2}/metadata/soft-foreign`);
    await world.foreignV2("soft-foreign", { k: "theirs" });
    await world.remove("soft-foreign");
    await world.event("soft-foreign", "Released");
    expect(await world.atV2("soft-foreign")).toEqual({ k: "theirs" });
  });
});

test("SoftDelete on KV v1, where nothing could be undeleted: nothing is deleted, and an event says why", async () => {
  await synced("soft-v1", "v1", { deletionPolicy: "SoftDelete" });
  await world.remove("soft-v1");
  await world.event("soft-v1", "Released", "KV v1");
  expect(await world.atV1("soft-v1")).toEqual({ k: "v" });
});

test("Destroy takes what somebody deleted or destroyed before as well", async () => {
  await synced("deleted-before", "v2", { deletionPolicy: "Destroy" });
  await world.vault.delete(`${world.v2}/data/deleted-before`);
  await world.remove("deleted-before");
  expect(await world.metadataOf("deleted-before")).toBeUndefined();
});

test("one policy in the place of another: so are the finalizers, and the last one counts", async () => {
  await synced("changed", "v2", { deletionPolicy: "Destroy" });
  await world.edit("changed", { deletionPolicy: "SoftDelete" });
  await untilFinalizers("changed", [softDeleteFinalizer]);
  await world.edit("changed", { deletionPolicy: "Retain" });
  await untilFinalizers("changed", []);
  await world.edit("changed", { deletionPolicy: "Destroy" });
  await untilFinalizers("changed", [deleteFinalizer]);
  expect(await world.versionOf("changed")).toBe(1);
  await world.remove("changed");
  expect(await world.metadataOf("changed")).toBeUndefined();
});

test("the finalizer is on the object before anything is written", async () => {
  const secrets = await world.entries({ k: "v" });
  await world.apply("denied", { path: `${world.v2}/data/denied`, deletionPolicy: "Destroy", secrets });
  await world.settled("denied", "VaultPermissionDenied");
  expect(await world.metadataOf("denied")).toBeUndefined();
  expect(await world.finalizersOf("denied")).toEqual([deleteFinalizer]);
  await world.remove("denied");
});

test("taken off by somebody while the policy is set, it is put there again", async () => {
  await synced("taken-off", "v2", { deletionPolicy: "Destroy" });
  const path = secretPath({ namespace: world.namespace, name: "taken-off" });
  await world.kube.patch(path, { metadata: { finalizers: null } });
  await world.request("taken-off");
  await untilFinalizers("taken-off", [deleteFinalizer]);
});

test("a copied status takes no finalizer of a user's off, and forges no policy", async () => {
  const { status } = await synced("original", "v2", { deletionPolicy: "Destroy" });
  await synced("copy", "v2", {}, { finalizers: [deleteFinalizer] });
  await world.forge("copy", status);
  await world.request("copy");
  // Until the operator has put its own in the place of it, the object is one that wrote nothing.
  await eventually(async () => expect((await world.get("copy")).status).not.toEqual(status));
  await world.settled("copy");
  expect(await world.finalizersOf("copy")).toEqual([deleteFinalizer]);
  await world.remove("copy");
  expect(await world.metadataOf("copy")).toBeUndefined();
  expect(await world.atV2("original")).toEqual({ k: "v" });
});

test("other finalizers are nobody's business", async () => {
  const foreign = "example.com/foreign";
  await synced("beside", "v2", { deletionPolicy: "Destroy" }, { finalizers: [foreign] });
  expect(await world.finalizersOf("beside")).toEqual([foreign, deleteFinalizer]);
  await world.edit("beside", { deletionPolicy: null });
  await untilFinalizers("beside", [foreign]);
  await world.edit("beside", { deletionPolicy: "Destroy" });
  await untilFinalizers("beside", [foreign, deleteFinalizer]);
  await world.delete("beside");
  await untilFinalizers("beside", [foreign]);
  expect(await world.metadataOf("beside")).toBeUndefined();
  await world.kube.patch(secretPath({ namespace: world.namespace, name: "beside" }), {
    metadata: { finalizers: null },
  });
  await world.untilGone("beside");
});

test.each([
  ["unset", null],
  ["Retain", "Retain"],
])("%s and deleted while no operator ran: what the object said last counts", async (what, deletionPolicy) => {
  const name = `offline-${what.toLowerCase()}`;
  await synced(name, "v2", { deletionPolicy: "Destroy" });
  await world.operator.stop();
  await world.edit(name, { deletionPolicy });
  await world.delete(name);
  await world.start();
  await world.untilGone(name);
  expect(await world.atV2(name)).toEqual({ k: "v" });
});

test("set by an edit that cannot be synced: what stands in Vault is removed with the object all the same", async () => {
  await synced("unsynced", "v2", {});
  await world.edit("unsynced", { path: "sys/nowhere", deletionPolicy: "Destroy" });
  await world.settled("unsynced", "NotKV");
  await untilFinalizers("unsynced", [deleteFinalizer]);
  await world.remove("unsynced");
  expect(await world.metadataOf("unsynced")).toBeUndefined();
});

describe("a status that was wiped does not make the operator's finalizer the user's:", () => {
  test("the policy unset, it is taken off, and the object goes without its data", async () => {
    await synced("wiped", "v2", { deletionPolicy: "Destroy" });
    await world.forge("wiped", null);
    await world.edit("wiped", { deletionPolicy: null });
    await untilFinalizers("wiped", []);
    await world.remove("wiped");
    expect(await world.atV2("wiped")).toEqual({ k: "v" });
  });

  test("the policy unset and the object deleted while no operator ran", async () => {
    await synced("wiped-offline", "v2", { deletionPolicy: "Destroy" });
    await world.operator.stop();
    await world.forge("wiped-offline", null);
    await world.edit("wiped-offline", { deletionPolicy: null });
    await world.delete("wiped-offline");
    await world.start();
    await world.untilGone("wiped-offline");
    expect(await world.atV2("wiped-offline")).toEqual({ k: "v" });
  });
});
