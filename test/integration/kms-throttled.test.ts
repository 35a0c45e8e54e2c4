// A KMS that throttles: a first sync takes about as long as the quota needs, KMS is not hammered, and what is edited
// meanwhile does not wait for it.
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { startWorld, type World } from "./world.ts";

const perSecond = 20;
const objects = 120;
const keys = ["a", "b", "c"];
const quotaMs = ((objects * keys.length) / perSecond) * 1_000;

let world: World;

beforeAll(async () => {
  world = await startWorld();
});

afterAll(() => world[Symbol.asyncDispose]());

test("120 objects of 3 entries at 20 requests a second, and edits meanwhile", { timeout: 120_000 }, async () => {
  const there = ["edited-0", "edited-1", "edited-2", "edited-3"];
  const entriesOf = (value: string) => world.entries(Object.fromEntries(keys.map((key) => [key, value])));
  const [before, after] = [await entriesOf("before"), await entriesOf("after")];
  for (const name of there) await world.sync(name, { path: `${world.v2}/data/${name}`, secrets: before });
  await world.kms.reset();
  await world.kms.faults({ throttle: perSecond });

  const since = performance.now();
  const names = Array.from({ length: objects }, (_, index) => `first-${index}`);
  await Promise.all(names.map((name) => world.create(name, { path: `${world.v2}/data/${name}`, secrets: before })));
  const editMs: number[] = [];
  for (const name of there) {
    const editedAt = performance.now();
    await world.edit(name, { secrets: after });
    await eventually(async () => expect(await world.atV2(name)).toEqual({ a: "after", b: "after", c: "after" }));
    editMs.push(performance.now() - editedAt);
  }
  const leftAfterEdits = objects + there.length - (await objectsWith("Synced"));
  await eventually(async () => expect(await objectsWith("Synced")).toBe(objects + there.length), { timeoutMs: 60_000 });
  const tookMs = performance.now() - since;

  expect(leftAfterEdits).toBeGreaterThan(0);
  expect(Math.max(...editMs)).toBeLessThan(5_000);
  expect(tookMs).toBeLessThan(2 * quotaMs);
  const { operations, errors } = await world.kms.calls();
  expect(errors["ThrottlingException"]).toBeLessThan(0.2 * (operations["Decrypt"] ?? 0));
  expect(await world.operator.metric("kms_vault_operator_kms_rate_limit", { region: "us-east-1" })).toBeGreaterThan(10);
});

function objectsWith(reason?: string): Promise<number> {
  return world.operator.metric("kms_vault_operator_objects", reason === undefined ? {} : { reason });
}
