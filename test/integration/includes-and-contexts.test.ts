// Which entries an object has and under which encryption context each is decrypted: the precedence of the contract.
import { afterAll, beforeAll, expect, test } from "vitest";
import { condition, startWorld, type World } from "./world.ts";

const two = { app: "shop", env: "prod" };
const other = { app: "other", tier: "db", zone: "c" };
let world: World;
beforeAll(async () => {
  world = await startWorld({ args: ["--sync-period-seconds=0"] });
});
afterAll(() => world[Symbol.asyncDispose]());

/** An entry without a context of its own, though it was encrypted under one. */
async function bare(key: string, value: string, context?: Readonly<Record<string, string>>) {
  return { key, encryptedSecret: await world.encrypt(value, context) };
}

test("a context of two or more pairs: the spec's is the default, an entry's own replaces it and is not merged", async () => {
  const secrets = [await bare("default", "d", two), await world.entry("own", "o", other)];
  const inherits = { ...(await bare("empty-own", "e", two)), secretContext: {} };
  const path = `${world.v2}/data/contexts`;
  await world.sync("contexts", { path, secretContext: two, secrets: [...secrets, inherits] });
  expect(await world.atV2("contexts")).toEqual({ default: "d", own: "o", "empty-own": "e" });
});

test("a merged context would decrypt nothing", async () => {
  const merged = await bare("k", "v", { ...two, ...other });
  const path = `${world.v2}/data/merged`;
  await world.apply("merged", { path, secretContext: two, secrets: [{ ...merged, secretContext: other }] });
  await world.settled("merged", "DecryptingError");
});

test("a Partial's entries: their own context, else the Partial's, else the including object's", async () => {
  await world.applyPartial("with-context", {
    secretContext: other,
    secrets: [await bare("partials", "p", other), await world.entry("entrys", "e", { only: "mine" })],
  });
  await world.applyPartial("without-context", { secrets: [await bare("objects", "o", two)] });
  const includeSecrets = ["with-context", "without-context"];
  const object = await world.sync("parts", { path: `${world.v2}/data/parts`, secretContext: two, includeSecrets });
  expect(await world.atV2("parts")).toEqual({ partials: "p", entrys: "e", objects: "o" });
  expect(object.status.includes).toEqual(includeSecrets);
});

test("an included key wins over the object's own, a later include over an earlier; the message and one event say so", async () => {
  await world.applyPartial("early", { secrets: await world.entries({ both: "early", own: "early", e: "e" }) });
  await world.applyPartial("late", { secrets: await world.entries({ both: "late", l: "l" }) });
  const secrets = await world.entries({ own: "own", mine: "mine" });
  const includeSecrets = ["early", "late"];
  const object = await world.sync("overlap", { path: `${world.v1}/overlap`, secrets, includeSecrets });
  expect(await world.atV1("overlap")).toEqual({ both: "late", own: "early", e: "e", l: "l", mine: "mine" });
  expect(condition(object, "Ready").message).toContain("DuplicateKey: key own stands in more than one place");
  expect(object.status.keys).toEqual({ synced: 5 });
  await world.event("overlap", "DuplicateKey", "PartialKMSVaultSecret early");
  await world.event("overlap", "DuplicateKey", "PartialKMSVaultSecret late");
  await world.poke("overlap");
  const told = (await world.events("overlap")).filter(({ reason }) => reason === "DuplicateKey");
  expect(told.map(({ count }) => count)).toEqual([1, 1]);
});

test("a Partial is found by its name in the object's own namespace only, and by itself writes nothing", async () => {
  const path = `${world.v2}/data/elsewhere`;
  await world.apply("elsewhere", { path, includeSecrets: ["comes-later"] });
  await world.settled("elsewhere", "PartialNotFound");
  await world.applyPartial("comes-later", { secrets: await world.entries({ k: "v" }) });
  await world.settled("elsewhere");
  expect(await world.atV2("elsewhere")).toEqual({ k: "v" });
});
