// A namespace that is being deleted refuses new events and tokens. Objects with a finalizer are finished all the same,
// those that log in as a service account with the session that they had.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { uniqueName } from "../env/unique.ts";
import { condition, startWorld, type World } from "./world.ts";

const args = ["--sync-period-seconds=0"];
const deletionPolicy = "Destroy";

/** Deletes the namespace of a world. Nothing here finishes that: it stays Terminating for good. */
async function terminate(world: World): Promise<void> {
  const path = { apiVersion: "v1", plural: "namespaces", name: world.namespace };
  await world.kube.delete(path);
  await eventually(async () => expect((await world.kube.get(path)).status.phase).toBe("Terminating"));
}

describe("objects that use the operator's own login", () => {
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ args });
    const secrets = await world.entries({ k: "v" });
    await world.sync("v1", { path: `${world.v1}/v1`, deletionPolicy, secrets });
    await world.sync("v2", { path: `${world.v2}/v2`, deletionPolicy, secrets });
    await world.sync("told", { path: `${world.v2}/told`, deletionPolicy, secrets });
    await terminate(world);
  });
  afterAll(() => world[Symbol.asyncDispose]());

  test.each(["v1", "v2"] as const)("the data leaves KV %s and the object goes", async (engine) => {
    await world.remove(engine);
    expect(await world.at(engine, engine)).toBeUndefined();
  });

  test("an event that is refused holds nothing up", async () => {
    await world.annotate("told", { "k8s.patoarvizu.dev/deletion": "orphan" });
    await world.remove("told");
    expect(await world.atV2("told")).toEqual({ k: "v" });
    await eventually(async () => expect(world.operator.output()).toContain("events cannot be written"));
    await world.expectUnharmed();
  });
});

describe("objects that log in as a service account", () => {
  const role = uniqueName("role");
  const account = "app";
  let world: World;
  beforeAll(async () => {
    world = await startWorld({ args });
    const everything = ["create", "read", "update", "patch", "delete", "list"];
    const policy = uniqueName("policy");
    const path = { [`${world.v2}/*`]: { capabilities: everything } };
    await world.vault.write(`sys/policies/acl/${policy}`, { policy: JSON.stringify({ path }) });
    await world.vault.write(`auth/kubernetes/role/${role}`, {
      bound_service_account_names: [account],
      bound_service_account_namespaces: [world.namespace],
      audience: "vault",
      token_policies: [policy],
      token_ttl: "1h",
    });
    const annotations = { "k8s.patoarvizu.dev/vault-login": "true" };
    await world.kube.create({
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: account, namespace: world.namespace, annotations },
    });
    const secrets = await world.entries({ k: "v" });
    for (const name of ["kept", "late"]) {
      await world.sync(name, {
        path: `${world.v2}/${name}`,
        deletionPolicy,
        secrets,
        vaultAuthMethod: "k8s",
        serviceAccountRef: { name: account },
        vaultRole: role,
      });
    }
    await terminate(world);
    await world.kube.delete({
      apiVersion: "v1",
      plural: "serviceaccounts",
      namespace: world.namespace,
      name: account,
    });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  test("the session that they had removes the data, although the account is gone", async () => {
    await world.remove("kept");
    expect(await world.atV2("kept")).toBeUndefined();
  });

  test("without a session the object says what it waits for; nothing is removed by another identity", async () => {
    await world.restart();
    await world.delete("late");
    await eventually(async () => {
      expect(condition(await world.get("late"), "DeletionBlocked")).toMatchObject({ status: "True" });
    });
    expect(await world.atV2("late")).toEqual({ k: "v" });
    await world.annotate("late", { "k8s.patoarvizu.dev/deletion": "orphan" });
    await world.untilGone("late");
    expect(await world.atV2("late")).toEqual({ k: "v" });
  });
});
