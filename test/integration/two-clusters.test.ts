// Two clusters, each with an API server and an operator of its own, in front of one Vault: whoever comes second to a
// path notices by the mark, and neither ever writes over the other unasked.
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { applyCrds } from "../env/crds.ts";
import { type Kubernetes, startKubernetes } from "../env/kubernetes.ts";
import { ProcessGroup } from "../env/processes.ts";
import { condition, startWorld, type World } from "./world.ts";

const args = ["--sync-period-seconds=0"];
let servers: ProcessGroup;
let kubernetes: Kubernetes;
let here: World;
let there: World;
beforeAll(async () => {
  servers = await ProcessGroup.create();
  kubernetes = await startKubernetes(servers, inject("stack").programs);
  await applyCrds(kubernetes.info);
  [here, there] = await Promise.all([
    startWorld({ args }),
    startWorld({ args, servers: { kubernetes: kubernetes.info } }),
  ]);
});
afterAll(async () => {
  await Promise.all([here[Symbol.asyncDispose](), there[Symbol.asyncDispose]()]);
  await servers.stop();
});

/** The same object as a user applies it to both clusters, from one repository. */
async function specFor(world: World, name: string, value: string, spec: object = {}) {
  return { path: `${here.v2}/data/${name}`, secrets: await world.entries({ k: value }), ...spec };
}

test.each([
  ["other", "theirs"],
  ["the same", "ours"],
])("the second one with %s data: PathConflict, nothing written, no mark changed", async (what, value) => {
  const name = what.replaceAll(" ", "-");
  await here.sync(name, await specFor(here, name, "ours"));
  const mark = await here.customOf(name);
  await there.apply(name, await specFor(there, name, value));
  await there.settled(name, "PathConflict");
  expect(await here.atV2(name)).toEqual({ k: "ours" });
  expect(await here.versionOf(name)).toBe(1);
  expect(await here.customOf(name)).toEqual(mark);
  // The first one goes on.
  await here.sync(name, await specFor(here, name, "edited"));
  expect(await here.atV2(name)).toEqual({ k: "edited" });
});

test("the second one merges keys of its own: that is PathConflict too, for the first would drop them", async () => {
  await here.sync("merged", await specFor(here, "merged", "ours"));
  const secrets = await there.entries({ other: "theirs" });
  await there.apply("merged", { path: `${here.v2}/data/merged`, writeMode: "Merge", secrets });
  await there.settled("merged", "PathConflict");
  expect(await here.atV2("merged")).toEqual({ k: "ours" });
});

test("adopted by the second, the first notices at its next look and writes no more", async () => {
  await here.sync("taken-over", await specFor(here, "taken-over", "here"));
  const annotations = { "k8s.patoarvizu.dev/adopt": "true" };
  const taken = await there.sync("taken-over", await specFor(there, "taken-over", "there"), { annotations });
  expect(await here.customOf("taken-over")).toMatchObject({ uid: taken.metadata.uid });
  await here.poke("taken-over");
  const lost = await here.settled("taken-over", "PathConflict");
  expect(condition(lost, "Ready").status).toBe("False");
  expect(await here.atV2("taken-over")).toEqual({ k: "there" });
  await here.apply("taken-over", await specFor(here, "taken-over", "edited"));
  await here.settled("taken-over", "PathConflict");
  expect(await here.atV2("taken-over")).toEqual({ k: "there" });
});

test("the loser's deletion, Destroy or not, leaves the winner's data alone", async () => {
  const spec = { deletionPolicy: "Destroy" };
  await here.sync("lost", await specFor(here, "lost", "here", spec));
  await there.sync("lost", await specFor(there, "lost", "there"), {
    annotations: { "k8s.patoarvizu.dev/adopt": "true" },
  });
  await here.remove("lost");
  await here.event("lost", "Released");
  expect(await here.atV2("lost")).toEqual({ k: "there" });
  expect((await here.customOf("lost"))["cluster"]).toBe(await there.clusterId());
});

test("when the first lets go of it, with its data, the second takes the path", async () => {
  const spec = { deletionPolicy: "Destroy" };
  await here.sync("handed", await specFor(here, "handed", "here", spec));
  await there.apply("handed", await specFor(there, "handed", "there"));
  await there.settled("handed", "PathConflict");
  await here.remove("handed");
  await there.poke("handed");
  await there.settled("handed");
  expect(await here.atV2("handed")).toEqual({ k: "there" });
});
