// No object reaches another tenant's place: every way that we know of is tried, on the real Vault, with a login that may
// do everything, so that the policy alone stands between. The same ways without a policy show that there is something
// to be kept out: most reach the other tenant.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { policyOf } from "./tenancy-policy.ts";
import { openTenancy, precious, type Result, type TenancyScene } from "./tenancy-scene.ts";
import { escapes } from "./tenancy-table.ts";
import { type TemporaryFiles, withFiles } from "./temporary-files.ts";

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
    const isKv2 = tried.scene.victimOf(escape, id).includes("/data/") && victim?.metadata !== undefined;
    expect(isKv2 ? victim.data : victim).toEqual(precious);
    if (isKv2) expect(victim.metadata).toMatchObject({ version: 1, custom_metadata: null });
    expect(own?.k).not.toBe(precious.k);
    expect(message).not.toContain(precious.k);
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
