// No object reaches another tenant's place: every way that we know of is tried, on the real Vault, with a login that may
// do everything, so that the policy alone stands between. The same ways without a policy show that there is something
// to be kept out: most reach the other tenant.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { eventually } from "../env/eventually.ts";
import { secretPath } from "../gen/manifests.ts";
import { policyOf } from "./tenancy-policy.ts";
import { openTenancy, precious, type Result, type TenancyScene } from "./tenancy-scene.ts";
import { type Escape, escapes } from "./tenancy-table.ts";
import { type TemporaryFiles, withFiles } from "./temporary-files.ts";
import { untilOlder } from "./world.ts";

let files: TemporaryFiles | undefined;
afterAll(() => files?.[Symbol.asyncDispose]());

/** Name, title and object, in the order of the table. */
const attempts = escapes.map((escape, index) => {
  const id = `way-${String(index + 1).padStart(2, "0")}`;
  return [id, escape.title, escape] as const;
});

test("there are more than forty ways, and most of them lead somewhere", () => {
  expect(new Set(escapes.map(({ title }) => title)).size).toBe(escapes.length);
  expect(escapes.length).toBeGreaterThan(40);
  expect(escapes.filter(({ freely }) => freely !== "fails").length).toBeGreaterThan(30);
});

describe("under the policy", () => {
  const tried = tryAll(policyArgs);

  test.each(attempts)("%s, %s: nothing of the other's is asked for, and the object says why", (id, _, escape) => {
    const { reason, message, requests, victim, own } = tried.result(id);
    const found = JSON.stringify({ reason, message, requests });
    expect(escape.expected, found).toContain(reason);
    expect(requests.filter((path) => !tried.scene.isOwn(escape, path))).toEqual([]);
    expect(victim.data).toEqual(precious);
    if (victim.metadata) expect(victim.metadata).toMatchObject({ version: 1, custom_metadata: null });
    if (escape.freely === "leaks") expect(own).toBeUndefined();
    expect(message).not.toContain(precious.k);
  });

  test.each([
    ["KV v1", { path: "<v1>/<a>/<id>" }],
    ["KV v2", { path: "<v2>/data/<a>/<id>" }],
    ["a mount of its own below a common name", { path: "<nest>/<a>/data/<id>" }],
    ["a mount whose own name ends in data", { path: "<deep>/data/<a>/<id>" }],
    ["by its label", { path: "<v2>/data/by-label/<label>/<id>" }],
    ["its own Vault namespace", { path: "kv/data/<id>", vaultNamespace: "<teams>/<a>" }],
    ["its own Vault namespace, with slashes that mean nothing", { path: "kv/<id>", vaultNamespace: "//<teams>//<a>/" }],
  ])("the own place stays open: %s", async (title, spec) => {
    const id = `own-${title.replaceAll(/[^a-z0-9]+/gi, "-").toLowerCase()}`;
    const escape: Escape = { title, spec, expected: ["Synced"], freely: "fails" };
    expect(await tried.scene.attempt(escape, id)).toMatchObject({ reason: "Synced" });
  });

  test("which of the paths are Vault namespaces is asked once for each mount of several segments", async () => {
    const { scene } = tried;
    const nested: Escape = { title: "", spec: { path: "<nest>/<a>/data/<id>" }, expected: [], freely: "fails" };
    expect(await scene.attempt(nested, "asked-once")).toMatchObject({ reason: "Synced" });
    const since = await scene.mark();
    expect(await scene.attempt(nested, "asked-no-more")).toMatchObject({ reason: "Synced" });
    expect(await scene.asked(since, "sys/internal/ui/namespaces")).toEqual([]);
  });
});

describe("without a policy", () => {
  const tried = tryAll(() => Promise.resolve(["--allow-vault-namespaces"]));

  test.each(attempts)("%s, %s: what is there to be kept out", (id, _, escape) => {
    const { reason, message, requests, own } = tried.result(id);
    const place = tried.scene.victimOf(escape, id);
    const touched = requests.some((path) => path === place || path === place.replace("/data/", "/metadata/"));
    const freely = touched ? "reaches" : own?.k === precious.k ? "leaks" : "fails";
    expect(freely, JSON.stringify({ reason, message, requests })).toBe(escape.freely);
  });
});

describe("what was written before there was a policy", () => {
  let scene: TenancyScene;
  const theirs = ["v2", "v1", "namespace", "moved", "carried"] as const;
  const placeOf = (name: (typeof theirs)[number]): Escape => ({
    title: name,
    spec: {
      path: name === "namespace" ? "<teams>/<b>/kv/data/<id>" : name === "v1" ? "<v1>/<b>/<id>" : "<v2>/data/<b>/<id>",
    },
    ...(name === "namespace" && { by: "broad" }),
    ...(name === "v1" && { victim: "<v1>/<b>/<id>" }),
    ...(name === "namespace" && { victim: "<teams>/<b>/kv/data/<id>" }),
    metadata: { finalizers: [deleteFinalizer] },
    expected: [],
    freely: "reaches",
  });
  beforeAll(async () => {
    scene = await openTenancy();
    await scene.start(["--allow-vault-namespaces"]);
    for (const name of theirs) expect(await scene.attempt(placeOf(name), name)).toMatchObject({ reason: "Synced" });
    await scene.world.operator.stop();
    await scene.start(await policyArgs(scene));
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  test.each(["v2", "v1", "namespace"] as const)("is not removed with its object: %s", async (name) => {
    await scene.world.kube.delete(secretPath({ namespace: scene.namespaceOf(placeOf(name)), name }));
    await eventually(async () => {
      expect(await scene.verdict(placeOf(name), name)).toMatchObject({ reason: "PolicyDenied" });
    });
    expect((await scene.traces(placeOf(name), name, [])).victim.data).toEqual({ k: "of the own" });
  });

  test("is not removed when its object moves home, and the object says so", async () => {
    const home = { path: "<v2>/data/<a>/<id>", deletionPolicy: "Destroy" };
    const { message } = await scene.attempt({ ...placeOf("moved"), spec: home }, "moved");
    expect(message).toContain("policy");
    const { victim, own } = await scene.traces(placeOf("moved"), "moved", []);
    expect([victim.data, own]).toEqual([{ k: "of the own" }, { k: "of the own" }]);
  });

  test("is not read when its object moves home with a key that does not decrypt", async () => {
    // What would be carried over is the other's own by now.
    await scene.placeVictim(placeOf("carried"), "carried");
    const secrets = [
      { key: "k", encryptedSecret: "<boundToB>" },
      { key: "other", encryptedSecret: "<ownValue>" },
    ];
    const since = await scene.mark();
    const home = { path: "<v2>/data/<a>/<id>", secrets };
    const { reason } = await scene.attempt({ ...placeOf("carried"), spec: home }, "carried");
    const { own, requests } = await scene.traces(placeOf("carried"), "carried", await scene.asked(since));
    expect([reason, own]).toEqual(["DecryptingError", undefined]);
    expect(requests.filter((path) => !scene.isOwn(placeOf("carried"), path))).toEqual([]);
  });

  test("holds nobody's place: the one whose place it is takes it", async () => {
    const its: Escape = { ...placeOf("moved"), by: "b", spec: { path: "<v2>/data/<b>/squatted" } };
    const squatter: Escape = { ...its, by: "a" };
    expect(await scene.attempt(squatter, "squatter")).toMatchObject({ reason: "PolicyDenied" });
    await untilOlder(
      await scene.world.kube.get(secretPath({ namespace: scene.namespaceOf(squatter), name: "squatter" })),
    );
    expect(await scene.attempt(its, "owner")).toMatchObject({ reason: "Synced" });
  });
});

/** Writes the policy; returns the arguments that name it. */
async function policyArgs(scene: TenancyScene): Promise<readonly string[]> {
  files = await withFiles({ "policy.yaml": policyOf(scene) });
  return [`--policy=${files.path("policy.yaml")}`];
}

/** Starts a scene before the tests of a block, and tries every way in it. */
function tryAll(argsOf: (scene: TenancyScene) => Promise<readonly string[]>) {
  const results = new Map<string, Result>();
  let scene: TenancyScene;
  beforeAll(async () => {
    scene = await openTenancy();
    for (const [id, , escape] of attempts) await scene.placeVictim(escape, id);
    for (const [id, , escape] of attempts) if (escape.forged !== undefined) await scene.prepare(escape, id);
    const since = await scene.mark();
    await scene.start(await argsOf(scene));
    const verdicts = await Promise.all(attempts.map(([id, , escape]) => scene.attempt(escape, id)));
    const asked = await scene.asked(since);
    for (const [index, [id, , escape]] of attempts.entries()) {
      const verdict = verdicts[index] ?? { reason: "", message: "" };
      results.set(id, { ...verdict, ...(await scene.traces(escape, id, asked)) });
    }
  });
  afterAll(() => scene[Symbol.asyncDispose]());
  return {
    get scene() {
      return scene;
    },
    result(id: string): Result {
      const result = results.get(id);
      if (result === undefined) throw new Error(`${id} was not tried`);
      return result;
    },
  };
}
