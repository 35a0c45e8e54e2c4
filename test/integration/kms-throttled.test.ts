// A KMS that throttles: a first sync takes about as long as the quota needs, what is edited meanwhile does not wait for
// it, and it is not hammered.
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { startWorld, type World } from "./world.ts";

const perSecond = 50;
const objects = 300;
const entriesEach = 3;
const quotaMs = ((objects * entriesEach) / perSecond) * 1_000;

let world: World;

beforeAll(async () => {
  world = await startWorld();
});

afterAll(() => world[Symbol.asyncDispose]());

test("300 objects of 3 entries at 50 requests a second, and edits meanwhile", async () => {
  const edited = Array.from({ length: 5 }, (_, index) => `edited-${index}`);
  for (const name of edited) {
    await world.sync(name, { path: `${world.v2}/data/${name}`, secrets: await world.entries({ a: "old" }) });
  }
  const secrets = await world.entries(Object.fromEntries(Array.from({ length: entriesEach }, (_, at) => [`k${at}`, "v"])));
  const news = await Promise.all(edited.map(async (_, index) => world.entries({ a: `new ${index}` })));
  const synced = () => world.operator.metric("kms_vault_operator_objects", { reason: "Synced" });
  await world.kms.faults({ throttle: perSecond, operations: ["Decrypt"] });
  await world.kms.calls();
  const before = (await world.kms.calls()).errors["ThrottlingException"] ?? 0;
  const since = performance.now();
  await Promise.all(
    Array.from({ length: objects }, (_, index) =>
      world.create(`first-${index}`, { path: `${world.v2}/data/first-${index}`, secrets }),
    ),
  );
  console.log("created", performance.now() - since);
  const editMs: number[] = [];
  for (const [index, name] of edited.entries()) {
    const editedAt = performance.now();
    await world.edit(name, { secrets: news[index] });
    await eventually(async () => expect(await world.atV2(name)).toEqual({ a: `new ${index}` }));
    editMs.push(performance.now() - editedAt);
    console.log(await synced(), "limit", await world.operator.metric("kms_vault_operator_kms_rate_limit"));
  }
  console.log(editMs.map(Math.round));
  for (let n = 0; n < objects + edited.length; ) {
    await eventually(async () => expect(await synced()).toBeGreaterThan(n), { timeoutMs: 60_000 });
    n = await synced();
    if (n % 10 === 0) console.log(n, Math.round(performance.now() - since), await world.operator.metric("kms_vault_operator_kms_rate_limit"));
  }
  const tookMs = performance.now() - since;
  const throttled = ((await world.kms.calls()).errors["ThrottlingException"] ?? 0) - before;
  console.log({ tookMs, quotaMs, throttled, calls: await world.kms.calls(), vault: await world.operator.metric("kms_vault_operator_vault_requests_total"), rec: await world.operator.metric("controller_runtime_reconcile_total") });
  expect(Math.max(...editMs)).toBeLessThan(5_000);
  expect(tookMs).toBeLessThan(2 * quotaMs);
}, 180_000);
