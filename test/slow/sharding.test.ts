// Three replicas that divide the objects among them (--shards): each object is worked on by one, whoever dies is
// followed, whoever joins gets a share, and what an object left at another's place is removed by that one.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { shardOf } from "../../src/runtime/sharding.ts";
import { testEnv } from "../env/context.ts";
import { eventually } from "../env/eventually.ts";
import type { Operator } from "../env/operator.ts";
import { installServiceAccount } from "../env/service-account.ts";
import { condition, openWorld, type World } from "../integration/world.ts";

const shards = 4;
const lease = "39a50047.patoarvizu.dev";
const names = Array.from({ length: 40 }, (_, index) => `shared-${index}`);
let world: World;
let ownNamespace: string;
let replicas: Operator[];

beforeAll(async () => {
  const env = testEnv();
  ownNamespace = await env.freshNamespace();
  const serviceAccount = await installServiceAccount(env.kube, ownNamespace, [
    "service_account.yaml",
    "role.yaml",
    "role_binding.yaml",
    "opt-in/role-shards.yaml",
  ]);
  world = await openWorld({ serviceAccount, args: [`--shards=${shards}`, "--sync-period-seconds=3600"] });
  replicas = await Promise.all([world.start(), world.start(), world.start()]);
  await untilDivided();
});
afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.stop()));
  await world[Symbol.asyncDispose]();
});

/** Which shards a replica works on. */
async function heldBy(replica: Operator): Promise<number[]> {
  const held: number[] = [];
  for (let shard = 0; shard < shards; shard += 1) {
    if ((await replica.metric("leader_election_master_status", { name: `${lease}-shard-${shard}` })) === 1)
      held.push(shard);
  }
  return held;
}

/** Waits until every shard is held once, and by everybody his part. @returns the milliseconds that it took */
async function untilDivided(timeoutMs = 30_000): Promise<number> {
  const since = performance.now();
  await eventually(
    async () => {
      const held = await Promise.all(replicas.map(heldBy));
      expect(held.flat().toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
      expect(Math.max(...held.map(({ length }) => length))).toBe(Math.ceil(shards / replicas.length));
    },
    { timeoutMs },
  );
  return performance.now() - since;
}

/** Gives every object a new value and waits until all of them are in Vault. */
async function editAll(value: string): Promise<void> {
  const secrets = await world.entries({ k: value });
  await Promise.all(names.map((name) => world.apply(name, { path: `${world.v2}/data/${name}`, secrets })));
  await eventually(
    async () => {
      const found = await Promise.all(names.map((name) => world.atV2(name)));
      expect(found).toEqual(names.map(() => ({ k: value })));
    },
    { timeoutMs: 30_000 },
  );
}

/** Waits until every object's record is saved, too: who dies before has the next one ask KMS once. */
async function expectVersions(version: number): Promise<void> {
  await eventually(async () => {
    const objects = await Promise.all(names.map((name) => world.get(name)));
    expect(objects.map(({ status }) => status?.vault?.version)).toEqual(names.map(() => version));
  });
  expect(await Promise.all(names.map((name) => world.versionOf(name)))).toEqual(names.map(() => version));
}

function writesOf(replica: Operator): Promise<number> {
  return replica.metric("kms_vault_operator_vault_writes_total");
}

function reconcilesOf(replica: Operator): Promise<number> {
  return replica.metric("controller_runtime_reconcile_total");
}

/** Of objects and their statuses, and of events; leases are PUT. */
function patchesOf(replica: Operator): Promise<number> {
  return replica.metric("rest_client_requests_total", { method: "PATCH" });
}

/** What each replica has done since its start. */
function counted() {
  return Promise.all(
    replicas.map(async (replica) => ({
      reconciles: await reconcilesOf(replica),
      writes: await writesOf(replica),
      patches: await patchesOf(replica),
    })),
  );
}

describe("three replicas", () => {
  test("write each object once, every one of them some", async () => {
    await editAll("1");
    await expectVersions(1);
    const writes = await Promise.all(replicas.map(writesOf));
    expect(Math.min(...writes)).toBeGreaterThan(0);
    expect(writes.reduce((sum, each) => sum + each, 0)).toBe(names.length);
  });

  test("an object in sync costs no PATCH when a replica comes back, and its edit none of those whose it is not", async () => {
    const leaving = replicas.pop();
    await leaving?.stop();
    const returned = await world.start();
    replicas.push(returned);
    await untilDivided();
    await eventually(async () => expect(await reconcilesOf(returned)).toBeGreaterThanOrEqual(names.length));
    expect(await patchesOf(returned)).toBe(0);

    const path = `${world.v2}/data/single`;
    await world.sync("single", { path, secrets: await world.entries({ k: "1" }) });
    const before = await counted();
    await world.sync("single", { path, secrets: await world.entries({ k: "2" }) });
    const after = await eventually(async () => {
      const now = await counted();
      // Everyone has had a look.
      expect(now.every(({ reconciles }, index) => reconciles > (before[index]?.reconciles ?? 0))).toBe(true);
      return now;
    });
    const made = after.map(({ writes, patches }, index) => ({
      writes: writes - (before[index]?.writes ?? 0),
      patches: patches - (before[index]?.patches ?? 0),
    }));
    expect(made.map(({ writes }) => writes).toSorted((a, b) => a - b)).toEqual([0, 0, 1]);
    expect(made.filter(({ writes }) => writes === 0).map(({ patches }) => patches)).toEqual([0, 0]);
  });

  test("when one is killed its shards have moved within 20 s, and nothing is written twice or not at all", async () => {
    const [victim, ...others] = replicas as [Operator, ...Operator[]];
    replicas = others;
    const decryptions = await world.decryptions();
    await victim.stop("SIGKILL");
    expect(await untilDivided()).toBeLessThan(20_000);
    await editAll("2");
    await expectVersions(2);
    // What had been written before was recognised, not decrypted again.
    expect((await world.decryptions()) - decryptions).toBe(names.length);
  });

  test("when one joins it gets its share, and when one is asked to stop the others have it within seconds", async () => {
    const decryptions = await world.decryptions();
    replicas.push(await world.start());
    await untilDivided();
    const [leaving, ...others] = replicas as [Operator, ...Operator[]];
    replicas = others;
    expect(await leaving.stop()).toEqual({ code: 0, signal: null });
    expect(await untilDivided()).toBeLessThan(5_000);
    expect(await world.decryptions()).toBe(decryptions);
    await editAll("3");
    await expectVersions(3);
    const { items } = await world.kube.get({
      apiVersion: "coordination.k8s.io/v1",
      plural: "leases",
      namespace: ownNamespace,
    });
    const members = items.filter((one: { metadata: { name: string } }) => one.metadata.name.includes("-replica-"));
    // The one that was killed is forgotten later.
    expect(members).toHaveLength(replicas.length + 1);
  });
});

/** A path at a place of the first replica, and one at a place of the second. */
async function pathsApart(prefix: string): Promise<[string, string]> {
  const pathIn = (held: readonly number[] | undefined): string => {
    const isThere = (name: string) => held?.includes(shardOf(JSON.stringify(["", `${world.v2}/${name}`]), shards));
    const found = Array.from({ length: 100 }, (_, index) => `${prefix}-${index}`).find(isThere);
    if (found === undefined) throw new Error("no such path");
    return found;
  };
  const [here, there] = await Promise.all(replicas.map(heldBy));
  return [pathIn(here), pathIn(there)];
}

/** Where each replica removed something. */
function removedBy(): unknown[][] {
  return replicas.map((replica) =>
    replica
      .logs()
      .filter(({ removal }) => removal === "removed")
      .map(({ path }) => path),
  );
}

test("with a policy, the place that an object has left is removed by the replica whose it is, while the object lives", async () => {
  const [from, to] = await pathsApart("policied");
  const spec = { secrets: await world.entries({ k: "v" }), deletionPolicy: "Destroy" };
  await world.sync("policied", { ...spec, path: `${world.v2}/data/${from}` });
  await world.sync("policied", { ...spec, path: `${world.v2}/data/${to}` });
  await eventually(async () => expect(await world.versionOf(from)).toBeUndefined());
  expect(await world.atV2(to)).toEqual({ k: "v" });
  expect(removedBy()).toEqual([[from], []]);
  await eventually(async () => expect((await world.get("policied")).status.record).not.toHaveProperty("former"));
  await world.remove("policied");
  expect(await world.versionOf(to)).toBeUndefined();
  expect(removedBy()).toEqual([[from], [to]]);
});

test("what a moved object left at another replica's place is removed by that one, and only then the object goes", async () => {
  const [from, to] = await pathsApart("moved");
  await world.sync(
    "moved",
    { path: `${world.v2}/data/${from}`, secrets: await world.entries({ k: "v" }) },
    { finalizers: [deleteFinalizer] },
  );
  await world.apply(
    "moved",
    {
      path: `${world.v2}/data/${to}`,
      secrets: [{ key: "k", encryptedSecret: "bm90IGEgY2lwaGVydGV4dA==" }],
      onDecryptError: "Fail",
    },
    { finalizers: [deleteFinalizer] },
  );
  await eventually(async () => expect(condition(await world.get("moved"), "Ready").status).toBe("False"));
  expect(await world.atV2(from)).toEqual({ k: "v" });
  await world.remove("moved");
  expect(await world.versionOf(from)).toBeUndefined();
  expect(removedBy()).toEqual([[expect.stringContaining("policied"), from], [expect.stringContaining("policied")]]);
});
