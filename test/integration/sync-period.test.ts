// spec.syncPeriod: an object's own resync, more often than the operator's, where the operator has none, or never.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

/** How often the operator looked at a KV v2 path. */
async function looks(path: string, since: Awaited<ReturnType<World["mark"]>>): Promise<number> {
  return (await world.asked(since)).filter((one) => one.path === `${world.v2}/metadata/${path}`).length;
}

async function synced(name: string, syncPeriod?: string) {
  const secrets = await world.entries({ k: "v" });
  return world.sync(name, { path: `${world.v2}/${name}`, secrets, ...(syncPeriod !== undefined && { syncPeriod }) });
}

describe("the operator has no resync", () => {
  beforeAll(() => world.start({ args: ["--sync-period-seconds=0"] }));
  afterAll(() => world.operator.stop());

  test("an object with a period of its own is looked at and put right, one without is not", async () => {
    await synced("own", "1s");
    await synced("without");
    await world.foreignV2("without", { k: "wrong" });
    const mark = await world.mark();
    await world.foreignV2("own", { k: "wrong" });
    await eventually(async () => expect(await world.atV2("own")).toEqual({ k: "v" }), { timeoutMs: 5_000 });
    await eventually(async () => expect(await looks("own", mark)).toBeGreaterThan(3));
    expect(await looks("without", mark)).toBe(0);
    expect(await world.atV2("without")).toEqual({ k: "wrong" });
  });

  test("an object that waits for a change in Vault looks for it at its own period too", async () => {
    await world.foreignV2("waiting", { theirs: "x" });
    const secrets = await world.entries({ k: "v" });
    await world.apply("waiting", { path: `${world.v2}/waiting`, secrets, syncPeriod: "1s" });
    await world.settled("waiting", "AdoptionRequired");
    await world.vault.delete(`${world.v2}/metadata/waiting`);
    await world.settled("waiting");
    expect(await world.atV2("waiting")).toEqual({ k: "v" });
  });

  test("the period may be changed and taken away", async () => {
    await synced("changed", "1h");
    await world.edit("changed", { syncPeriod: "1s" });
    await world.settled("changed");
    const mark = await world.mark();
    await eventually(async () => expect(await looks("changed", mark)).toBeGreaterThan(3));
    await world.edit("changed", { syncPeriod: null });
    await world.settled("changed");
    const after = await world.mark();
    const other = await world.mark();
    await synced("paced", "1s");
    await eventually(async () => expect(await looks("paced", other)).toBeGreaterThan(5));
    // A look that was due already may still come.
    expect(await looks("changed", after)).toBeLessThanOrEqual(1);
  });
});

describe("the operator looks every second", () => {
  beforeAll(() => world.start({ args: ["--sync-period-seconds=1"] }));
  afterAll(() => world.operator.stop());

  test.each(["0", "0s"])("syncPeriod %s: never, but for changes and the annotation", async (syncPeriod) => {
    const name = `never-${syncPeriod}`;
    await synced(name, syncPeriod);
    await synced(`every-${syncPeriod}`);
    const mark = await world.mark();
    await world.foreignV2(name, { k: "wrong" });
    await eventually(async () => expect(await looks(`every-${syncPeriod}`, mark)).toBeGreaterThan(3));
    expect(await looks(name, mark)).toBe(0);
    await world.request(name);
    await eventually(async () => expect(await world.atV2(name)).toEqual({ k: "v" }));
  });

  test("a longer period than the operator's is kept to", async () => {
    await synced("seldom", "1h");
    await synced("often");
    const mark = await world.mark();
    await eventually(async () => expect(await looks("often", mark)).toBeGreaterThan(3));
    expect(await looks("seldom", mark)).toBe(0);
  });
});
