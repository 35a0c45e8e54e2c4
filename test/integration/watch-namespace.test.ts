// WATCH_NAMESPACE: which objects are reconciled, and which only hold their places in Vault.
import { afterAll, beforeAll, expect, test } from "vitest";
import { testEnv } from "../env/context.ts";
import { eventually } from "../env/eventually.ts";
import { uniqueName } from "../env/unique.ts";
import { kmsVaultSecret, secretPath } from "../gen/manifests.ts";
import { condition, openWorld, type World } from "./world.ts";

const rbac = "rbac.authorization.k8s.io";
let world: World;
let second: string;
let unwatched: string;
beforeAll(async () => {
  world = await openWorld({ args: ["--sync-period-seconds=0"] });
  const env = testEnv();
  [second, unwatched] = await Promise.all([env.freshNamespace(), env.freshNamespace()]);
});
afterAll(() => world[Symbol.asyncDispose]());

async function create(namespace: string, name: string): Promise<void> {
  const spec = { path: `${world.v2}/data/${name}`, secrets: await world.entries({ k: name }) };
  await world.kube.create(kmsVaultSecret({ namespace, name }, spec));
}

test("a list of namespaces: objects of each are written, others are not, and one warning counts those", async () => {
  await create(unwatched, "left-out");
  await world.start({ env: { WATCH_NAMESPACE: ` ${world.namespace},${second}` } });
  await create(world.namespace, "in-first");
  await create(second, "in-second");
  for (const name of ["in-first", "in-second"]) {
    await eventually(async () => expect(await world.atV2(name)).toEqual({ k: name }));
  }
  const warnings = world.operator.logs().filter(({ msg }) => String(msg).includes("WATCH_NAMESPACE leaves objects"));
  expect(warnings).toHaveLength(1);
  expect(warnings[0]?.["leftOut"]).toBeGreaterThanOrEqual(1);
  await create(unwatched, "left-out-later");
  // The watch brings objects in order: when this one is written, the one before has been seen.
  await create(world.namespace, "after");
  await eventually(async () => expect(await world.atV2("after")).toEqual({ k: "after" }));
  for (const name of ["left-out", "left-out-later"]) {
    expect(await world.versionOf(name)).toBeUndefined();
    expect((await world.kube.get(secretPath({ namespace: unwatched, name }))).status).toBeUndefined();
  }
});

test("an object of an unwatched namespace holds its path all the same", async () => {
  await world.apply("wants-it", { path: `${world.v2}/data/left-out`, secrets: await world.entries({ k: "v" }) });
  const object = await world.settled("wants-it", "PathConflict");
  expect(condition(object, "Ready").message).toContain("an object in another namespace");
  await world.kube.delete(secretPath({ namespace: unwatched, name: "left-out" }));
  await world.settled("wants-it");
});

test("rights in the watched namespace alone are enough", async () => {
  await world.operator.stop();
  const serviceAccount = await namespacedRights();
  await world.start({ serviceAccount });
  await world.apply("namespaced", { path: `${world.v2}/data/namespaced`, secrets: await world.entries({ k: "v" }) });
  await world.settled("namespaced");
  await world.event("namespaced", "SecretCreated");
  expect(world.operator.output()).not.toContain("WATCH_NAMESPACE leaves objects");
});

/** A service account that may do in the world's namespace what the shipped ClusterRole allows everywhere. */
async function namespacedRights() {
  const { kube, namespace } = world;
  const name = uniqueName("namespaced");
  const rules = [
    { apiGroups: ["k8s.patoarvizu.dev"], resources: ["*"], verbs: ["get", "list", "watch", "patch"] },
    { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] },
    { apiGroups: [""], resources: ["secrets"], verbs: ["get", "create"] },
  ];
  const at = { namespace, name };
  await kube.create({ apiVersion: "v1", kind: "ServiceAccount", metadata: at });
  await kube.create({ apiVersion: `${rbac}/v1`, kind: "Role", metadata: at, rules });
  await kube.create({
    apiVersion: `${rbac}/v1`,
    kind: "RoleBinding",
    metadata: at,
    roleRef: { apiGroup: rbac, kind: "Role", name },
    subjects: [{ kind: "ServiceAccount", ...at }],
  });
  return { ...at, token: await kube.serviceAccountToken(at) };
}
