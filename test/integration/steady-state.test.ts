// What it costs to keep objects in sync, counted by the servers themselves: one Vault read per object and look, no KMS
// call, no write to the API server; also after a restart. Everything else that the operator promises is cheap because
// of this.
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { startWorld, type World } from "./world.ts";

let world: World;
/** What a look at each object may ask: KV v1 the data, KV v2 the metadata, so that no secret crosses the wire. */
let reads: readonly string[];
/** Where the audit log is read from: it is everybody's, and reading all of it takes longer than a moment is quiet. */
let from: Awaited<ReturnType<World["mark"]>>;

beforeAll(async () => {
  world = await startWorld({ args: ["--sync-period-seconds=4"] });
  await world.applyPartial("shared", { secrets: await world.entries({ shared: "s" }), secretContext: {} });
  const secrets = [await world.entry("k", "v", { a: "1", b: "2" }), { key: "e", emptySecret: true }];
  await world.sync("v1", { path: `${world.v1}/steady`, secrets, includeSecrets: ["shared"] });
  await world.sync("v2", { path: `${world.v2}/data/steady`, secrets, includeSecrets: ["shared"] });
  await world.sync("v2-plain", { path: `${world.v2}/plain`, secrets });
  const kvMetadata = { maxVersions: 5, deleteVersionAfter: "240h" };
  const policy = { deletionPolicy: "SoftDelete", kvMetadata };
  await world.sync("v2-policy", { path: `${world.v2}/policy`, secrets, ...policy });
  await world.foreignV2("merged", { theirs: "x" });
  await world.foreignV1("merged", { theirs: "x" });
  await world.sync("v2-merge", { path: `${world.v2}/merged`, secrets, writeMode: "Merge", deletionPolicy: "Destroy" });
  await world.sync("v1-merge", { path: `${world.v1}/merged`, secrets, writeMode: "Merge" });
  reads = [
    `${world.v1}/steady`,
    `${world.v1}/merged`,
    ...["steady", "plain", "policy", "merged"].map((path) => `${world.v2}/metadata/${path}`),
  ];
});
afterAll(() => world[Symbol.asyncDispose]());

test("one read per object and resync, no KMS call, nothing written anywhere", () => expectSteady());

test("the same after a restart: the first look needs no KMS either", async () => {
  const decryptions = await world.decryptions();
  const mark = await world.mark();
  const statuses = await statusVersions();
  await world.restart();
  await eventually(async () => {
    const asked = (await world.asked(mark)).map(({ path }) => path);
    expect(asked).toEqual(expect.arrayContaining([...reads]));
  });
  await expectSteady();
  const asked = (await world.asked(mark)).filter(({ path }) => !path.includes("ui/mounts"));
  expect(new Set(asked.map(({ operation, path }) => `${operation} ${path}`))).toEqual(
    new Set(reads.map((path) => `read ${path}`)),
  );
  expect(await world.decryptions()).toBe(decryptions);
  expect(await statusVersions()).toEqual(statuses);
});

/** Watches some resyncs of every object. */
async function expectSteady(): Promise<void> {
  from = await world.mark();
  const start = await quietMoment();
  const [decryptions, statuses] = await Promise.all([world.decryptions(), statusVersions()]);
  const end = await eventually(async () => {
    const { asked } = await quietMoment();
    const since = asked.slice(start.asked.length);
    for (const path of reads) expect(since.filter((read) => read === path).length, path).toBeGreaterThanOrEqual(2);
    return quietMoment();
  });
  const since = end.asked.slice(start.asked.length);
  // One reconcile, one read: also none for the mount, none for the token.
  expect(since).toHaveLength(end.reconciles - start.reconciles);
  expect(new Set(since)).toEqual(new Set(reads));
  expect(end.kubernetesWrites).toBe(start.kubernetesWrites);
  expect(end.vaultRequests - start.vaultRequests).toBe(since.length);
  expect(await world.decryptions()).toBe(decryptions);
  expect(await statusVersions()).toEqual(statuses);
}

interface Moment {
  readonly reconciles: number;
  readonly kubernetesWrites: number;
  readonly vaultRequests: number;
  /** Paths of everything that Vault was asked about our mounts. */
  readonly asked: readonly string[];
}

/** The counters at a moment at which no reconcile is under way, so that they belong together. */
function quietMoment(): Promise<Moment> {
  return eventually(async () => {
    const before = await counters();
    const asked = (await world.asked(from)).map(({ path }) => path);
    const after = await counters();
    expect(after).toEqual(before);
    expect(after.active).toBe(0);
    return { ...after, asked };
  });
}

async function counters() {
  const { operator } = world;
  const [reconciles, active, vaultRequests, ...writes] = await Promise.all([
    world.reconciles(),
    operator.metric("controller_runtime_active_workers"),
    operator.metric("kms_vault_operator_vault_requests_total"),
    ...["POST", "PUT", "PATCH", "DELETE"].map((method) => operator.metric("rest_client_requests_total", { method })),
  ]);
  return { reconciles, active, vaultRequests, kubernetesWrites: writes.reduce((sum, count) => sum + count, 0) };
}

function statusVersions(): Promise<string[]> {
  const names = ["v1", "v2", "v2-plain", "v2-policy", "v2-merge", "v1-merge"];
  return Promise.all(names.map(async (name) => (await world.get(name)).metadata.resourceVersion));
}
