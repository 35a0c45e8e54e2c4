// The tenancy policy on logins, Vault namespaces and keys: who may log in how and as whom, which Vault namespaces a
// tenant has, which keys and bindings. What the object alone tells is refused before Vault or KMS hear of it.
import { afterAll, beforeAll, expect, test } from "vitest";
import { auditRequests } from "../env/audit.ts";
import { testEnv } from "../env/context.ts";
import { eventually } from "../env/eventually.ts";
import { uniqueName } from "../env/unique.ts";
import { livingTokens } from "./living-tokens.ts";
import { type MountedPolicy, mountedPolicy, newTenant, type Tenant } from "./policy-scene.ts";
import { openWorld, type World } from "./world.ts";

const vaultPolicy = uniqueName("tenant");
const username = uniqueName("user");
const [first, second] = [uniqueName("vault-ns"), uniqueName("vault-ns")];
const allowedKey = "arn:aws:kms:us-east-1:111122223333:key/11111111-1111-4111-8111-111111111111";
let world: World;
let policy: MountedPolicy;
/** May log in as its service accounts app-*; must be bound; has two Vault namespaces; may do as it likes. */
let [accounts, bound, spaces, free]: [Tenant, Tenant, Tenant, Tenant] = [] as never;

beforeAll(async () => {
  world = await openWorld();
  [accounts, bound, spaces, free] = await Promise.all([
    newTenant(world),
    newTenant(world),
    newTenant(world),
    newTenant(world),
  ]);
  await letAccountsIn();
  for (const namespace of [first, second]) {
    await world.vault.write(`sys/namespaces/${namespace}`);
    await world.vault.write(`${namespace}/sys/mounts/kv`, { type: "kv", options: { version: "2" } });
    await eventually(async () => expect(await world.vault.read(`${namespace}/kv/config`)).toBeDefined());
  }
  policy = await mountedPolicy(rules());
  const watched = [accounts, bound, spaces, free].map(({ namespace }) => namespace);
  await world.start({
    args: ["--sync-period-seconds=0", `--policy=${policy.file}`],
    env: { WATCH_NAMESPACE: watched.join(","), VAULT_USERNAME: username, VAULT_PASSWORD: "not-asked-for" },
  });
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await policy[Symbol.asyncDispose]();
});

function rules(vaultRoles: readonly string[] = ["{{namespace}}-*"]): object[] {
  const anywhere = ["**"];
  return [
    {
      name: "accounts",
      namespaces: { names: [accounts.namespace] },
      vaultPaths: anywhere,
      authMethods: ["k8s"],
      vaultRoles,
      serviceAccounts: ["app-*"],
      require: { serviceAccountRef: true },
    },
    {
      name: "bound",
      namespaces: { names: [bound.namespace] },
      vaultPaths: anywhere,
      kmsKeys: [allowedKey],
      kmsRoleArns: ["arn:aws:iam::111122223333:role/{{namespace}}"],
      require: { bindContext: "Namespace" },
    },
    {
      name: "spaces",
      namespaces: { names: [spaces.namespace] },
      vaultPaths: anywhere,
      vaultNamespaces: [first],
    },
    { name: "free", vaultPaths: anywhere },
  ];
}

test("login: method, role and service account are refused together, and nobody logs in", async () => {
  const since = await world.mark();
  const path = `${world.v2}/data/login`;
  await accounts.apply("login", { path, vaultAuthMethod: "userpass" });
  const { message } = await accounts.settled("login", "PolicyDenied");
  expect(message).toContain("spec.vaultAuthMethod: userpass");
  expect(message).toContain("spec.serviceAccountRef is missing");
  const spec = { path, serviceAccountRef: { name: "app-one" }, vaultRole: "admin" };
  await accounts.apply("login", { ...spec, vaultAuthMethod: "jwt" });
  const { message: other } = await accounts.settled("login", "PolicyDenied");
  expect(other).toContain("spec.vaultAuthMethod: jwt");
  expect(other).toContain("spec.vaultRole is not among");
  const { vault } = testEnv().stack;
  expect(await auditRequests(vault, { path: `auth/userpass/login/${username}`, since })).toEqual([]);
  expect(await world.asked(since)).toEqual([]);
});

test("a service account that the policy names needs no annotation, one that it does not name does", async () => {
  const role = `${accounts.namespace}-app`;
  const spec = { path: `${world.v2}/data/account`, vaultRole: role };
  await accounts.apply("account", { ...spec, serviceAccountRef: { name: "other" } });
  const { message } = await accounts.settled("account", "VaultLoginFailed");
  expect(message).toContain("have the policy allow it");
  await accounts.apply("account", { ...spec, serviceAccountRef: { name: "app-one" } });
  await accounts.settled("account");
  expect(await world.atV2("account")).toEqual({ k: accounts.namespace });
  expect(await livingTokens(world.vault, [vaultPolicy])).toBe(1);
});

test("who is denied gives its session back", async () => {
  await policy.swap(rules(["none"]));
  await accounts.settled("account", "PolicyDenied");
  await eventually(async () => expect(await livingTokens(world.vault, [vaultPolicy])).toBe(0));
  await policy.swap(rules());
  await accounts.settled("account");
});

test("Vault namespaces: those of the rule, not even the operator's own besides; no rule: the operator's own alone", async () => {
  await spaces.apply("space", { path: "kv/data/space", vaultNamespace: second });
  const { message } = await spaces.settled("space", "PolicyDenied");
  expect(message).toContain("vaultNamespaces");
  await spaces.apply("space", { path: `${world.v2}/data/space` });
  await spaces.settled("space", "PolicyDenied");
  await spaces.apply("space", { path: "kv/data/space", vaultNamespace: `/${first}/` });
  await spaces.settled("space");
  expect((await world.vault.read(`${first}/kv/data/space`)).data).toEqual({ k: spaces.namespace });
  await free.apply("space", { path: "kv/data/other", vaultNamespace: first });
  const { message: without } = await free.settled("space", "PolicyDenied");
  expect(without).toContain("--allow-vault-namespaces");
});

test("keys, roles and binding are refused before KMS hears of it", async () => {
  const before = await world.decryptions();
  const path = `${world.v2}/data/bound`;
  await bound.apply("bound", {
    path,
    kmsKeyId: allowedKey.replace("key/1", "key/2"),
    kmsRoleArn: "arn:aws:iam::111122223333:role/other",
  });
  const { message } = await bound.settled("bound", "PolicyDenied");
  for (const field of ["kmsKeyId", "kmsRoleArn", "bindContext must be Namespace"]) expect(message).toContain(field);
  await free.apply("role", { path, kmsRoleArn: "arn:aws:iam::111122223333:role/other" });
  expect((await free.settled("role", "PolicyDenied")).message).toContain("it takes a policy with kmsRoleArns");
  expect(await world.decryptions()).toBe(before);
});

/** The role `<namespace>-app` for every account of the tenant, and the accounts. */
async function letAccountsIn(): Promise<void> {
  const { namespace } = accounts;
  for (const name of ["app-one", "other"]) {
    await world.kube.create({ apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace, name } });
  }
  const capabilities = ["create", "read", "update", "patch", "delete"];
  await world.vault.write(`sys/policies/acl/${vaultPolicy}`, {
    policy: JSON.stringify({ path: { [`${world.v2}/*`]: { capabilities } } }),
  });
  await world.vault.write(`auth/kubernetes/role/${namespace}-app`, {
    bound_service_account_names: ["*"],
    bound_service_account_namespaces: [namespace],
    audience: "vault",
    token_policies: [vaultPolicy],
  });
}
