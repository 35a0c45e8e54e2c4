// An object whose path changes: the new location is written, the old one is left in place and named in the event, and
// no key is lost on the way.
import { afterAll, beforeAll, expect, test } from "vitest";
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { startWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld({ args: ["--sync-period-seconds=0"] });
});
afterAll(() => world[Symbol.asyncDispose]());

test("the new location is written, the old one is left, and the event names both", async () => {
  const secrets = await world.entries({ k: "v" });
  await world.sync("moved", { path: `${world.v2}/data/old`, secrets });
  const object = await world.sync("moved", { path: `${world.v2}/data/new`, secrets });
  expect(object.status.vault).toMatchObject({ path: "new", version: 1 });
  expect(await world.atV2("new")).toEqual({ k: "v" });
  expect(await world.atV2("old")).toEqual({ k: "v" });
  const { message } = await world.event("moved", "SecretCreated", "new");
  expect(message).toBe(`Wrote secret moved to ${world.v2}/data/new; ${world.v2}/data/old was left in place`);
});

test("from KV v1 to KV v2 and back", async () => {
  const secrets = await world.entries({ k: "v" });
  await world.sync("engines", { path: `${world.v1}/engines`, secrets });
  const object = await world.sync("engines", { path: `${world.v2}/data/engines`, secrets });
  expect(object.status.vault).toEqual({ mount: world.v2, path: "engines", engineVersion: "v2", version: 1 });
  const back = await world.sync("engines", { path: `${world.v1}/engines`, secrets });
  expect(back.status.vault).toEqual({ mount: world.v1, path: "engines", engineVersion: "v1" });
});

test("data/ added to the path of a KV v2 secret, or taken away, is no move", async () => {
  const secrets = await world.entries({ k: "v" });
  await world.sync("spelling", { path: `${world.v2}/spelling`, secrets });
  const decryptions = await world.decryptions();
  await world.sync("spelling", { path: `${world.v2}/data/spelling`, secrets });
  expect(await world.decryptions()).toBe(decryptions);
  expect(await world.versionOf("spelling")).toBe(1);
});

test.each(["v1", "v2"] as const)(
  "keys that fail to decrypt are carried over from the old location, on KV %s",
  async (engine) => {
    const name = `carried-${engine}`;
    const [good, fails] = await world.entries({ good: "g", fails: "f" });
    await world.sync(name, { path: `${world[engine]}/${name}-old`, secrets: [good, fails] });
    const broken = { ...fails, secretContext: { not: "its context" } };
    await world.apply(name, { path: `${world[engine]}/${name}-new`, secrets: [good, broken] });
    const object = await world.settled(name, "DecryptingError");
    const data = engine === "v1" ? await world.atV1(`${name}-new`) : await world.atV2(`${name}-new`);
    expect(data).toEqual({ good: "g", fails: "f" });
    expect(object.status.keys).toEqual({ synced: 1, failed: ["fails"] });
  },
);

test("to where another's data is: nothing is written and nothing removed, and the way back is open", async () => {
  await world.foreignV2("taken", { theirs: "x" });
  const secrets = await world.entries({ k: "v" });
  await world.sync("refused", { path: `${world.v2}/data/from`, secrets });
  await world.apply("refused", { path: `${world.v2}/data/taken`, secrets });
  await world.settled("refused", "AdoptionRequired");
  expect(await world.atV2("taken")).toEqual({ theirs: "x" });
  expect(await world.atV2("from")).toEqual({ k: "v" });
  const mark = await world.mark();
  await world.sync("refused", { path: `${world.v2}/data/from`, secrets });
  expect((await world.asked(mark)).map(({ operation }) => operation)).toEqual(["read"]);
});

test("deleted after the move, the location that it was written to last is removed", async () => {
  const metadata = { finalizers: [deleteFinalizer] };
  const secrets = await world.entries({ k: "v" });
  await world.sync("last", { path: `${world.v2}/data/last-old`, secrets }, metadata);
  await world.sync("last", { path: `${world.v2}/data/last-new`, secrets }, metadata);
  await world.remove("last");
  expect(await world.versionOf("last-new")).toBeUndefined();
  expect(await world.atV2("last-old")).toEqual({ k: "v" });
});

test("deleted before the new location was written, the recorded one is removed and the named one is not", async () => {
  const metadata = { finalizers: [deleteFinalizer] };
  await world.foreignV2("named", { theirs: "x" });
  await world.sync(
    "recorded",
    { path: `${world.v2}/data/recorded`, secrets: await world.entries({ k: "v" }) },
    metadata,
  );
  await world.edit("recorded", { path: `${world.v2}/data/named` });
  await world.settled("recorded", "AdoptionRequired");
  await world.remove("recorded");
  expect(await world.versionOf("recorded")).toBeUndefined();
  expect(await world.atV2("named")).toEqual({ theirs: "x" });
});
