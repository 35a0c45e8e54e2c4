// --adopt says what becomes of data that was at the path before the object, on either engine: as the original did
// (KV v1 is overwritten, KV v2 is not), always, or never without the annotation.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Engine, engines, openWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const overwritten: Readonly<Record<string, readonly Engine[]>> = {
  original: ["v1"],
  always: ["v1", "v2"],
  never: [],
};

describe.each(Object.keys(overwritten))("--adopt=%s", (mode) => {
  beforeAll(async () => {
    await world.start({ args: ["--sync-period-seconds=0", `--adopt=${mode}`] });
  });
  afterAll(async () => {
    await world.operator.stop();
  });

  test.each(engines)("other data on KV %s", async (engine) => {
    const name = `${mode}-${engine}`;
    await world.foreign(engine, name, { theirs: "x" });
    await world.apply(name, { path: `${world[engine]}/${name}`, secrets: await world.entries({ ours: "y" }) });
    if (overwritten[mode]?.includes(engine)) {
      await world.settled(name);
      expect(await world.at(engine, name)).toEqual({ ours: "y" });
      return;
    }
    await world.settled(name, "AdoptionRequired");
    expect(await world.at(engine, name)).toEqual({ theirs: "x" });
    await world.annotate(name, { "k8s.patoarvizu.dev/adopt": "true" });
    await world.settled(name);
    expect(await world.at(engine, name)).toEqual({ ours: "y" });
  });

  test.each(engines)("what the operator wrote itself is no foreign data, on KV %s", async (engine) => {
    const name = `${mode}-own-${engine}`;
    const path = `${world[engine]}/${name}`;
    await world.sync(name, { path, secrets: await world.entries({ k: "1" }) });
    await world.sync(name, { path, secrets: await world.entries({ k: "2" }) });
    // The record of it says so, somebody's edit notwithstanding: that is drift.
    await world.foreign(engine, name, { k: "theirs" });
    await world.poke(name);
    await world.settled(name);
    expect(await world.at(engine, name)).toEqual({ k: "2" });
  });

  test.each(engines)("equal data is adopted silently, on KV %s", async (engine) => {
    const name = `${mode}-equal-${engine}`;
    await world.foreign(engine, name, { k: "v" });
    const secrets = await world.entries({ k: "v" });
    const object = await world.sync(name, { path: `${world[engine]}/${name}`, secrets });
    expect(object.status.lastSyncTime).toBeUndefined();
  });
});

test("another word for it stops the start", async () => {
  const operator = await world.start({ args: ["--adopt=sometimes"], until: "started" });
  expect((await operator.exit).code).toBe(2);
  expect(operator.output()).toContain("original, always, never");
});
