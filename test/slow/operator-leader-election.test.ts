// Two replicas of the operator: one works, and when it dies without a word the other goes on after the Lease has run
// out. Each edit is written once, whoever writes it.
import { afterAll, beforeAll, expect, test } from "vitest";
import { testEnv } from "../env/context.ts";
import { eventually } from "../env/eventually.ts";
import type { Operator } from "../env/operator.ts";
import { installServiceAccount } from "../env/service-account.ts";
import { openWorld, type World } from "../integration/world.ts";

/** 15 s until a Lease that nobody renews is free, and a little to look and start. */
const takeOverMs = 30_000;
const lease = { apiVersion: "coordination.k8s.io/v1", plural: "leases", name: "39a50047.patoarvizu.dev" };
let world: World;
let ownNamespace: string;
let leader: Operator;
let follower: Operator;

beforeAll(async () => {
  const env = testEnv();
  ownNamespace = await env.freshNamespace();
  const serviceAccount = await installServiceAccount(env.kube, ownNamespace);
  world = await openWorld({ serviceAccount, args: ["--enable-leader-election", "--sync-period-seconds=1"] });
  leader = await world.start();
  await leads(leader);
  follower = await world.start();
});
afterAll(async () => {
  await leader.stop("SIGKILL");
  await world[Symbol.asyncDispose]();
});

test("only the leader writes; the follower is ready and waits", async () => {
  await edit("1");
  await eventually(async () => expect(await world.atV2("led")).toEqual({ k: "1" }));
  // Counted once the mark stands there as well.
  await eventually(async () => expect(await leader.metric("kms_vault_operator_vault_writes_total")).toBe(1));
  expect(await follower.metric("controller_runtime_reconcile_total")).toBe(0);
  expect(await follower.metric("kms_vault_operator_vault_requests_total")).toBe(0);
});

test("the leader stopped in its tracks: the other takes over, and the first, awake again, writes nothing and ends", async () => {
  leader.signal("SIGSTOP");
  await edit("2");
  await eventually(async () => expect(await world.atV2("led")).toEqual({ k: "2" }), { timeoutMs: takeOverMs });
  await leads(follower);
  leader.signal("SIGCONT");
  expect(await leader.exit).toEqual({ code: 1, signal: null });
  expect(await world.versionOf("led")).toBe(2);
});

test("the leader killed: its data stays as it is, and the next one goes on where it was without asking KMS", async () => {
  leader = follower;
  follower = await world.start();
  await leader.stop("SIGKILL");
  const decryptions = await world.decryptions();
  await leads(follower);
  await eventually(async () => expect(await follower.metric("controller_runtime_reconcile_total")).toBeGreaterThan(1));
  expect(await world.decryptions()).toBe(decryptions);
  await edit("3");
  await eventually(async () => expect(await world.atV2("led")).toEqual({ k: "3" }));
  expect(await world.versionOf("led")).toBe(3);
  const { spec } = await world.kube.get({ ...lease, namespace: ownNamespace });
  expect(spec.leaseTransitions).toBe(2);
});

async function edit(value: string): Promise<void> {
  await world.apply("led", { path: `${world.v2}/data/led`, secrets: await world.entries({ k: value }) });
}

async function leads(operator: Operator): Promise<void> {
  await eventually(async () => expect(await operator.metric("leader_election_master_status")).toBe(1), {
    timeoutMs: takeOverMs,
  });
}
