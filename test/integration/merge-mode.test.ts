// spec.writeMode Merge: the object manages its own keys of a secret that others write as well, and no others — on either
// engine, up to its deletion.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { type Engine, engines, startWorld, untilOlder, type World } from "./world.ts";

const writeMode = "Merge";
let world: World;
beforeAll(async () => {
  world = await startWorld({ args: ["--sync-period-seconds=0"] });
});
afterAll(() => world[Symbol.asyncDispose]());

/** What a Merge object leaves in custom_metadata. */
function markOf({ metadata }: { readonly metadata: { readonly name: string; readonly uid: string } }) {
  return { [`merge-${metadata.uid.slice(0, 8)}`]: `${world.namespace}/${metadata.name}` };
}

describe.each(engines)("on KV %s", (engine: Engine) => {
  test("where nothing is, a secret of its own keys is made", async () => {
    await world.merged(`fresh-${engine}`, `${world[engine]}/fresh`, { mine: "1" });
    expect(await world.at(engine, "fresh")).toEqual({ mine: "1" });
  });

  test("others' keys are kept: at the first write, at edits, and when its own are removed", async () => {
    const name = `beside-${engine}`;
    const path = `${world[engine]}/beside`;
    await world.foreign(engine, "beside", { theirs: "x", typed: 5 });
    await world.merged(name, path, { a: "1", b: "1" });
    expect(await world.at(engine, "beside")).toEqual({ theirs: "x", typed: 5, a: "1", b: "1" });
    await world.foreign(engine, "beside", { theirs: "y", more: "z", a: "1", b: "1" });
    await world.merged(name, path, { a: "2", c: "1" });
    expect(await world.at(engine, "beside")).toEqual({ theirs: "y", more: "z", a: "2", c: "1" });
  });

  test("a key that others wrote is not removed with the entry that named it", async () => {
    const name = `equal-${engine}`;
    const path = `${world[engine]}/equal`;
    await world.foreign(engine, "equal", { theirs: "x" });
    await world.merged(name, path, { theirs: "x", mine: "1" });
    expect(await world.at(engine, "equal")).toEqual({ theirs: "x", mine: "1" });
    await world.merged(name, path, { mine: "1" });
    expect(await world.at(engine, "equal")).toEqual({ theirs: "x", mine: "1" });
  });

  test("its own keys are put right, others' changes are left alone", async () => {
    const name = `drift-${engine}`;
    await world.merged(name, `${world[engine]}/drift`, { a: "1", b: "1" });
    await world.foreign(engine, "drift", { a: "wrong", theirs: "x" });
    await world.poke(name);
    expect(await world.at(engine, "drift")).toEqual({ a: "1", b: "1", theirs: "x" });
    await world.vault.delete(engine === "v1" ? `${world.v1}/drift` : `${world.v2}/metadata/drift`);
    await world.poke(name);
    expect(await world.at(engine, "drift")).toEqual({ a: "1", b: "1" });
  });

  test("a key that fails to decrypt keeps its value, and none is removed meanwhile", async () => {
    const name = `keep-${engine}`;
    const path = `${world[engine]}/keep`;
    const [good, fails, gone] = await world.entries({ good: "g", fails: "f", gone: "x" });
    await world.foreign(engine, "keep", { theirs: "x" });
    await world.sync(name, { path, writeMode, secrets: [good, fails, gone] });
    const [better] = await world.entries({ good: "better" });
    const broken = { ...fails, secretContext: { not: "its context" } };
    await world.apply(name, { path, writeMode, secrets: [better, broken] });
    await world.settled(name, "DecryptingError");
    expect(await world.at(engine, "keep")).toEqual({ theirs: "x", good: "better", fails: "f", gone: "x" });
    await world.sync(name, { path, writeMode, secrets: [better, fails] });
    expect(await world.at(engine, "keep")).toEqual({ theirs: "x", good: "better", fails: "f" });
  });

  test("deleted with Destroy, its own keys go, and only they", async () => {
    const name = `deleted-${engine}`;
    await world.foreign(engine, "deleted", { theirs: "x", both: "v" });
    await world.merged(name, `${world[engine]}/deleted`, { a: "1", both: "v" }, { deletionPolicy: "Destroy" });
    await world.foreign(engine, "deleted", { theirs: "y", both: "v", a: "1" });
    await world.remove(name);
    expect(await world.at(engine, "deleted")).toEqual({ theirs: "y", both: "v" });
  });

  test("deleted with Destroy, keys that neither mark nor value shows to be its own are left alone", async () => {
    const name = `overwritten-${engine}`;
    await world.merged(name, `${world[engine]}/overwritten`, { a: "1", b: "1" }, { deletionPolicy: "Destroy" });
    if (engine === "v2") await world.foreignCustom("overwritten", { note: "mine" });
    await world.foreign(engine, "overwritten", { a: "theirs", b: "1", theirs: "x" });
    await world.remove(name);
    await world.event(name, "Released");
    expect(await world.at(engine, "overwritten")).toMatchObject({ a: "theirs", theirs: "x" });
  });

  test("deleted with Destroy, alone at its path: nothing of it is left", async () => {
    const name = `alone-${engine}`;
    await world.merged(name, `${world[engine]}/alone`, { a: "1" }, { deletionPolicy: "Destroy" });
    await world.remove(name);
    expect((await world.at(engine, "alone")) ?? {}).toEqual({});
  });

  test("moved under Destroy, its own keys leave the old location, the others stay", async () => {
    const name = `moved-${engine}`;
    await world.foreign(engine, "moved-old", { theirs: "x" });
    await world.merged(name, `${world[engine]}/moved-old`, { a: "1" }, { deletionPolicy: "Destroy" });
    await world.edit(name, { path: `${world[engine]}/moved-new` });
    await world.settled(name);
    expect(await world.at(engine, "moved-new")).toEqual({ a: "1" });
    await eventually(async () => expect(await world.at(engine, "moved-old")).toEqual({ theirs: "x" }));
  });

  test("two share a path while their keys do not meet; when they do, the younger says PathConflict", async () => {
    const path = `${world[engine]}/shared`;
    const names = [`shared-one-${engine}`, `shared-two-${engine}`] as const;
    await untilOlder(await world.merged(names[0], path, { one: "1" }));
    await world.merged(names[1], path, { two: "2" });
    expect(await world.at(engine, "shared")).toEqual({ one: "1", two: "2" });
    await world.apply(names[1], { path, writeMode, secrets: await world.entries({ one: "mine", two: "3" }) });
    await world.settled(names[1], "PathConflict");
    expect(await world.at(engine, "shared")).toEqual({ one: "1", two: "2" });
    await world.edit(names[0], { secrets: await world.entries({ other: "1" }) });
    await world.settled(names[1]);
    expect(await world.at(engine, "shared")).toEqual({ one: "mine", two: "3", other: "1" });
  });

  test("a key that an object of this cluster left behind is its heir's at once", async () => {
    const path = `${world[engine]}/heir`;
    const names = [`left-${engine}`, `heir-${engine}`] as const;
    await untilOlder(await world.merged(names[0], path, { one: "1" }));
    await world.apply(names[1], { path, writeMode, secrets: await world.entries({ one: "mine" }) });
    await world.settled(names[1], "PathConflict");
    await world.remove(names[0]);
    await world.settled(names[1]);
    expect(await world.at(engine, "heir")).toEqual({ one: "mine" });
  });

  test.each([
    ["Merge", "Replace"],
    ["Replace", "Merge"],
  ])("%s first, %s after it: PathConflict, whatever the keys", async (first, second) => {
    const name = `${first.toLowerCase()}-first-${engine}`;
    const path = `${world[engine]}/${name}`;
    const secrets = await world.entries({ one: "1" });
    await untilOlder(await world.sync(name, { path, writeMode: first, secrets }));
    await world.apply(`${name}-after`, { path, writeMode: second, secrets: await world.entries({ two: "2" }) });
    await world.settled(`${name}-after`, "PathConflict");
    expect(await world.at(engine, name)).toEqual({ one: "1" });
  });
});

test("keys that come from a Partial meet others as well", async () => {
  const path = `${world.v2}/data/partial`;
  await world.applyPartial("common", { secrets: await world.entries({ one: "common" }) });
  await untilOlder(await world.merged("partial-one", path, { one: "1" }));
  await world.apply("partial-two", { path, writeMode, includeSecrets: ["common"] });
  await world.settled("partial-two", "PathConflict");
  expect(await world.atV2("partial")).toEqual({ one: "1" });
});

describe.each(engines)("from one mode to the other on KV %s", (engine: Engine) => {
  test("Replace, then Merge: from then on others' keys are kept", async () => {
    const name = `to-merge-${engine}`;
    const path = `${world[engine]}/to-merge`;
    const secrets = await world.entries({ mine: "1" });
    await world.sync(name, { path, secrets });
    await world.edit(name, { writeMode });
    await world.settled(name);
    await world.foreign(engine, "to-merge", { mine: "1", theirs: "x" });
    await world.poke(name);
    await world.edit(name, { secrets: await world.entries({ mine: "2" }) });
    await world.settled(name);
    expect(await world.at(engine, "to-merge")).toEqual({ mine: "2", theirs: "x" });
  });

  test("Merge, then Replace, alone: the secret is the object's", async () => {
    const name = `to-replace-${engine}`;
    await world.merged(name, `${world[engine]}/to-replace`, { mine: "1" });
    await world.edit(name, { writeMode: "Replace", secrets: await world.entries({ other: "2" }) });
    await world.settled(name);
    expect(await world.at(engine, "to-replace")).toEqual({ other: "2" });
  });
});

test("Merge, then Replace, beside others' keys on KV v2: AdoptionRequired, for those are not its own", async () => {
  await world.foreignV2("crowded", { theirs: "x" });
  await world.merged("crowded", `${world.v2}/crowded`, { mine: "1" });
  await world.edit("crowded", { writeMode: "Replace" });
  await world.settled("crowded", "AdoptionRequired");
  expect(await world.atV2("crowded")).toEqual({ theirs: "x", mine: "1" });
});

test("the marks of the objects that share a secret stand beside each other, and each goes with its object", async () => {
  const path = `${world.v2}/data/marks`;
  await world.foreignCustom("marks", { note: "mine" });
  const one = await world.merged("marks-one", path, { one: "1" }, { deletionPolicy: "Destroy" });
  const two = await world.merged("marks-two", path, { two: "2" });
  expect(await world.customOf("marks")).toEqual({ note: "mine", ...markOf(one), ...markOf(two) });
  await world.remove("marks-one");
  expect(await world.atV2("marks")).toEqual({ two: "2" });
  expect(await world.customOf("marks")).toEqual({ note: "mine", ...markOf(two) });
});

test("a key of its own that is there with another value: AdoptionRequired on KV v2, until annotated", async () => {
  await world.foreignV2("taken", { mine: "theirs", theirs: "x" });
  await world.apply("taken", { path: `${world.v2}/taken`, writeMode, secrets: await world.entries({ mine: "1" }) });
  await world.settled("taken", "AdoptionRequired");
  expect(await world.atV2("taken")).toEqual({ mine: "theirs", theirs: "x" });
  await world.annotate("taken", { "k8s.patoarvizu.dev/adopt": "true" });
  await world.settled("taken");
  expect(await world.atV2("taken")).toEqual({ mine: "1", theirs: "x" });
});

test("another's write to other keys is noted once: no write, and no KMS call at the looks after it", async () => {
  await world.merged("noted", `${world.v2}/data/noted`, { mine: "1" });
  await world.foreignV2("noted", { mine: "1", theirs: "x" });
  await world.poke("noted");
  expect((await world.get("noted")).status.vault.version).toBe(2);
  expect(await world.versionOf("noted")).toBe(2);
  const decryptions = await world.decryptions();
  const mark = await world.mark();
  await world.poke("noted");
  expect(await world.decryptions()).toBe(decryptions);
  expect((await world.asked(mark)).map(({ operation, path }) => `${operation} ${path}`)).toEqual([
    `read ${world.v2}/metadata/noted`,
  ]);
});

test("casIndex is refused with it", async () => {
  const secrets = await world.entries({ k: "v" });
  const kvSettings = { engineVersion: "v2", casIndex: 0 };
  const applying = world.apply("cas", { path: `${world.v2}/data/cas`, writeMode, kvSettings, secrets });
  await expect(applying).rejects.toThrow("kvSettings.casIndex cannot be used with writeMode: Merge");
});

test("of a secret that many write at once, no key of anybody's is lost", async () => {
  const path = `${world.v2}/data/crowd`;
  const names = ["a", "b", "c", "d", "e"];
  for (const name of names) {
    await world.apply(`crowd-${name}`, { path, writeMode, secrets: await world.entries({ [name]: name }) });
  }
  await Promise.all(names.map((name) => world.settled(`crowd-${name}`)));
  expect(await world.atV2("crowd")).toEqual(Object.fromEntries(names.map((name) => [name, name])));
});
