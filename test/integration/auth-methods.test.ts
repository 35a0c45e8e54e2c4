// As whom each object is written to Vault: vaultAuthMethod per object, with the flag as the default. What was used shows
// in Vault's own audit log, by the policies of the token that came with the request.
import { writeFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { uniqueName } from "../env/unique.ts";
import { livingTokens } from "./living-tokens.ts";
import { condition, openWorld, type World } from "./world.ts";

const policies = {
  k8s: uniqueName("by-k8s"),
  userpass: uniqueName("by-userpass"),
  approle: uniqueName("by-approle"),
};
const user = uniqueName("user");
const password = "a password with spaces and ü";
let world: World;
let directory: string;
let credentials: Readonly<Record<string, string>>;

beforeAll(async () => {
  world = await openWorld();
  directory = await mkdtemp(join(tmpdir(), "auth-methods-"));
  for (const name of Object.values(policies))
    await world.vault.write(`sys/policies/acl/${name}`, { policy: policyText() });
  await world.vault.write(`auth/userpass/users/${user}`, { password, token_policies: [policies.userpass] });
  credentials = {
    VAULT_USERNAME: user,
    VAULT_PASSWORD: `${password}\n`,
    VAULT_K8S_ROLE: await k8sRole(),
    VAULT_K8S_TOKEN_FILE: join(directory, "token"),
  };
  await world.start({ args: ["--sync-period-seconds=0"], env: credentials });
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

test.each([
  ["userpass", policies.userpass],
  ["k8s, by a real TokenReview,", policies.k8s],
  ["token", "root"],
])("%s on the object is who writes it", async (method, policy) => {
  const [vaultAuthMethod = ""] = method.split(",");
  await written(`by-${vaultAuthMethod}`, { vaultAuthMethod });
  expect(await writers(`by-${vaultAuthMethod}`)).toEqual([expect.arrayContaining([policy])]);
});

test("an object that does not say is written by the flag's method, token by default", async () => {
  await written("by-default", {});
  expect(await writers("by-default")).toEqual([["root"]]);
});

test("changing the method of an object logs in anew and is no new version", async () => {
  await written("changing", { vaultAuthMethod: "token" });
  await written("changing", { vaultAuthMethod: "userpass" });
  expect(await world.versionOf("changing")).toBe(1);
  await world.poke("changing");
  const { policies: last } = (await requests("changing")).at(-1) ?? {};
  expect(last).toContain(policies.userpass);
});

test("the flag's method with no token anywhere; a method without credentials concerns its objects alone", async () => {
  const env = { ...credentials, VAULT_TOKEN: undefined, VAULT_USERNAME: undefined };
  await world.restart({ args: ["--sync-period-seconds=0", "--vault-authentication-method=k8s"], env });
  await written("by-flag", {});
  expect(await writers("by-flag")).toEqual([expect.arrayContaining([policies.k8s])]);
  for (const [vaultAuthMethod, variable] of [
    ["token", "VAULT_TOKEN environment variable not found"],
    ["userpass", "Environment variable VAULT_USERNAME not set"],
  ] as const) {
    const name = `without-${vaultAuthMethod}`;
    await world.apply(name, { ...(await spec(name)), vaultAuthMethod });
    const object = await world.settled(name, "VaultLoginFailed");
    expect(condition(object, "Ready").message).toContain(variable);
    await world.event(name, "VaultLoginFailed", variable);
  }
  await written("by-flag-still", {});
});

test("a wrapped secret id and a password in a file; at its end the operator takes its own logins back", async () => {
  const { wrapped, env: approle } = await approleRole();
  const files = {
    VAULT_PASSWORD_FILE: join(directory, "password"),
    VAULT_APPROLE_SECRET_ID_FILE: join(directory, "id"),
  };
  await writeFile(files.VAULT_PASSWORD_FILE, `${password}\n`);
  await writeFile(files.VAULT_APPROLE_SECRET_ID_FILE, wrapped);
  const env = { ...credentials, VAULT_PASSWORD: undefined, VAULT_TOKEN: undefined, ...approle, ...files };
  await world.restart({ args: ["--sync-period-seconds=0", "--vault-authentication-method=approle"], env });
  await written("by-approle", {});
  expect(await writers("by-approle")).toEqual([expect.arrayContaining([policies.approle])]);
  await written("by-password-file", { vaultAuthMethod: "userpass" });
  expect(await writers("by-password-file")).toEqual([expect.arrayContaining([policies.userpass])]);
  // The objects of earlier tests have theirs by k8s.
  await eventually(async () => expect(await livingTokens(world.vault, Object.values(policies))).toBe(3));
  expect(await world.operator.stop()).toEqual({ code: 0, signal: null });
  expect(await livingTokens(world.vault, Object.values(policies))).toBe(0);
});

async function spec(name: string) {
  return { path: `${world.v2}/data/${name}`, secrets: await world.entries({ k: "v" }) };
}

async function written(name: string, more: object): Promise<void> {
  await world.sync(name, { ...(await spec(name)), ...more });
  expect(await world.atV2(name)).toEqual({ k: "v" });
}

/** What Vault was asked about a path by the operator, oldest first. */
async function requests(name: string) {
  const all = await world.asked({ offset: 0 });
  return all.filter(({ path }) => path === `${world.v2}/data/${name}` || path === `${world.v2}/metadata/${name}`);
}

/** The policies of those who wrote the data of a path. */
async function writers(name: string) {
  const data = `${world.v2}/data/${name}`;
  const writes = (await requests(name)).filter(({ operation, path }) => operation !== "read" && path === data);
  return writes.map(({ policies: used }) => used);
}

function policyText(): string {
  const path = { [`${world.v2}/*`]: { capabilities: ["create", "read", "update", "delete"] } };
  return JSON.stringify({ path });
}

/** A role of Vault's Kubernetes method for a service account of ours, whose token is in the file. */
async function k8sRole(): Promise<string> {
  const role = uniqueName("role");
  const name = "operator-in-vault";
  const { namespace } = world;
  await world.kube.create({ apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace, name } });
  await world.vault.write(`auth/kubernetes/role/${role}`, {
    bound_service_account_names: [name],
    bound_service_account_namespaces: [namespace],
    token_policies: [policies.k8s],
  });
  const token = await world.kube.serviceAccountToken({ namespace, name });
  await eventually(async () => expect(await world.vault.read(`auth/kubernetes/role/${role}`)).toBeDefined());
  await writeFile(join(directory, "token"), `${token}\n`);
  return role;
}

/** A role of AppRole. @returns a wrapping token for its secret id, and the variables to log in with it */
async function approleRole() {
  const mount = uniqueName("approle");
  const role = `auth/${mount}/role/operator`;
  await world.vault.write(`sys/auth/${mount}`, { type: "approle" });
  await world.vault.write(role, { token_policies: [policies.approle] });
  const headers = { "x-vault-wrap-ttl": "300s" };
  const answer = await world.vault.ask({ method: "POST", path: `/v1/${role}/secret-id`, body: {}, headers });
  const env = {
    VAULT_APPROLE_ROLE_ID: (await world.vault.read(`${role}/role-id`)).role_id,
    VAULT_APPROLE_SECRET_ID_WRAPPED: "true",
    VAULT_APPROLE_ENDPOINT: `auth/${mount}/login`,
  };
  return { wrapped: answer.body.wrap_info.token, env };
}
