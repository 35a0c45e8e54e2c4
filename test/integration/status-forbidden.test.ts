// The rights that the original shipped with: no kmsvaultsecrets/status, no Secrets, no kube-system. Whoever upgrades
// without new RBAC must get everything in Vault all the same, and no event on every resync (the original's defect).
import { afterAll, beforeAll, expect, test } from "vitest";
import { testEnv } from "../env/context.ts";
import { eventually } from "../env/eventually.ts";
import type { ServiceAccount } from "../env/service-account.ts";
import { uniqueName } from "../env/unique.ts";
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  const env = testEnv();
  const namespace = await env.freshNamespace();
  const name = uniqueName("original");
  const token = await installOriginalRights(env.kube, namespace, name);
  const serviceAccount: ServiceAccount = { name, namespace, token };
  world = await openWorld({ serviceAccount, args: ["--sync-period-seconds=1"] });
  await world.start();
});
afterAll(() => world[Symbol.asyncDispose]());

test("objects are written, edited and kept in sync without a status, told of once per write", async () => {
  const path = `${world.v2}/data/stateless`;
  await world.apply("stateless", { path, secrets: await world.entries({ k: "1" }) });
  await world.apply("stateless-v1", { path: `${world.v1}/stateless`, secrets: await world.entries({ k: "1" }) });
  await eventually(async () => expect(await world.atV2("stateless")).toEqual({ k: "1" }));
  await eventually(async () => expect(await world.atV1("stateless")).toEqual({ k: "1" }));
  const decryptions = await world.decryptions();
  await resyncs(2);
  expect(await world.decryptions()).toBe(decryptions);
  expect(await world.versionOf("stateless")).toBe(1);
  expect(await timesTold("stateless")).toBe(1);

  await world.apply("stateless", { path, secrets: await world.entries({ k: "2" }) });
  await eventually(async () => expect(await world.atV2("stateless")).toEqual({ k: "2" }));
  await world.foreignV1("stateless", { k: "theirs" });
  await eventually(async () => expect(await world.atV1("stateless")).toEqual({ k: "1" }));
  await eventually(async () => expect(await timesTold("stateless")).toBe(2));
  expect((await world.get("stateless")).status).toBeUndefined();
});

test("one warning and a metric say what is missing and what it costs", async () => {
  const warnings = world.operator.logs().filter(({ msg }) => String(msg).includes("statuses may not be saved"));
  expect(warnings).toHaveLength(1);
  expect(warnings[0]?.["msg"]).toContain("kmsvaultsecrets/status");
  expect(await world.operator.metric("kms_vault_operator_status_forbidden")).toBe(1);
  const keyWarnings = world.operator.logs().filter(({ msg }) => String(msg).includes("record key"));
  expect(keyWarnings).toHaveLength(1);
});

test("a restart costs one pass over KMS and writes nothing", async () => {
  const [decryptions, version] = [await world.decryptions(), await world.versionOf("stateless")];
  await world.restart();
  await eventually(async () => expect(await world.decryptions()).toBe(decryptions + 2));
  await resyncs(2);
  expect(await world.decryptions()).toBe(decryptions + 2);
  expect(await world.versionOf("stateless")).toBe(version);
});

test("the finalizer still removes what was written", async () => {
  const path = `${world.v2}/data/removed`;
  await world.apply("removed", { path, secrets: await world.entries({ k: "v" }) }, { finalizers: [deleteFinalizer] });
  await eventually(async () => expect(await world.atV2("removed")).toEqual({ k: "v" }));
  await world.remove("removed");
  expect(await world.versionOf("removed")).toBeUndefined();
});

/** So many more looks at each of the objects. */
async function resyncs(count: number): Promise<void> {
  const mark = await world.mark();
  await eventually(async () => {
    const asked = (await world.asked(mark)).filter(({ path }) => /^kv-.*\/stateless$/.test(path));
    expect(asked.length).toBeGreaterThanOrEqual(count * 2);
  });
}

async function timesTold(name: string): Promise<number> {
  const told = (await world.events(name)).filter(({ reason }) => reason === "SecretCreated");
  return told.reduce((sum, { count }) => sum + count, 0);
}

/** As in the original's deploy/role.yaml, as far as it concerns us. @returns a token of the service account */
async function installOriginalRights(kube: World["kube"], namespace: string, name: string): Promise<string> {
  const rbac = "rbac.authorization.k8s.io";
  const rules = [
    { apiGroups: ["k8s.patoarvizu.dev"], resources: ["kmsvaultsecrets", "partialkmsvaultsecrets"], verbs: ["*"] },
    { apiGroups: [""], resources: ["events"], verbs: ["*"] },
  ];
  await kube.create({ apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace, name } });
  await kube.create({ apiVersion: `${rbac}/v1`, kind: "ClusterRole", metadata: { name }, rules });
  await kube.create({
    apiVersion: `${rbac}/v1`,
    kind: "ClusterRoleBinding",
    metadata: { name },
    roleRef: { apiGroup: rbac, kind: "ClusterRole", name },
    subjects: [{ kind: "ServiceAccount", namespace, name }],
  });
  return kube.serviceAccountToken({ namespace, name });
}
