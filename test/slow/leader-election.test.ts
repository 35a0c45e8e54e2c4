// Leader election with real processes on the real API server, at the timing of production. The truth about who wrote
// when is the API server's own history of the ConfigMap that leaders write to.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import type { KubeClient } from "../../src/runtime/client.ts";
import { type Lease, leaseResource } from "../../src/runtime/lease.ts";
import type { KubeObject, Resource } from "../../src/runtime/objects.ts";
import { adminClient, adminConnection, newNamespace } from "../integration/runtime-env.ts";
import type { Job } from "./leader-election-process.ts";

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
/** Names of those who wrote, in the API server's order, each turn once. */
let turns: string[];
/** Names of those who wrote, every write. */
let writes: string[];

beforeAll(() => {
  client = adminClient();
});

afterAll(() => client.close());

beforeEach(async () => {
  namespace = await newNamespace(client);
  turns = [];
  writes = [];
  const made = await client.create<ConfigMap>(configMaps, { namespace }, { metadata: { name: lease } });
  const abort = new AbortController();
  const following = followTurns(made.metadata.resourceVersion, abort.signal);
  onTestFinished(async () => {
    abort.abort();
    await following;
  });
});

async function followTurns(resourceVersion: string, signal: AbortSignal): Promise<void> {
  try {
    for await (const { object } of client.watch<ConfigMap>(configMaps, { namespace, resourceVersion, signal })) {
      const writer = object.data?.writer;
      if (writer !== undefined) writes.push(writer);
      if (writer !== undefined && writer !== turns.at(-1)) turns.push(writer);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function launch(name: string): Candidate {
  const job: Job = { connection: adminConnection(), namespace, lease, identity: name };
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

/** Two candidates, the first of which leads and writes. */
async function twoCandidates(): Promise<[leader: Candidate, follower: Candidate]> {
  const leader = launch("one");
  await hears(leader, "leading", 10);
  const follower = launch("two");
  await hears(follower, "running", 10);
  await vi.waitFor(() => expect(turns).toEqual(["one"]));
  return [leader, follower];
}

test("that is asked to stop gives the Lease back, and the next one leads within seconds", async () => {
  const [leader, follower] = await twoCandidates();
  leader.child.kill("SIGTERM");
  expect(await hears(follower, "leading", 10)).toBeLessThan(6);
  expect(leader.said).not.toContain("lost");
  await vi.waitFor(() => expect(turns).toEqual(["one", "two"]));
  const { spec } = await client.get<Lease>(leaseResource, { namespace, name: lease });
  expect(spec).toMatchObject({ holderIdentity: "two", leaseTransitions: 1 });
});

test("that is killed is followed after the lease duration, not before", async () => {
  const [leader, follower] = await twoCandidates();
  leader.child.kill("SIGKILL");
  await once(leader.child, "exit");
  const seconds = await hears(follower, "leading", 30);
  expect(seconds).toBeGreaterThan(12.5);
  expect(seconds).toBeLessThan(25);
  await vi.waitFor(() => expect(turns).toEqual(["one", "two"]));
});

test("that is stopped, and continued after another took over, gets no write past the guard", async () => {
  const [leader, follower] = await twoCandidates();
  leader.child.kill("SIGSTOP");
  await hears(follower, "leading", 30);
  await vi.waitFor(() => expect(turns.at(-1)).toBe("two"));
  leader.child.kill("SIGCONT");
  await hears(leader, "lost", 5);
  await hears(leader, "ended", 5);
  // A process can be stopped between the guard and the system call, with that one write on its way; never with two.
  expect(writes.slice(writes.indexOf("two")).filter((writer) => writer === "one").length).toBeLessThanOrEqual(1);
  expect(turns.at(-1)).toBe("two");
  expect(follower.said).not.toContain("lost");
});
