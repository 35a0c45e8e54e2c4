// A tenancy policy that goes by labels of namespaces, with the rights that a user installs: role.yaml alone cannot list
// namespaces, and then nobody gets more than by names; role-policy.yaml is what it takes.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { testEnv } from "../env/context.ts";
import type { Manifest } from "../env/kube-client.ts";
import type { OperatorOptions } from "../env/operator.ts";
import { installServiceAccount } from "../env/service-account.ts";
import { type MountedPolicy, mountedPolicy, newTenant, relabel, type Tenant } from "./policy-scene.ts";
import { openWorld, untilOlder, type World } from "./world.ts";

let world: World;
let policy: MountedPolicy;
let ownNamespace: string;
let start: Partial<OperatorOptions>;
/** Named by the first rule; labelled; neither. */
let [named, labelled, other]: [Tenant, Tenant, Tenant] = [] as never;

beforeAll(async () => {
  const env = testEnv();
  ownNamespace = await env.freshNamespace();
  const serviceAccount = await installServiceAccount(env.kube, ownNamespace);
  world = await openWorld({ serviceAccount });
  [named, labelled, other] = await Promise.all([
    newTenant(world),
    newTenant(world, { tenant: "blue" }),
    newTenant(world),
  ]);
  policy = await mountedPolicy([byName()]);
  const watched = [named, labelled, other].map(({ namespace }) => namespace);
  start = {
    args: ["--sync-period-seconds=0", `--policy=${policy.file}`],
    env: { WATCH_NAMESPACE: watched.join(",") },
  };
  await world.start(start);
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await policy[Symbol.asyncDispose]();
});

function byName(): object {
  return { name: "named", namespaces: { names: [named.namespace] }, vaultPaths: [`${world.v2}/named/*`] };
}

function byLabels(): object[] {
  return [
    byName(),
    { name: "labelled", namespaces: { labels: { tenant: "*" } }, vaultPaths: [`${world.v2}/{{label:tenant}}/*`] },
    { name: "rest", vaultPaths: [`${world.v2}/rest/*`, `${world.v2}/blue/*`] },
  ];
}

test("a policy that goes by names alone asks for no namespace", async () => {
  await named.apply("app", { path: `${world.v2}/named/app` });
  await named.settled("app");
  await other.apply("app", { path: `${world.v2}/rest/app` });
  await other.settled("app", "PolicyDenied");
  expect(await refusedRequests()).toBe(0);
});

test("without the right to list namespaces: rules by name hold, who is behind a rule by labels waits and is told why", async () => {
  const since = await world.mark();
  await policy.swap(byLabels());
  const { message } = await other.settled("app", "KubernetesError");
  expect(message).toContain("deploy/opt-in/role-policy.yaml");
  await labelled.apply("app", { path: `${world.v2}/blue/app` });
  await labelled.settled("app", "KubernetesError");
  expect((await world.asked(since)).filter(({ path }) => /rest|blue/.test(path))).toEqual([]);
  expect(world.operator.output()).toContain("KubernetesError");
  expect(await refusedRequests()).toBeGreaterThan(0);
  await named.apply("later", { path: `${world.v2}/named/later` });
  await named.settled("later");
});

test("nobody takes a place from an older object of which it is not known whether it is allowed", async () => {
  const path = `${world.v2}/named/taken`;
  await untilOlder(await labelled.apply("taken", { path }));
  await named.apply("taken", { path });
  await named.settled("taken", "PathConflict");
});

test("with the right, without a restart: labels decide, in rules and in paths", async () => {
  await applyRole();
  await labelled.settled("app");
  await other.settled("app");
  expect(await world.atV2("blue/app")).toEqual({ k: labelled.namespace });
  await labelled.apply("denied", { path: `${world.v2}/green/app` });
  const { message } = await labelled.settled("denied", "PolicyDenied");
  expect(message).toContain('rule "labelled"');
  await labelled.settled("taken", "PolicyDenied");
  await named.settled("taken");
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

test("started anew it waits for the labels before it looks at anybody", async () => {
  await world.restart(start);
  await labelled.apply("anew", { path: `${world.v2}/rest/anew` });
  await labelled.settled("anew");
  expect(world.operator.output()).not.toContain("KubernetesError");
});

/** Requests that the API server did not allow. */
function refusedRequests(): Promise<number> {
  return world.operator.metric("rest_client_requests_total", { code: "403" });
}

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
