// A tenancy policy that goes by labels of namespaces, with the rights that a user installs: role.yaml alone cannot list
// namespaces, and then nobody gets more than by names; role-policy.yaml is what it takes.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { testEnv } from "../env/context.ts";
import type { Manifest } from "../env/kube-client.ts";
import { installServiceAccount } from "../env/service-account.ts";
import { type MountedPolicy, mountedPolicy, newTenant, relabel, type Tenant } from "./policy-scene.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
let policy: MountedPolicy;
let ownNamespace: string;
/** Named by the first rule; labelled; neither. */
let [named, labelled, other]: [Tenant, Tenant, Tenant] = [] as never;

beforeAll(async () => {
  const { kube, freshNamespace } = testEnv();
  ownNamespace = await freshNamespace();
  const serviceAccount = await installServiceAccount(kube, ownNamespace);
  world = await openWorld({ serviceAccount });
  [named, labelled, other] = await Promise.all([
    newTenant(world),
    newTenant(world, { tenant: "blue" }),
    newTenant(world),
  ]);
  policy = await mountedPolicy([
    { name: "named", namespaces: { names: [named.namespace] }, vaultPaths: [`${world.v2}/named/*`] },
    { name: "labelled", namespaces: { labels: { tenant: "*" } }, vaultPaths: [`${world.v2}/{{label:tenant}}/*`] },
    { name: "rest", vaultPaths: [`${world.v2}/rest/*`, `${world.v2}/blue/*`] },
  ]);
  const watched = [named, labelled, other].map(({ namespace }) => namespace);
  await world.start({
    args: ["--sync-period-seconds=0", `--policy=${policy.file}`],
    env: { WATCH_NAMESPACE: watched.join(",") },
  });
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await policy[Symbol.asyncDispose]();
});

test("without the right to list namespaces: rules by name hold, who is behind a rule by labels waits and is told why", async () => {
  await named.apply("app", { path: `${world.v2}/named/app` });
  await named.settled("app");
  const since = await world.mark();
  await other.apply("app", { path: `${world.v2}/rest/app` });
  const { message } = await other.settled("app", "KubernetesError");
  expect(message).toContain("deploy/opt-in/role-policy.yaml");
  await labelled.apply("app", { path: `${world.v2}/blue/app` });
  await labelled.settled("app", "KubernetesError");
  expect(await world.asked(since)).toEqual([]);
});

test("with the right, without a restart: labels decide, in rules and in paths", async () => {
  await applyRole();
  await labelled.settled("app");
  await other.settled("app");
  expect(await world.atV2("blue/app")).toEqual({ k: labelled.namespace });
  await labelled.apply("denied", { path: `${world.v2}/green/app` });
  const { message } = await labelled.settled("denied", "PolicyDenied");
  expect(message).toContain('rule "labelled"');
});

test("another label is in force at once, for who loses a place and for who gets it", async () => {
  await other.apply("heir", { path: `${world.v2}/blue/app` });
  await other.settled("heir", "PathConflict");
  await relabel(world, labelled, { tenant: "green" });
  await labelled.settled("denied");
  await labelled.settled("app", "PolicyDenied");
  await other.settled("heir");
  expect(await world.atV2("green/app")).toEqual({ k: labelled.namespace });
  expect(await world.atV2("blue/app")).toEqual({ k: other.namespace });
});

test("a namespace whose label is gone, or empty, falls to the next rule", async () => {
  await relabel(world, labelled, { tenant: "" });
  const { message } = await labelled.settled("denied", "PolicyDenied");
  expect(message).toContain('rule "rest"');
  await relabel(world, labelled, { tenant: null });
  await labelled.apply("app", { path: `${world.v2}/rest/labelled` });
  await labelled.settled("app");
});

async function applyRole(): Promise<void> {
  const file = join(import.meta.dirname, "..", "..", "deploy", "opt-in", "role-policy.yaml");
  for (const document of parseAllDocuments(await readFile(file, "utf8"))) {
    const manifest = document.toJS() as Manifest & { readonly subjects?: readonly object[] };
    const isRole = manifest.kind === "ClusterRole";
    const name = isRole ? manifest.metadata.name : `${manifest.metadata.name}-${ownNamespace}`;
    const subjects = manifest.subjects?.map((subject) => ({ ...subject, namespace: ownNamespace }));
    await world.kube.apply({ ...manifest, metadata: { name }, ...(subjects !== undefined && { subjects }) });
  }
}
