// The tenancy policy at the places in Vault: what is denied never reaches it, what changes in the file is in force within
// seconds, and a broken file changes nothing. Without a resync: what a change brings about, the change itself must.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { auditRequests } from "../env/audit.ts";
import { eventually } from "../env/eventually.ts";
import { testEnv } from "../env/context.ts";
import { kmsVaultSecret } from "../gen/manifests.ts";
import { type MountedPolicy, mountedPolicy, newTenant, type Tenant } from "./policy-scene.ts";
import { openWorld, untilOlder, type World } from "./world.ts";

const finalizer = "delete.k8s.patoarvizu.dev";
let world: World;
let policy: MountedPolicy;
/** The rules that are, as JSON. */
let inForce: string;
let [one, two]: [Tenant, Tenant] = [] as never;

beforeAll(async () => {
  world = await openWorld();
  [one, two] = await Promise.all([newTenant(world), newTenant(world)]);
  policy = await mountedPolicy(ownPlaces());
  inForce = JSON.stringify(ownPlaces());
  await world.start(startOptions());
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await policy[Symbol.asyncDispose]();
});

function startOptions() {
  return {
    args: ["--sync-period-seconds=0", `--policy=${policy.file}`],
    env: { WATCH_NAMESPACE: `${one.namespace},${two.namespace}` },
  };
}

/** Each tenant has what lies below its name, on the KV v2 mount. */
function ownPlaces(): readonly object[] {
  return [{ name: "own", vaultPaths: [`${world.v2}/{{namespace}}/**`] }];
}

/** Puts other rules in force, and waits until they are. */
async function changeTo(rules: readonly object[]): Promise<void> {
  if (JSON.stringify(rules) === inForce) return;
  const before = changes();
  await policy.swap(rules);
  await eventually(() => expect(changes()).toBe(before + 1));
  inForce = JSON.stringify(rules);
}

function changes(): number {
  return told("policy changed, used from now on").length;
}

function told(message: string) {
  return world.operator.logs().filter(({ msg }) => msg === message);
}

/** The path of a tenant's own secret. */
function pathOf({ namespace }: Tenant, name: string): string {
  return `${world.v2}/data/${namespace}/${name}`;
}

beforeEach(() => changeTo(ownPlaces()));

describe("a place of another tenant", () => {
  test.each<[string, (path: string) => string]>([
    ["by the API's path", (path) => path],
    ["by the logical path", (path) => path.replace("/data/", "/")],
    ["with doubled slashes", (path) => `//${path.replaceAll("/", "//")}/`],
    ["with data/ twice", (path) => path.replace("/data/", "/data/data/")],
  ])("%s: PolicyDenied, and Vault hears nothing of it", async (_, spelled) => {
    const since = await world.mark();
    const path = spelled(pathOf(two, "theirs"));
    await one.apply("denied", { path });
    const { message } = await one.settled("denied", "PolicyDenied");
    expect(message).toContain('rule "own" of the policy');
    expect(message).not.toContain(two.namespace);
    expect(await auditRequests(testEnv().stack.vault, { path: new RegExp(two.namespace), since })).toEqual([]);
    expect((await one.get("denied")).metadata.finalizers ?? []).toEqual([]);
    await one.delete("denied");
  });

  test("what only Vault tells apart is asked of Vault, and nothing is read or written", async () => {
    // On KV v2 this is data/<two>/…, which is two's below the mount; on KV v1 it would be the path as it stands.
    const rules = [{ name: "own", vaultPaths: [`${world.v2}/data/{{namespace}}/*`] }];
    await changeTo(rules);
    const since = await world.mark();
    await one.apply("asked", { path: pathOf(one, "asked"), deletionPolicy: "Destroy" });
    const { message } = await one.settled("asked", "PolicyDenied");
    expect(message).toContain(`${world.v2}/${one.namespace}/asked is not among the vaultPaths`);
    expect((await world.asked(since)).filter(({ path }) => !path.includes("ui/mounts"))).toEqual([]);
    expect((await one.get("asked")).metadata.finalizers ?? []).toEqual([]);
    await one.delete("asked");
  });
});

test("everything that is refused is said at once, and what is allowed is synced", async () => {
  await one.apply("several", {
    path: pathOf(two, "several"),
    vaultNamespace: "other",
    kmsRoleArn: "arn:aws:iam::111122223333:role/app",
  });
  const { message } = await one.settled("several", "PolicyDenied");
  expect(message).toContain("spec.path");
  expect(message).toContain("spec.vaultNamespace");
  expect(message).toContain("spec.kmsRoleArn");
  await one.apply("several", { path: pathOf(one, "several") });
  await one.settled("several");
  expect(await world.atV2(`${one.namespace}/several`)).toEqual({ k: one.namespace });
});

test("a change of the file is in force within seconds, both ways", async () => {
  await one.apply("live", { path: `${world.v2}/data/shared/live` });
  await one.settled("live", "PolicyDenied");
  await changeTo([{ name: "shared", vaultPaths: [`${world.v2}/shared/*`] }]);
  await one.settled("live");
  expect(await world.atV2("shared/live")).toEqual({ k: one.namespace });
  await changeTo(ownPlaces());
  const { message } = await one.settled("live", "PolicyDenied");
  expect(message).toContain("correct the object");
  expect(await world.versionOf("shared/live")).toBe(1);
});

test("a broken file keeps the last good policy, and says so, until it is in order again", async () => {
  const complaints = () => told("policy file unusable, keeping the last good one");
  for (const [name, broken] of [
    ["empty", ""],
    ["misspelt", "rules: [{name: x, vaultPath: [secret/a]}]"],
  ] as const) {
    const before = complaints().length;
    await policy.swap(broken);
    await eventually(() => expect(complaints()).toHaveLength(before + 1));
    expect(await world.operator.metric("kms_vault_operator_policy_valid")).toBe(0);
    await one.apply(name, { path: pathOf(one, name) });
    await one.settled(name);
    await two.apply(name, { path: pathOf(one, name) });
    await two.settled(name, "PolicyDenied");
  }
  expect(complaints().at(-1)).toMatchObject({
    problems: expect.arrayContaining([expect.stringContaining("rules[0].vaultPath: is not a field")]),
  });
  await policy.swap(ownPlaces());
  await eventually(() => expect(told("policy file is in order again")).toHaveLength(1));
  expect(await world.operator.metric("kms_vault_operator_policy_valid")).toBe(1);
});

describe("an object that was denied all along goes when it is deleted, and Vault hears nothing of it", () => {
  /** Of another tenant by its text; and so as only Vault knows where the mount ends. */
  const paths = () => ({ text: pathOf(two, "never"), mount: `${world.v2}/data/data/${one.namespace}/never` });

  test.each(["text", "mount"] as const)("looked at by a process that is no more, refused by its %s", async (by) => {
    const name = `never-${by}`;
    await one.apply(name, { path: paths()[by] }, { finalizers: [finalizer] });
    await one.settled(name, "PolicyDenied");
    const since = await world.mark();
    await world.operator.stop();
    await one.delete(name);
    await world.start(startOptions());
    await one.untilGone(name);
    expect((await world.asked(since)).filter(({ path }) => path.includes("never"))).toEqual([]);
    expect(released(name)).toMatchObject([{ reason: expect.stringContaining("there is no record") }]);
  });

  test("never looked at", async () => {
    await world.operator.stop();
    const since = await world.mark();
    await one.apply("unseen", { path: paths().text, deletionPolicy: "Destroy" }, { finalizers: [finalizer] });
    await one.delete("unseen");
    await world.start(startOptions());
    await one.untilGone("unseen");
    expect((await world.asked(since)).filter(({ path }) => path.includes("never"))).toEqual([]);
  });

  function released(name: string) {
    return told("object left a place").filter(({ object }) => object === `${one.namespace}/${name}`);
  }
});

describe("places from before that are denied now", () => {
  test("deletion is blocked by it, and goes on at once when the policy allows it", async () => {
    await one.apply("blocked", { path: pathOf(one, "blocked"), deletionPolicy: "Destroy" });
    await one.settled("blocked");
    await changeTo([]);
    await one.settled("blocked", "PolicyDenied");
    const since = await world.mark();
    await one.delete("blocked");
    const { message } = await one.told("blocked", "DeletionBlocked", "PolicyDenied");
    expect(message).toContain(`no rule of the policy is for namespace ${one.namespace}`);
    expect(await world.asked(since)).toEqual([]);
    expect(await world.atV2(`${one.namespace}/blocked`)).toEqual({ k: one.namespace });
    await changeTo(ownPlaces());
    await one.untilGone("blocked");
    expect(await world.metadataOf(`${one.namespace}/blocked`)).toBeUndefined();
  });

  test("the annotation lets it go, and Vault is left alone", async () => {
    await one.apply("orphan", { path: pathOf(one, "orphan"), deletionPolicy: "Destroy" });
    await one.settled("orphan");
    await changeTo([]);
    await one.delete("orphan");
    await one.told("orphan", "DeletionBlocked", "PolicyDenied");
    await one.annotate("orphan", { "k8s.patoarvizu.dev/deletion": "orphan" });
    await one.untilGone("orphan");
    expect(await world.atV2(`${one.namespace}/orphan`)).toEqual({ k: one.namespace });
  });

  test("an object that moves away is written, and the old place is left until the policy allows its removal", async () => {
    const wide = [{ name: "wide", vaultPaths: [`${world.v2}/{{namespace}}/**`, `${world.v2}/old/*`] }];
    await changeTo(wide);
    await one.apply("moved", { path: `${world.v2}/old/moved`, deletionPolicy: "Destroy" });
    await one.settled("moved");
    await changeTo(ownPlaces());
    const since = await world.mark();
    await one.apply("moved", { path: pathOf(one, "moved"), deletionPolicy: "Destroy" });
    await eventually(async () => expect(await world.atV2(`${one.namespace}/moved`)).toEqual({ k: one.namespace }));
    await eventually(async () => {
      const [ready] = (await one.get("moved")).status.conditions;
      expect(ready.message).toContain("old/moved is not among the vaultPaths");
    });
    expect((await world.asked(since)).filter(({ path }) => path.includes("old/moved"))).toEqual([]);
    await changeTo(wide);
    await eventually(async () => expect(await world.metadataOf("old/moved")).toBeUndefined());
    expect(await world.atV2(`${one.namespace}/moved`)).toEqual({ k: one.namespace });
  });
});

test("who is denied holds no path; once allowed, the older one does", async () => {
  const path = `${world.v2}/data/${two.namespace}/claimed`;
  await untilOlder(await one.apply("older", { path }));
  await one.settled("older", "PolicyDenied");
  await two.apply("younger", { path });
  await two.settled("younger");
  await changeTo([{ name: "any", vaultPaths: [`${world.v2}/**`] }]);
  await one.settled("older");
  const { message } = await two.settled("younger", "PathConflict");
  expect(message).toContain("an object in another namespace");
  await changeTo(ownPlaces());
  await one.settled("older", "PolicyDenied");
  await two.settled("younger");
  expect(await world.atV2(`${two.namespace}/claimed`)).toEqual({ k: two.namespace });
});

test("an object that cannot be read is no reason to fall over, and is denied nothing", async () => {
  const spec = {
    path: pathOf(one, "odd"),
    secrets: [{ key: "k", encryptedSecret: "not base64" }],
    bindContext: "None",
  };
  await world.kube.create(kmsVaultSecret({ namespace: one.namespace, name: "odd" }, spec));
  await one.settled("odd", "DecodingError");
  await world.expectUnharmed();
});
