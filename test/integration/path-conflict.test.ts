// One object writes to a destination: the oldest that names it. The others say PathConflict, write nothing, and take
// over at once when the holder leaves. Without a resync: a take-over that needed one would never come. Concurrent, since
// each test has to wait for the second in which an object is younger.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { kmsVaultSecret, secretPath } from "../gen/manifests.ts";
import { condition, openWorld, untilOlder, type World } from "./world.ts";

let world: World;
let otherNamespace: string;
beforeAll(async () => {
  world = await openWorld();
  otherNamespace = `${world.namespace}-other`;
  await world.kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: otherNamespace } });
  const env = { WATCH_NAMESPACE: `${world.namespace},${otherNamespace}` };
  await world.start({ args: ["--sync-period-seconds=0"], env });
});
afterAll(() => world[Symbol.asyncDispose]());

/** Creates a pair of objects, the first certainly the older one. */
async function pair(names: readonly [string, string], paths: readonly [string, string], metadata: object = {}) {
  const [first, second] = names;
  const created = await world.sync(first, { path: paths[0], secrets: await world.entries({ k: first }) }, metadata);
  await untilOlder(created);
  await world.apply(second, { path: paths[1], secrets: await world.entries({ k: second }) }, metadata);
}

test.concurrent("the older holds the path; the younger says so by name and event, and its edits write nothing", async () => {
  const path = `${world.v2}/data/same`;
  await pair(["older", "younger"], [path, `${world.v2}/same`]);
  const loser = await world.settled("younger", "PathConflict");
  expect(loser.status).toMatchObject({ created: false });
  expect(condition(loser, "Ready").message).toContain(`${path} is already claimed by KMSVaultSecret older`);
  expect(await world.event("younger", "PathConflict", "older")).toMatchObject({ type: "Warning" });
  await world.sync("older", { path, secrets: await world.entries({ k: "edited" }) });
  await world.apply("younger", { path, secrets: await world.entries({ k: "mine" }) });
  await world.settled("younger", "PathConflict");
  expect(await world.atV2("same")).toEqual({ k: "edited" });
});

describe.concurrent("when the holder leaves, the next takes over at once:", () => {
  const engines = ["v1", "v2"] as const;

  test.each(engines)("deleted, on KV %s", async (engine) => {
    const path = `${world[engine]}/deleted`;
    await pair([`gone-${engine}`, `heir-${engine}`], [path, path]);
    await world.settled(`heir-${engine}`, "PathConflict");
    await world.remove(`gone-${engine}`);
    await world.settled(`heir-${engine}`);
    expect(await dataAt(engine, "deleted")).toEqual({ k: `heir-${engine}` });
  });

  test.each(engines)("deleted with the finalizer, on KV %s: the data is not removed under the heir", async (engine) => {
    const path = `${world[engine]}/finalized`;
    const names = [`final-${engine}`, `final-heir-${engine}`] as const;
    await pair(names, [path, path], { finalizers: [deleteFinalizer] });
    await world.settled(names[1], "PathConflict");
    await world.remove(names[0]);
    await world.settled(names[1]);
    expect(await dataAt(engine, "finalized")).toEqual({ k: names[1] });
  });

  test.each(engines)("moved away, on KV %s", async (engine) => {
    const path = `${world[engine]}/moved`;
    await pair([`mover-${engine}`, `stayer-${engine}`], [path, path]);
    await world.settled(`stayer-${engine}`, "PathConflict");
    await world.edit(`mover-${engine}`, { path: `${world[engine]}/moved-to` });
    await world.settled(`stayer-${engine}`);
    expect(await dataAt(engine, "moved")).toEqual({ k: `stayer-${engine}` });
    await world.settled(`mover-${engine}`);
    expect(await dataAt(engine, "moved-to")).toEqual({ k: `mover-${engine}` });
  });

  test.each(engines)("two objects swap their paths, on KV %s", async (engine) => {
    const [one, two] = [`${world[engine]}/swap-one`, `${world[engine]}/swap-two`];
    await pair([`swap-a-${engine}`, `swap-b-${engine}`], [one, two]);
    await world.settled(`swap-b-${engine}`);
    await world.edit(`swap-a-${engine}`, { path: two });
    await world.edit(`swap-b-${engine}`, { path: one });
    await world.settled(`swap-a-${engine}`);
    await world.settled(`swap-b-${engine}`);
    expect(await dataAt(engine, "swap-two")).toEqual({ k: `swap-a-${engine}` });
    expect(await dataAt(engine, "swap-one")).toEqual({ k: `swap-b-${engine}` });
  });
});

test.concurrent("on KV v2, what someone else wrote over the holder's is drift: the heir repairs it as the holder would", async () => {
  const path = `${world.v2}/data/meddled`;
  await pair(["meddled", "meddled-heir"], [path, path]);
  await world.settled("meddled-heir", "PathConflict");
  await world.foreignV2("meddled", { k: "theirs" });
  await world.remove("meddled");
  await world.settled("meddled-heir");
  expect(await world.versionOf("meddled")).toBe(3);
  expect((await world.vault.read(`${world.v2}/data/meddled?version=2`))?.data).toEqual({ k: "theirs" });
});

test.concurrent("across namespaces the holder's name is not told", async () => {
  const path = `${world.v2}/data/across`;
  await world.sync("secret-project", { path, secrets: await world.entries({ k: "v" }) });
  await untilOlder(await world.get("secret-project"));
  const named = { namespace: otherNamespace, name: "stranger" };
  await world.kube.create(kmsVaultSecret(named, { path, secrets: await world.entries({ k: "v" }) }));
  const message = await eventually(async () => {
    const ready = condition(await world.kube.get(secretPath(named)), "Ready");
    expect(ready?.reason).toBe("PathConflict");
    return ready.message as string;
  });
  expect(message).toContain("an object in another namespace");
  expect(message).not.toContain("secret-project");
  expect(message).not.toContain(world.namespace);
});

test.concurrent("an object that is not valid, or whose path leads nowhere, holds nothing", async () => {
  const path = `${world.v2}/data/free`;
  await world.apply("wrong-engine", {
    path,
    kvSettings: { engineVersion: "v1" },
    secrets: await world.entries({ k: "w" }),
  });
  await untilOlder(await world.settled("wrong-engine", "EngineMismatch"));
  await world.sync("right-engine", { path, secrets: await world.entries({ k: "r" }) });
  expect(await world.atV2("free")).toEqual({ k: "r" });
});

function dataAt(engine: "v1" | "v2", path: string) {
  return engine === "v1" ? world.atV1(path) : world.atV2(path);
}
