// A Vault that lost its data, or a new one in its place: the objects fill it again by themselves, within a resync, and
// who edits something meanwhile does not wait for all the others.
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { uniqueName } from "../env/unique.ts";
import { type Engine, engines, openWorld, type World } from "./world.ts";

const count = 40;
const names = Array.from({ length: count }, (_, index) => `object-${index}`);
const repairs = "kms_vault_operator_repairs_total";
let world: World;
beforeAll(async () => {
  world = await openWorld();
  const secrets = await world.entries({ k: "v" });
  for (const engine of engines) {
    const creating = names.map((name) =>
      world.create(`${name}-${engine}`, { path: `${world[engine]}/${name}`, secrets }),
    );
    await Promise.all(creating);
  }
});
afterAll(() => world[Symbol.asyncDispose]());

/** In the place of the mounts come new ones, with nothing in them. */
async function emptyMounts(): Promise<void> {
  for (const engine of engines) {
    const mount = world[engine];
    await world.vault.delete(`sys/mounts/${mount}`);
    await world.vault.write(`sys/mounts/${mount}`, { type: "kv", options: { version: engine.slice(1) } });
  }
  // A new KV v2 mount refuses requests until it has set itself up.
  await eventually(async () => expect(await world.vault.read(`${world.v2}/config`)).toBeDefined());
}

/** How many secrets are at a mount. */
async function filled(engine: Engine): Promise<number> {
  return (await world.vault.list(engine === "v1" ? world.v1 : `${world.v2}/metadata`)).length;
}

async function untilFilled(timeoutMs: number): Promise<void> {
  await eventually(async () => expect([await filled("v1"), await filled("v2")]).toEqual([count, count]), { timeoutMs });
}

test("every object is written again within a resync, and a metric counts them", async () => {
  await world.start({ args: ["--sync-period-seconds=3"] });
  await untilFilled(20_000);
  await eventually(async () => expect((await world.get(`${names.at(-1)}-v2`)).status?.created).toBe(true));
  expect(await world.operator.metric(repairs)).toBe(0);
  await emptyMounts();
  // The period, and a backoff of those that looked while nothing was mounted.
  await untilFilled(15_000);
  for (const engine of engines) {
    for (const name of names) expect(await world.at(engine, name)).toEqual({ k: "v" });
  }
  expect((await world.customOf("object-0"))["managed-by"]).toBe("kms-vault-operator");
  await eventually(async () => expect(await world.operator.metric(repairs)).toBeGreaterThanOrEqual(2 * count));
  const series = (await world.operator.metrics()).split("\n").filter((line) => line.startsWith(`${repairs}{`));
  expect(series.every((line) => /cause="[a-z_]+"/.test(line))).toBe(true);
});

test.each([
  ["1", "2"],
  ["2", "1"],
])("a mount of KV v%s that comes back as KV v%s is filled as what it is now", async (before, after) => {
  const mount = uniqueName("remounted");
  const name = `remounted-${before}`;
  await world.vault.write(`sys/mounts/${mount}`, { type: "kv", options: { version: before } });
  await world.apply(name, { path: `${mount}/x`, secrets: await world.entries({ k: "v" }) });
  await world.settled(name);
  await world.vault.delete(`sys/mounts/${mount}`);
  await world.vault.write(`sys/mounts/${mount}`, { type: "kv", options: { version: after } });
  await eventually(async () => {
    expect((await world.get(name)).status.vault).toMatchObject({ mount, path: "x", engineVersion: `v${after}` });
  });
  const found = await world.vault.read(after === "1" ? `${mount}/x` : `${mount}/data/x`);
  expect(after === "1" ? found : found?.data).toEqual({ k: "v" });
  await world.remove(name);
});

test("after a start in front of an empty Vault, edits go before the rest", async () => {
  await world.operator.stop();
  await emptyMounts();
  // Slow enough for the edit to come into the midst of it.
  await world.start({
    args: ["--sync-period-seconds=0", "--max-concurrent-reconciles=1"],
    env: { VAULT_RATE_LIMIT: "25:1" },
  });
  await eventually(async () => expect((await filled("v1")) + (await filled("v2"))).toBeGreaterThan(0));
  const edited = `${names.at(-1)}-v2`;
  await world.edit(edited, { secrets: await world.entries({ k: "edited" }) });
  await eventually(async () => expect(await world.atV2(names.at(-1) ?? "")).toEqual({ k: "edited" }));
  expect((await filled("v1")) + (await filled("v2"))).toBeLessThan(2 * count);
  await untilFilled(40_000);
});
