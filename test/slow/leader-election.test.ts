// Leader election with real processes on the real API server and a real Vault, at the timing of production. The truth
// about who wrote when is the servers': the API server's history of a ConfigMap and Vault's audit log.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, inject, onTestFinished, test, vi } from "vitest";
import type { KubeClient } from "../../src/runtime/client.ts";
import { type Lease, leaseResource } from "../../src/runtime/lease.ts";
import type { KubeObject, Resource } from "../../src/runtime/objects.ts";
import { auditRequests } from "../env/audit.ts";
import { testEnv } from "../env/context.ts";
import { adminClient, adminConnection, newNamespace } from "../integration/runtime-env.ts";
import type { Counted, Job } from "./leader-election-process.ts";

interface ConfigMap extends KubeObject {
  readonly data?: { readonly writer?: string };
}

interface Candidate {
  readonly name: string;
  readonly child: ChildProcess;
  /** What it said so far. */
  readonly said: string[];
}

const configMaps: Resource = { group: "", version: "v1", plural: "configmaps", kind: "ConfigMap" };
const lease = "lease";
let client: KubeClient;
let namespace: string;
let mount: string;
/** Names of those who wrote to the API server, in its order. */
let writes: string[];

beforeAll(() => {
  client = adminClient();
});

afterAll(() => client.close());

beforeEach(async () => {
  namespace = await newNamespace(client);
  mount = await testEnv().freshMount("v1");
  writes = [];
  const made = await client.create<ConfigMap>(configMaps, { namespace }, { metadata: { name: lease } });
  const abort = new AbortController();
  const following = followWrites(made.metadata.resourceVersion, abort.signal);
  onTestFinished(async () => {
    abort.abort();
    await following;
  });
});

async function followWrites(resourceVersion: string, signal: AbortSignal): Promise<void> {
  try {
    for await (const { object } of client.watch<ConfigMap>(configMaps, { namespace, resourceVersion, signal })) {
      const writer = object.data?.writer;
      if (writer !== undefined) writes.push(writer);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Each turn once: `one one two two one` is `one two one`. */
function turnsOf(names: readonly string[]): string[] {
  return names.filter((name, index) => name !== names[index - 1]);
}

/** Who wrote to Vault, in its order. */
async function vaultWrites(): Promise<string[]> {
  const { vault } = inject("stack");
  const requests = await auditRequests(vault, { path: `${mount}/`, operation: ["create", "update"] });
  return requests.map(({ path }) => path.slice(mount.length + 1));
}

function launch(name: string, wallClock: Job["wallClock"] = 0): Candidate {
  const { address, caFile, rootToken: token } = inject("stack").vault;
  const job: Job = {
    connection: adminConnection(),
    namespace,
    lease,
    identity: name,
    vault: { address, caFile, token, mount },
    wallClock,
  };
  const program = fileURLToPath(new URL("leader-election-process.ts", import.meta.url));
  const child = spawn(process.execPath, [program, JSON.stringify(job)], { stdio: ["ignore", "pipe", "inherit"] });
  const said: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => said.push(line));
  onTestFinished(() => void child.kill("SIGKILL"));
  return { name, child, said };
}

async function hears(candidate: Candidate, event: string, seconds: number): Promise<number> {
  const since = performance.now();
  await vi.waitFor(() => expect(candidate.said).toContain(event), { timeout: seconds * 1000, interval: 20 });
  return (performance.now() - since) / 1000;
}

/** Waits until one of them leads. */
async function successorAmong(waiting: readonly Candidate[], seconds: number): Promise<Candidate> {
  const isLeading = ({ said }: Candidate) => said.includes("leading") && !said.includes("lost");
  return vi.waitFor(
    () => {
      const leading = waiting.filter(isLeading);
      expect(leading).toHaveLength(1);
      return leading[0] as Candidate;
    },
    { timeout: seconds * 1000, interval: 20 },
  );
}

/** What a process that has ended counted. */
function countedBy({ said }: Candidate): Counted {
  const line = said.find((each) => each.startsWith("counted "));
  if (line === undefined) throw new Error("it has not ended");
  return JSON.parse(line.slice("counted ".length));
}

/** Candidates, the first of which leads and writes through both doors. */
async function candidates(names: readonly string[]): Promise<[leader: Candidate, ...followers: Candidate[]]> {
  const [first = "one", ...others] = names;
  const leader = launch(first);
  await hears(leader, "leading", 10);
  const followers = others.map((name) => launch(name));
  for (const follower of followers) await hears(follower, "running", 10);
  await vi.waitFor(() => expect(turnsOf(writes)).toEqual([first]));
  return [leader, ...followers];
}

test("that is asked to stop gives the Lease back, and the next one leads within seconds", async () => {
  const [leader, follower] = (await candidates(["one", "two"])) as [Candidate, Candidate];
  leader.child.kill("SIGTERM");
  expect(await hears(follower, "leading", 10)).toBeLessThan(6);
  expect(leader.said).not.toContain("lost");
  await vi.waitFor(() => expect(turnsOf(writes)).toEqual(["one", "two"]));
  const { spec } = await client.get<Lease>(leaseResource, { namespace, name: lease });
  expect(spec).toMatchObject({ holderIdentity: "two", leaseTransitions: 1 });
});

test("that is killed is followed by one of two others, after the lease duration and not before", async () => {
  const [leader, ...followers] = await candidates(["one", "two", "three"]);
  leader.child.kill("SIGKILL");
  await once(leader.child, "exit");
  const since = performance.now();
  const successor = await successorAmong(followers, 30);
  const seconds = (performance.now() - since) / 1000;
  expect(seconds).toBeGreaterThan(12.5);
  expect(seconds).toBeLessThan(25);
  await vi.waitFor(() => expect(turnsOf(writes)).toEqual(["one", successor.name]));
  expect(followers.filter(({ said }) => said.includes("leading"))).toHaveLength(1);
});

test("wall clocks that are hours off, or leap, change nothing", async () => {
  const leader = launch("ahead", 6 * 3_600_000);
  await hears(leader, "leading", 10);
  const others = [launch("behind", -6 * 3_600_000), launch("leaping", "jumping")];
  for (const other of others) await hears(other, "running", 10);
  // Longer than a Lease lasts: nobody takes it for old.
  await new Promise((resolve) => setTimeout(resolve, 17_000));
  expect(turnsOf(writes)).toEqual(["ahead"]);
  leader.child.kill("SIGKILL");
  const since = performance.now();
  const successor = await successorAmong(others, 30);
  expect((performance.now() - since) / 1000).toBeGreaterThan(12.5);
  await vi.waitFor(() => expect(turnsOf(writes)).toEqual(["ahead", successor.name]));
});

test("that is stopped, and continued after another took over, issues no mutation after its renew deadline", async () => {
  const pool = await candidates(["one", "two", "three"]);
  const order = ["one"];
  let leader: Candidate = pool[0];
  const ended: Candidate[] = [];
  for (let cycle = 0; cycle < 3; cycle += 1) {
    leader.child.kill("SIGSTOP");
    const waiting = pool.filter((candidate) => candidate !== leader && !ended.includes(candidate));
    const successor = await successorAmong(waiting, 30);
    await vi.waitFor(() => expect(writes.at(-1)).toBe(successor.name));
    leader.child.kill("SIGCONT");
    await hears(leader, "lost", 5);
    await hears(leader, "ended", 5);
    ended.push(leader);
    order.push(successor.name);
    leader = successor;
    pool.push(launch(`later-${cycle}`));
  }
  leader.child.kill("SIGTERM");
  await hears(leader, "ended", 10);
  const counts = [...ended, leader].map(countedBy);
  expect(counts.map(({ late }) => late)).toEqual([0, 0, 0, 0]);
  expect(Math.min(...counts.map(({ mutations }) => mutations))).toBeGreaterThan(10);
  // A process can be stopped between the guard and the system call, with one write for each door on its way, which comes
  // after it is continued; never with more.
  const inVault = await vaultWrites();
  for (const seen of [writes, inVault]) {
    for (const [turn, name] of order.slice(0, -1).entries()) {
      const successor = order[turn + 1] ?? "";
      const after = seen.slice(seen.indexOf(successor)).filter((writer) => writer === name);
      expect(after.length).toBeLessThanOrEqual(1);
    }
  }
});
