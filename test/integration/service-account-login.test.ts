// Logins as a service account that an object names, end to end: TokenRequest at the real API server with the rights of
// deploy/opt-in/role-service-account-login.yaml, the login at the real Vault by k8s and by jwt, and what becomes of the session
// when the account may not log in any more, or nobody can be asked.
import { createPublicKey, type JsonWebKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { systemClock } from "../../src/base/clock.ts";
import { ServiceAccounts, vaultLoginAnnotation } from "../../src/controller/service-accounts.ts";
import { KubeClient } from "../../src/runtime/client.ts";
import type { Identity } from "../../src/vault/vault.ts";
import { testEnv } from "../env/context.ts";
import { eventually } from "../env/eventually.ts";
import { JsonClient } from "../env/http.ts";
import type { Manifest } from "../env/kube-client.ts";
import { freePort } from "../env/ports.ts";
import { uniqueName } from "../env/unique.ts";
import { FakeClock } from "../gen/fake-clock.ts";
import { silent } from "./runtime-env.ts";
import { sessionScene } from "./session-scene.ts";
import { Requests, vaultOn } from "./vault-fixture.ts";

const env = testEnv();
const { stack, kube } = env;
const server = stack.vault;
const scene = await sessionScene(server);
const { admin } = scene;
const jwtMount = uniqueName("jwt");
const role = uniqueName("role");
/** Of the operator, and of the objects. */
const [own, namespace] = await Promise.all([env.freshNamespace(), env.freshNamespace()]);
let operator: KubeClient;
/** May do nothing. */
let outsider: KubeClient;
let unreachable: KubeClient;
let account: string;
/** Names of accounts that the policy lets log in. */
const allowed = new Set<string>();

beforeAll(async () => {
  [operator, outsider] = await Promise.all([clientAs("kms-vault-operator"), clientAs("outsider")]);
  unreachable = clientTo(`https://127.0.0.1:${await freePort()}`, "none");
  await Promise.all([letJwtIn(), applyRights()]);
});
afterAll(async () => {
  await Promise.all([operator.close(), outsider.close(), unreachable.close(), admin.close()]);
});

/** Each test has an account of its own, which Vault lets in by both methods. */
beforeEach(async () => {
  account = uniqueName("app");
  await kube.apply(accountManifest(namespace));
  const token = { token_policies: scene.policy, token_ttl: "1h" };
  await admin.send("POST", `auth/kubernetes/role/${role}-${account}`, {
    bound_service_account_names: account,
    bound_service_account_namespaces: namespace,
    audience: "vault",
    ...token,
  });
  await admin.send("POST", `auth/${jwtMount}/role/${role}-${account}`, {
    role_type: "jwt",
    user_claim: "sub",
    bound_audiences: ["vault"],
    bound_subject: `system:serviceaccount:${namespace}:${account}`,
    ...token,
  });
});

test("without the rights for it, the failure names the file to apply", async () => {
  const { vault, access, switchTo } = start();
  switchTo(outsider);
  expect(await scene.failure(access)).toMatchObject({
    code: "VaultLoginFailed",
    message: `the operator may not log in as service account ${account}: apply deploy/opt-in/role-service-account-login.yaml`,
  });
  await vault.close();
});

test("an account that is not there, or is not meant for it, is said with what to do", async () => {
  await annotate(null);
  const { vault, access } = start();
  expect(await scene.failure(access)).toMatchObject({
    code: "VaultLoginFailed",
    message: expect.stringContaining(`annotate it with ${vaultLoginAnnotation}=true`),
  });
  await annotate("false");
  expect(await scene.failure(start().access)).toMatchObject({ code: "VaultLoginFailed" });
  const nobody = start({ serviceAccount: { namespace, name: "nobody" } });
  expect(await scene.failure(nobody.access)).toMatchObject({
    code: "VaultLoginFailed",
    message: expect.stringContaining(`no service account nobody in namespace ${namespace}`),
  });
  await Promise.all([vault.close(), nobody.vault.close()]);
});

test("one that is not meant for it logs in where the policy lets it, as long as it does", async () => {
  await annotate(null);
  allowed.add(account);
  const { vault, access, clock, metrics } = start();
  expect(await scene.look(access)).toBe("absent");
  await renewed(clock, metrics);
  allowed.delete(account);
  await clock.advance(clock.nextTimerMs ?? 0);
  await eventually(async () => expect(await living("k8s")).toEqual([]));
  expect((await scene.failure(access)).message).toContain("have the policy allow it");
  await vault.close();
});

test.each(["k8s", "jwt"] as const)("by %s, in the object's role", async (method) => {
  const { vault, access, logs } = start({ method });
  expect(await scene.look(access)).toBe("absent");
  expect(await living(method)).toHaveLength(1);
  expect(logs.count("eyJ")).toBe(0);
  await vault.close();
  expect(await living(method)).toEqual([]);
});

test("in the role that the method has, when the object names none", async () => {
  const { vault, access } = start({ serviceAccount: { namespace, name: account } });
  expect(await scene.look(access)).toBe("absent");
  await vault.close();
});

test("by no other method", async () => {
  const { vault, access } = start({ method: "userpass" });
  expect(await scene.failure(access)).toMatchObject({
    code: "VaultLoginFailed",
    message: expect.stringContaining("logs in by k8s or jwt, not by userpass"),
  });
  await vault.close();
});

test("the account of another namespace is another one: Vault refuses it, and says whom", async () => {
  const other = await env.freshNamespace();
  await kube.apply(accountManifest(other));
  const { vault, access } = start({ serviceAccount: { namespace: other, name: account, role: `${role}-${account}` } });
  const { code, message } = await scene.failure(access);
  expect(code).toBe("VaultLoginFailed");
  expect(message).toContain(`service account ${other}/${account}`);
  expect(message).toContain("spec.vaultRole");
  await vault.close();
});

test("asked again before each renewal: once it is not meant for it any more, its token is revoked and the next use says why", async () => {
  const { vault, access, clock, metrics, logs } = start();
  expect(await scene.look(access)).toBe("absent");
  await renewed(clock, metrics);
  expect(await living("k8s")).toHaveLength(1);
  await annotate(null);
  await clock.advance(clock.nextTimerMs ?? 0);
  await eventually(async () => expect(await living("k8s")).toEqual([]));
  expect(clock.timers).toBe(0);
  expect((await scene.failure(access)).message).toContain("annotate it");
  expect(logs.count("not allowed any more")).toBe(1);
  await annotate("true");
  await clock.advance(60_000);
  expect(await scene.look(access)).toBe("absent");
  await vault.close();
});

test("renewed all the same when the API server cannot be asked", async () => {
  const { vault, access, clock, metrics, switchTo } = start();
  expect(await scene.look(access)).toBe("absent");
  switchTo(unreachable);
  await renewed(clock, metrics);
  expect(await scene.look(access)).toBe("absent");
  await vault.close();
});

test("renewed all the same when the account went with its namespace, in which no new login is to be had", async () => {
  const going = await env.freshNamespace();
  await kube.apply(accountManifest(going));
  await admin.send("POST", `auth/kubernetes/role/${role}-${account}`, {
    bound_service_account_names: account,
    bound_service_account_namespaces: going,
    audience: "vault",
    token_policies: scene.policy,
    token_ttl: "1h",
  });
  const serviceAccount = { namespace: going, name: account, role: `${role}-${account}` };
  const { vault, access, clock, metrics } = start({ serviceAccount });
  expect(await scene.look(access)).toBe("absent");
  await kube.delete({ apiVersion: "v1", plural: "namespaces", name: going });
  const late = start({ serviceAccount });
  expect((await scene.failure(late.access)).message).toContain(`namespace ${going} is being deleted`);
  await kube.delete({ apiVersion: "v1", plural: "serviceaccounts", namespace: going, name: account });
  await renewed(clock, metrics);
  expect(await scene.look(access)).toBe("absent");
  await Promise.all([vault.close(), late.vault.close()]);
});

test("1,000 looks as three identities are three logins and three living tokens", async () => {
  const { vault, logs } = vaultOn(server, {
    env: { ...(await scene.user()), ...roles() },
    serviceAccounts: new ServiceAccounts({ client: operator, audience: "vault", mayLogIn: () => false }),
  });
  const serviceAccount = { namespace, name: account };
  const identities: Identity[] = [
    { method: "userpass", namespace: "" },
    { method: "k8s", namespace: "", serviceAccount },
    { method: "jwt", namespace: "", serviceAccount },
  ];
  const before = await tokens();
  for (let round = 0; round < 40; round += 1) {
    const looks = Array.from({ length: 25 }, (_, index) => scene.look(vault.access(identities[index % 3] as Identity)));
    expect(new Set(await Promise.all(looks))).toEqual(new Set(["absent"]));
  }
  expect(logs.count("logged in")).toBe(3);
  expect((await tokens()).length - before.length).toBe(3);
  await vault.close();
  expect(await tokens()).toHaveLength(before.length);
});

/** The product's Vault with the operator's rights, and an access as the account. */
function start(changes: Partial<Identity> = {}) {
  let client = operator;
  const serviceAccounts = new ServiceAccounts({
    client: { get: (...call) => client.get(...call), create: (...call) => client.create(...call) },
    audience: "vault",
    mayLogIn: ({ name }) => allowed.has(name),
  });
  const clock = new FakeClock();
  const metrics = new Requests();
  const made = vaultOn(server, { env: roles(), clock, metrics, serviceAccounts });
  const serviceAccount = { namespace, name: account, role: `${role}-${account}` };
  const access = made.vault.access({ method: "k8s", namespace: "", serviceAccount, ...changes });
  const switchTo = (other: KubeClient) => {
    client = other;
  };
  return { ...made, access, clock, metrics, switchTo };
}

function roles() {
  const name = `${role}-${account}`;
  return { VAULT_K8S_ROLE: name, VAULT_JWT_ROLE: name, VAULT_JWT_LOGIN_ENDPOINT: `auth/${jwtMount}/login` };
}

/** Lets the time of one renewal come, and waits until it is done. */
async function renewed(clock: FakeClock, metrics: Requests): Promise<void> {
  const before = metrics.posts;
  await clock.advance(clock.nextTimerMs ?? 0);
  await eventually(() => expect([metrics.posts, clock.timers]).toEqual([before + 1, 1]));
  expect(metrics.list.at(-1)).toBe("POST 200");
}

/** The living tokens of the account by a method. */
function living(method: "k8s" | "jwt"): Promise<string[]> {
  const mount = method === "k8s" ? "kubernetes" : jwtMount;
  return scene.accessors(({ path, meta }) => path === `auth/${mount}/login` && meta?.role === `${role}-${account}`);
}

/** All tokens that may use the mount. */
function tokens(): Promise<string[]> {
  return scene.accessors(({ policies }) => policies.includes(scene.policy));
}

function accountManifest(where: string): Manifest {
  const metadata = { name: account, namespace: where, annotations: { [vaultLoginAnnotation]: "true" } };
  return { apiVersion: "v1", kind: "ServiceAccount", metadata };
}

async function annotate(value: string | null): Promise<void> {
  const path = { apiVersion: "v1", plural: "serviceaccounts", namespace, name: account };
  await kube.patch(path, { metadata: { annotations: { [vaultLoginAnnotation]: value } } });
}

/** A client of the product's, as a service account beside the operator. */
async function clientAs(name: string): Promise<KubeClient> {
  await kube.apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace: own } });
  return clientTo(stack.kubernetes.server, await kube.serviceAccountToken({ name, namespace: own }));
}

function clientTo(url: string, token: string): KubeClient {
  const connection = { server: url, caPem: stack.kubernetes.caPem, token };
  return new KubeClient({ connection, logger: silent, clock: systemClock, userAgent: "service-account-login-test" });
}

/** What a user applies, for the service account of this test. */
async function applyRights(): Promise<void> {
  const file = join(import.meta.dirname, "..", "..", "deploy", "opt-in", "role-service-account-login.yaml");
  for (const document of parseAllDocuments(await readFile(file, "utf8"))) {
    const manifest = document.toJS() as Manifest & { readonly subjects?: readonly object[] };
    const name = manifest.kind === "ClusterRole" ? manifest.metadata.name : uniqueName(manifest.metadata.name);
    const subjects = manifest.subjects?.map((subject) => ({ ...subject, namespace: own }));
    await kube.apply({ ...manifest, metadata: { name }, ...(subjects !== undefined && { subjects }) });
  }
  const any = { group: "", version: "v1", plural: "serviceaccounts", kind: "ServiceAccount" };
  await eventually(() => operator.get(any, { namespace: own, name: "outsider" }));
}

/** A jwt method that knows the keys of the API server. */
async function letJwtIn(): Promise<void> {
  const { server: url, caPem, admin: certificate } = stack.kubernetes;
  const client = new JsonClient(url, { caPem, ...certificate });
  const { keys } = await client.send({ method: "GET", path: "/openid/v1/jwks" });
  await client.close();
  const pem = keys.map((key: JsonWebKey) =>
    createPublicKey({ key, format: "jwk" }).export({ type: "spki", format: "pem" }),
  );
  await admin.send("POST", `sys/auth/${jwtMount}`, { type: "jwt" });
  await admin.send("POST", `auth/${jwtMount}/config`, { jwt_validation_pubkeys: pem });
}
