// Keys in another region than the operator's own, and what the others notice when that region hangs or throttles.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { FaultSettings } from "../../src/kms/emulator/faults.ts";
import { eventually } from "../env/eventually.ts";
import { KmsTestClient } from "../env/kms-client.ts";
import { type Kms, startKms } from "../env/kms.ts";
import { openScene, type Scene } from "./scene.ts";

const farRegion = "eu-west-1";
/** More than there are workers. */
const farObjects = Array.from({ length: 20 }, (_, index) => `far-${index}`);

let kms: Kms;
let scene: Scene;
let far: KmsTestClient;
let farKey: string;

beforeAll(async () => {
  kms = await startKms();
  scene = await openScene({ kms: kms.info });
  far = new KmsTestClient(kms.info, farRegion);
  farKey = `arn:aws:kms:${farRegion}:000000000000:key/${await far.createKey()}`;
  await scene.start();
});

afterAll(async () => {
  await far.close();
  await scene[Symbol.asyncDispose]();
  await kms.stop();
});

afterEach(() => scene.kms.faults({}));

async function farSpec(name: string, value: string): Promise<object> {
  const secrets = await Promise.all(
    ["a", "b"].map(async (key) => ({ key, encryptedSecret: await far.encrypt(farKey, value) })),
  );
  return { path: `${scene.v2}/data/${name}`, kmsKeyId: farKey, secrets };
}

test("the key's ARN says which region is asked", async () => {
  await scene.create("by-arn", await farSpec("by-arn", "1"));
  await scene.untilReady("by-arn", "Synced");
  expect(await scene.atV2("by-arn")).toEqual({ a: "1", b: "1" });
});

test("another key than the one that is named is KeyNotAllowed, and nothing is written", async () => {
  const other = `arn:aws:kms:${farRegion}:000000000000:key/${await far.createKey()}`;
  await scene.create("other-key", { ...(await farSpec("other-key", "1")), kmsKeyId: other });
  const { message } = await scene.untilReady("other-key", "KeyNotAllowed");
  expect(message).toContain("spec.kmsKeyId");
  expect(await scene.atV2("other-key")).toBeUndefined();
});

test("what is no region does not become a host name", async () => {
  const odd = farKey.replace(farRegion, "evil.example");
  await scene.create("odd-region", { ...(await farSpec("odd-region", "1")), kmsKeyId: odd });
  await scene.untilReady("odd-region", "KeyNotAllowed");
});

describe.each<{ what: string; faults: FaultSettings; reason: string }>([
  { what: "hangs", faults: { outage: "hang" }, reason: "KMSUnavailable" },
  { what: "throttles", faults: { throttle: true }, reason: "KMSThrottled" },
])("a region that $what", ({ what, faults, reason }) => {
  const near = `near-${what}`;

  test("holds up no edit of another region, and heals", { timeout: 120_000 }, async () => {
    const nearEntry = (value: string) => scene.entry("n", value);
    await scene.create(near, { path: `${scene.v2}/data/${near}`, secrets: [await nearEntry("old")] });
    const names = farObjects.map((name) => `${name}-${what}`);
    const specs = new Map(await Promise.all(names.map(async (name) => [name, await farSpec(name, what)] as const)));
    const [first, ...rest] = names;
    await scene.create(first ?? "", specs.get(first ?? "") ?? {});
    await scene.untilReady(near, "Synced");
    await scene.untilReady(first ?? "", "Synced");
    const edits = await Promise.all(Array.from({ length: 4 }, (_, index) => nearEntry(`new ${index}`)));
    const changed = await farSpec(first ?? "", "changed");

    await scene.kms.faults({ ...faults, regions: [farRegion] });
    await Promise.all(rest.map((name) => scene.create(name, specs.get(name) ?? {})));
    await scene.edit(first ?? "", changed);
    const editMs: number[] = [];
    for (const [index, edit] of edits.entries()) {
      const since = performance.now();
      await scene.edit(near, { secrets: [edit] });
      await eventually(async () => expect(await scene.atV2(near)).toEqual({ n: `new ${index}` }));
      editMs.push(performance.now() - since);
    }
    // Half of it where the machine has time to spare (src/kms/aws-outage.test.ts).
    expect(Math.max(...editMs)).toBeLessThan(10_000);
    for (const name of names) await scene.untilReady(name, reason);

    await scene.kms.faults({});
    for (const name of names) await scene.untilReady(name, "Synced");
    expect(await scene.atV2(first ?? "")).toEqual({ a: "changed", b: "changed" });
  });
});

test("the operator is unharmed", () => scene.expectUnharmed());
