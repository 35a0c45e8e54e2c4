// An object that is written as a service account of its namespace (spec.serviceAccountRef), by an operator that needs no
// right in Vault of its own: from the refusal, by way of the annotation, to the end of its session with the object's.
import { afterAll, beforeAll, expect, test } from "vitest";
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { vaultLoginAnnotation } from "../../src/controller/service-accounts.ts";
import { eventually } from "../env/eventually.ts";
import { uniqueName } from "../env/unique.ts";
import { livingTokens } from "./living-tokens.ts";
import { condition, openWorld, type World } from "./world.ts";

const policy = uniqueName("by-service-account");
const role = uniqueName("role");
const name = "app";
let world: World;

beforeAll(async () => {
  world = await openWorld();
  const { namespace, vault, kube } = world;
  await kube.create({ apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace, name } });
  const capabilities = ["create", "read", "update", "patch", "delete"];
  await vault.write(`sys/policies/acl/${policy}`, {
    policy: JSON.stringify({ path: { [`${world.v2}/*`]: { capabilities } } }),
  });
  await vault.write(`auth/kubernetes/role/${role}`, {
    bound_service_account_names: [name],
    bound_service_account_namespaces: [namespace],
    audience: "vault",
    token_policies: [policy],
  });
  await world.start({ args: ["--sync-period-seconds=0"], env: { VAULT_TOKEN: undefined } });
});
afterAll(() => world[Symbol.asyncDispose]());

test("not before its account is meant for it", async () => {
  const spec = {
    path: `${world.v2}/data/own`,
    secrets: await world.entries({ k: "v" }),
    serviceAccountRef: { name },
    vaultRole: role,
  };
  await world.apply("own", spec, { finalizers: [deleteFinalizer] });
  const { message } = condition(await world.settled("own", "VaultLoginFailed"), "Ready");
  expect(message).toContain(`annotate it with ${vaultLoginAnnotation}=true`);
  expect(await sessions()).toBe(0);
});

test("as its account once it is, and as nobody else", async () => {
  const { namespace } = world;
  const account = { apiVersion: "v1", plural: "serviceaccounts", namespace, name };
  await world.kube.patch(account, { metadata: { annotations: { [vaultLoginAnnotation]: "true" } } });
  // The failed login backs off by itself; the object is tried again by itself, too.
  await world.settled("own");
  expect(await world.atV2("own")).toEqual({ k: "v" });
  const writes = (await world.asked({ offset: 0 })).filter(({ path }) => path === `${world.v2}/data/own`);
  expect(writes.length).toBeGreaterThan(0);
  for (const { policies } of writes.filter(({ operation }) => operation !== "read")) expect(policies).toContain(policy);
  expect(await sessions()).toBe(1);
});

test("its removal is its account's too, and then its session ends", async () => {
  await world.remove("own");
  expect(await world.versionOf("own")).toBeUndefined();
  await eventually(async () => expect(await sessions()).toBe(0));
  expect(world.operator.output()).not.toContain("eyJ");
});

/** How many of its logins hold. */
function sessions(): Promise<number> {
  return livingTokens(world.vault, [policy]);
}
