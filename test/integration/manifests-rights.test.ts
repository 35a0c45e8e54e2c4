// What the chart renders, applied to a real API server and run with the rights that it renders: for each way to install
// the operator does its work from a manifest to Vault, no request of it is refused, and what it may not do is refused.
import { afterAll, beforeAll, expect, test } from "vitest";
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { eventually } from "../env/eventually.ts";
import type { Values } from "../env/helm.ts";
import { type Private, privateStack } from "../env/private.ts";
import type { Stack } from "../env/stack.ts";
import { kmsVaultSecret, secretPath } from "../gen/manifests.ts";
import { install, type Question, refusedRequests } from "./installation.ts";
import { webhookName } from "./pods.ts";
import { denial } from "./review-scene.ts";
import { openWorld, type World } from "./world.ts";

const group = "k8s.patoarvizu.dev";
/** Where nothing of ours is. */
const elsewhere = "default";
let stack: Private<Stack>;

beforeAll(async () => {
  stack = await privateStack();
});
afterAll(() => stack[Symbol.asyncDispose]());

function newWorld(): Promise<World> {
  const { vault, kubernetes } = stack.info;
  return openWorld({ servers: { vault, kubernetes } });
}

/** An object with a Partial: written, edited, deleted, with all that is told about it. */
async function expectWork(world: World): Promise<void> {
  await world.applyPartial("part", { secrets: await world.entries({ k: "1" }) });
  const spec = { path: `${world.v2}/data/life`, includeSecrets: ["part"] };
  await world.sync("life", spec, { finalizers: [deleteFinalizer] });
  await world.event("life", "SecretCreated");
  await world.applyPartial("part", { secrets: await world.entries({ k: "2" }) });
  await eventually(async () => expect(await world.atV2("life")).toEqual({ k: "2" }));
  await world.remove("life");
  expect(await world.versionOf("life")).toBeUndefined();
}

/** Of the questions, those that are answered by yes. */
async function allowed(installation: Awaited<ReturnType<typeof install>>, questions: readonly Question[], as?: string) {
  const answers = await Promise.all(questions.map((question) => installation.may(question, as)));
  return questions.filter((_, index) => answers[index]);
}

/** What no installation may do, whatever its values. */
function neverAllowed(own: string): Question[] {
  return [
    { verb: "get", resource: "secrets", namespace: own, name: "vault-login" },
    { verb: "list", resource: "secrets", namespace: own },
    { verb: "watch", resource: "secrets" },
    { verb: "get", resource: "secrets", namespace: elsewhere, name: "kms-vault-operator-fingerprint-key" },
    { verb: "create", resource: "secrets", namespace: elsewhere },
    { verb: "update", group, resource: "kmsvaultsecrets", namespace: elsewhere },
    { verb: "create", group, resource: "kmsvaultsecrets", namespace: elsewhere },
    { verb: "delete", group, resource: "kmsvaultsecrets", namespace: elsewhere },
    { verb: "patch", group, resource: "partialkmsvaultsecrets", namespace: elsewhere },
    { verb: "get", resource: "configmaps", namespace: own },
    { verb: "create", resource: "pods", namespace: own },
    { verb: "create", resource: "pods/exec", namespace: own },
    { verb: "update", resource: "namespaces", name: own },
    { verb: "list", group: "apiextensions.k8s.io", resource: "customresourcedefinitions" },
    { verb: "impersonate", resource: "serviceaccounts", namespace: own },
    { verb: "escalate", group: "rbac.authorization.k8s.io", resource: "clusterroles" },
    { verb: "patch", group: "admissionregistration.k8s.io", resource: "validatingwebhookconfigurations" },
  ];
}

/** What shards alone need: the Leases of others. */
function otherLeases(own: string): Question[] {
  const leases = { group: "coordination.k8s.io", resource: "leases", namespace: own };
  return ["get", "list", "update", "delete"].map((verb) => ({ verb, ...leases }));
}

/** The chart's values for it. */
function policyByLabels(vaultPath: string): object {
  return {
    enabled: true,
    rules: [{ name: "tenants", namespaces: { labels: { tenant: "*" } }, vaultPaths: [vaultPath] }],
  };
}

/** Makes the world's namespace one of a tenant. */
async function label({ kube, namespace }: World, tenant: string): Promise<void> {
  await kube.patch({ apiVersion: "v1", plural: "namespaces", name: namespace }, { metadata: { labels: { tenant } } });
}

test("as it comes: all namespaces, Vault's Kubernetes method, leader election", async () => {
  await using world = await newWorld();
  await using installation = await install(world, stack.info);
  await installation.startOperator();
  await expectWork(world);
  expect(await refusedRequests(world.operator)).toBe(0);
  const lease = { apiVersion: "coordination.k8s.io/v1", plural: "leases", name: "39a50047.patoarvizu.dev" };
  const { spec } = await world.kube.get({ ...lease, namespace: installation.namespace });
  expect(spec.holderIdentity).not.toBe("");
  const questions: Question[] = [
    ...neverAllowed(installation.namespace),
    { verb: "list", resource: "namespaces" },
    ...otherLeases(installation.namespace),
    { verb: "get", resource: "serviceaccounts", namespace: elsewhere },
    { verb: "create", resource: "serviceaccounts/token", namespace: elsewhere },
  ];
  expect(await allowed(installation, questions)).toEqual([]);
  // The same questions, where the answer is yes: or the list above would prove nothing.
  const needed: Question[] = [
    { verb: "patch", group, resource: "kmsvaultsecrets/status", namespace: elsewhere },
    { verb: "get", resource: "secrets", namespace: installation.namespace, name: "kms-vault-operator-fingerprint-key" },
  ];
  expect(await allowed(installation, needed)).toEqual(needed);
});

test("without leader election: no rights on Leases", async () => {
  await using world = await newWorld();
  await using installation = await install(world, stack.info, { leaderElection: { enabled: false } });
  await installation.startOperator();
  await expectWork(world);
  expect(await refusedRequests(world.operator)).toBe(0);
  const own = installation.namespace;
  const lease = { group: "coordination.k8s.io", resource: "leases", namespace: own };
  const questions: Question[] = [
    ...otherLeases(own),
    { verb: "create", ...lease },
    { verb: "get", ...lease, name: "39a50047.patoarvizu.dev" },
  ];
  expect(await allowed(installation, questions)).toEqual([]);
});

test("watchNamespace: rights in those namespaces, and in no other", async () => {
  await using world = await newWorld();
  await using second = await newWorld();
  const namespaces = [world.namespace, second.namespace];
  await using installation = await install(world, stack.info, { watchNamespace: namespaces.join(",") });
  await installation.startOperator();
  await expectWork(world);
  const other = { namespace: second.namespace, name: "second" };
  const secrets = await world.entries({ k: "v" });
  await world.kube.create(kmsVaultSecret(other, { path: `${world.v2}/data/second`, secrets }));
  await eventually(async () => expect((await world.kube.get(secretPath(other))).status?.created).toBe(true));
  // The one question whether it may know the objects of all namespaces, which hold places in Vault too.
  expect(await refusedRequests(world.operator)).toBe(1);
  const questions: Question[] = [
    ...neverAllowed(installation.namespace),
    ...["kmsvaultsecrets", "partialkmsvaultsecrets"].flatMap((resource) => [
      { verb: "list", group, resource },
      { verb: "get", group, resource, namespace: elsewhere },
      { verb: "watch", group, resource, namespace: installation.namespace },
    ]),
    { verb: "patch", group, resource: "kmsvaultsecrets", namespace: elsewhere },
    { verb: "patch", group, resource: "kmsvaultsecrets/status", namespace: elsewhere },
    { verb: "create", resource: "events", namespace: elsewhere },
  ];
  expect(await allowed(installation, questions)).toEqual([]);
});

test("serviceAccountLogin: tokens of service accounts, for objects that name one", async () => {
  await using world = await newWorld();
  await using installation = await install(world, stack.info, { serviceAccountLogin: { enabled: true } });
  const { namespace } = world;
  const annotations = { "k8s.patoarvizu.dev/vault-login": "true" };
  await world.kube.create({
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "vault-writer", namespace, annotations },
  });
  await installation.letLogIn("shop", { name: "vault-writer", namespace }, { audience: "vault" });
  await installation.startOperator();
  const secrets = await world.entries({ k: "v" });
  const login = { vaultAuthMethod: "k8s", serviceAccountRef: { name: "vault-writer" }, vaultRole: "shop" };
  await world.sync("orders", { path: `${world.v2}/data/orders`, secrets, ...login });
  expect(await world.atV2("orders")).toEqual({ k: "v" });
  expect(await refusedRequests(world.operator)).toBe(0);
  expect(await allowed(installation, neverAllowed(installation.namespace))).toEqual([]);
});

test("shards: the replicas' Leases as well", async () => {
  await using world = await newWorld();
  await using installation = await install(world, stack.info, { replicas: 2, shards: 2 });
  await installation.startOperator();
  await expectWork(world);
  expect(await refusedRequests(world.operator)).toBe(0);
  const at = { apiVersion: "coordination.k8s.io/v1", plural: "leases", namespace: installation.namespace };
  expect((await world.kube.list(at)).length).toBeGreaterThanOrEqual(2);
  // The questions that are answered by no where there are no shards.
  const leases = otherLeases(installation.namespace);
  expect(await allowed(installation, leases)).toEqual(leases);
  expect(await allowed(installation, neverAllowed(installation.namespace))).toEqual([]);
});

test("a policy that goes by labels: the namespaces may be followed", async () => {
  await using world = await newWorld();
  const policy = policyByLabels(`${world.v2}/{{label:tenant}}/*`);
  await using installation = await install(world, stack.info, { policy });
  await label(world, "blue");
  await installation.startOperator();
  const secrets = await world.entries({ k: "v" });
  await world.sync("mine", { path: `${world.v2}/data/blue/mine`, secrets });
  await world.apply("theirs", { path: `${world.v2}/data/red/theirs`, secrets });
  await world.settled("theirs", "PolicyDenied");
  expect(await refusedRequests(world.operator)).toBe(0);
  expect(await allowed(installation, neverAllowed(installation.namespace))).toEqual([]);
});

test.each<[string, (world: World) => Values]>([
  ["", () => ({})],
  [", in watched namespaces", ({ namespace }) => ({ watchNamespace: namespace })],
  [", with a policy that goes by labels", ({ v2 }) => ({ policy: policyByLabels(`${v2}/{{label:tenant}}/*`) })],
])("the webhook with a certificate of its own%s: trusted, asked, and with no other rights", async (_, values) => {
  await using world = await newWorld();
  const validatingWebhook = { enabled: true, certificates: "selfSigned" };
  await using installation = await install(world, stack.info, { ...values(world), validatingWebhook });
  const { namespace, kube, v2 } = world;
  await label(world, "blue");
  await using webhook = await installation.startWebhook();
  const path = `${v2}/data/blue/refused`;
  const wrong = kmsVaultSecret(
    { namespace, name: "refused" },
    { path, secrets: [{ key: "k", encryptedSecret: "YQ==" }] },
  );
  await eventually(async () => {
    expect(await denial(kube.create(wrong))).toContain("Error decrypting key k in KMSVaultSecret refused");
  });
  // By itself the Partial does not decrypt: what includes it is looked up.
  const secretContext = { app: "shop" };
  await world.apply("includer", { path: `${v2}/data/blue/includer`, secretContext, includeSecrets: ["part"] });
  const { key, encryptedSecret } = await world.entry("k", "v", secretContext);
  await world.applyPartial("part", { secrets: [{ key, encryptedSecret }] });
  expect(await webhook.metric("rest_client_requests_total", { method: "GET", code: "200" })).toBeGreaterThan(0);
  expect(await refusedRequests(webhook)).toBe(0);
  const own = installation.namespace;
  const questions: Question[] = [
    { verb: "list", resource: "secrets", namespace: own },
    { verb: "get", resource: "secrets", namespace: own, name: "kms-vault-operator-fingerprint-key" },
    { verb: "get", resource: "secrets", namespace: elsewhere, name: "kms-vault-validating-webhook-cert" },
    { verb: "patch", group, resource: "kmsvaultsecrets", namespace: elsewhere },
    { verb: "patch", group, resource: "kmsvaultsecrets/status", namespace: elsewhere },
    {
      verb: "patch",
      group: "admissionregistration.k8s.io",
      resource: "validatingwebhookconfigurations",
      name: "other",
    },
    { verb: "delete", group: "admissionregistration.k8s.io", resource: "validatingwebhookconfigurations" },
    { verb: "create", resource: "serviceaccounts/token", namespace: own },
  ];
  expect(await allowed(installation, questions, webhookName)).toEqual([]);
});
