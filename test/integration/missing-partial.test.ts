// Includes that are not there, not yet or no more: an object that lacks one is left as it is in Vault, whole, and is
// synced at once when the Partial is there.
import { afterAll, beforeAll, expect, test } from "vitest";
import { openScene, type Scene } from "./scene.ts";

let scene: Scene;

beforeAll(async () => {
  scene = await openScene();
  await scene.start();
});

afterAll(() => scene[Symbol.asyncDispose]());

function notFound(names: string): string {
  return `PartialKMSVaultSecret ${names} not found in namespace ${scene.namespace}, or not valid; nothing was written or removed; create it or take it out of spec.includeSecrets`;
}

test("missing: nothing is written, every missing one is named; created: synced at once", async () => {
  const secrets = [await scene.entry("own", "1")];
  const shared = [await scene.entry("shared", "2")];
  const includeSecrets = ["first", "second"];
  await scene.create("early-v1", { path: `${scene.v1}/early`, secrets, includeSecrets });
  await scene.create("early-v2", { path: `${scene.v2}/early`, secrets, includeSecrets });
  for (const name of ["early-v1", "early-v2"]) {
    expect((await scene.untilReady(name, "PartialNotFound")).message).toBe(notFound("first, second"));
    await scene.untilTold(name, { reason: "PartialNotFound", message: notFound("first, second") });
    expect((await scene.status(name)).created).toBe(false);
  }
  expect(await scene.atV1("early")).toBeUndefined();
  expect(await scene.versionOf("early")).toBeUndefined();
  await scene.expectNeighbourGoesOn();

  await scene.createPartial("first", { secrets: shared });
  await scene.untilTold("early-v1", { reason: "PartialNotFound", message: notFound("second") });
  expect(await scene.atV1("early")).toBeUndefined();
  await scene.createPartial("second", { secrets: [{ key: "empty", emptySecret: true }] });
  for (const name of ["early-v1", "early-v2"]) await scene.untilReady(name, "Synced");
  expect(await scene.atV1("early")).toEqual({ own: "1", shared: "2", empty: "" });
  expect(await scene.atV2("early")).toEqual({ own: "1", shared: "2", empty: "" });
});

test("deleted later: its keys stay in Vault, and edits wait until it is back", async () => {
  await scene.createPartial("passing", { secrets: [await scene.entry("shared", "old")] });
  const secrets = [await scene.entry("own", "old")];
  await scene.create("late-v1", { path: `${scene.v1}/late`, secrets, includeSecrets: ["passing"] });
  await scene.create("late-v2", { path: `${scene.v2}/late`, secrets, includeSecrets: ["passing"] });
  for (const name of ["late-v1", "late-v2"]) await scene.untilReady(name, "Synced");

  await scene.deletePartial("passing");
  for (const name of ["late-v1", "late-v2"]) {
    expect((await scene.untilReady(name, "PartialNotFound")).message).toBe(notFound("passing"));
    await scene.edit(name, { secrets: [await scene.entry("own", "new")] });
    await scene.untilReady(name, "PartialNotFound");
    expect(await scene.status(name)).toMatchObject({ created: true, keys: { synced: 2 }, includes: ["passing"] });
  }
  expect(await scene.atV1("late")).toEqual({ own: "old", shared: "old" });
  expect(await scene.atV2("late")).toEqual({ own: "old", shared: "old" });
  expect(await scene.versionOf("late")).toBe(1);
  await scene.expectNeighbourGoesOn();

  await scene.createPartial("passing", { secrets: [await scene.entry("shared", "new")] });
  for (const name of ["late-v1", "late-v2"]) await scene.untilReady(name, "Synced");
  expect(await scene.atV1("late")).toEqual({ own: "new", shared: "new" });
  expect(await scene.atV2("late")).toEqual({ own: "new", shared: "new" });
});

test("deleted later and taken out of the object: its keys leave Vault", async () => {
  await scene.createPartial("dropped", { secrets: [await scene.entry("shared", "1")] });
  const spec = { path: `${scene.v2}/dropped`, secrets: [await scene.entry("own", "1")], includeSecrets: ["dropped"] };
  await scene.create("dropper", spec);
  await scene.untilReady("dropper", "Synced");
  await scene.deletePartial("dropped");
  await scene.untilReady("dropper", "PartialNotFound");
  await scene.edit("dropper", { includeSecrets: null });
  await scene.untilReady("dropper", "Synced");
  expect(await scene.atV2("dropped")).toEqual({ own: "1" });
});

test("one that is not valid counts as missing, not as empty", async () => {
  await scene.createPartial("broken", { secrets: [await scene.entry("shared", "1")] });
  await scene.create("includer", { path: `${scene.v1}/includer`, includeSecrets: ["broken"] });
  await scene.untilReady("includer", "Synced");
  await scene.editPartial("broken", { secrets: [{ key: "", emptySecret: true }] });
  await scene.untilReady("includer", "PartialNotFound");
  expect(await scene.atV1("includer")).toEqual({ shared: "1" });
  await scene.editPartial("broken", { secrets: [await scene.entry("shared", "2")] });
  await scene.untilReady("includer", "Synced");
  expect(await scene.atV1("includer")).toEqual({ shared: "2" });
});

test("a Partial of another namespace is not found", async () => {
  await using other = await openScene();
  await other.createPartial("elsewhere", { secrets: [{ key: "theirs", emptySecret: true }] });
  await scene.create("stranger", { path: `${scene.v1}/stranger`, includeSecrets: ["elsewhere"] });
  expect((await scene.untilReady("stranger", "PartialNotFound")).message).toBe(notFound("elsewhere"));
  expect(await scene.atV1("stranger")).toBeUndefined();
});

test("an entry of a Partial that fails is a failure of each object that includes it, and of no other", async () => {
  await scene.createPartial("common", { secrets: [await scene.entry("shared", "old")] });
  const includeSecrets = ["common"];
  const specs = { one: `${scene.v1}/one`, two: `${scene.v2}/two` };
  for (const [name, path] of Object.entries(specs)) {
    await scene.create(name, { path, includeSecrets, secrets: [await scene.entry("own", name)] });
    await scene.untilReady(name, "Synced");
  }
  await scene.editPartial("common", { secrets: [{ key: "shared", encryptedSecret: "no base64!" }] });
  for (const name of Object.keys(specs)) {
    await scene.untilReady(name, "DecodingError");
    await scene.untilTold(name, { reason: "DecodingError", message: "Error decoding key shared" });
  }
  expect(await scene.atV1("one")).toEqual({ own: "one", shared: "old" });
  expect(await scene.atV2("two")).toEqual({ own: "two", shared: "old" });
  await scene.expectNeighbourGoesOn();
});

test("the operator is unharmed", () => scene.expectUnharmed());
