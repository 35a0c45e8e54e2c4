// Links that hold back what passes: nothing in one direction, everything late, or connections that are dead without
// having been closed. Nobody is told; who waits has to give up by itself.
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { group, version } from "../../src/api/kinds.ts";
import { systemClock } from "../../src/base/clock.ts";
import { KubeClient } from "../../src/runtime/client.ts";
import { Informer } from "../../src/runtime/informer.ts";
import type { KubeObject } from "../../src/runtime/objects.ts";
import { always } from "../env/eventually.ts";
import { adminConnection, silent } from "../integration/runtime-env.ts";
import { EditStream } from "./edit-stream.ts";
import { survive } from "./fault.ts";
import { type ChaosWorld, type Links, startChaos } from "./world.ts";

let world: ChaosWorld;

beforeAll(async () => {
  world = await startChaos({ isRelayed: true });
});
afterAll(() => world[Symbol.asyncDispose]());

const servers: readonly { readonly to: keyof Links; readonly name: string }[] = [
  { to: "kubernetes", name: "API server" },
  { to: "vault", name: "Vault" },
  { to: "kms", name: "KMS" },
];

describe.each(servers)("the link to the $name", ({ to, name }) => {
  test.each(["upstream", "downstream"] as const)("stalls %s", async (direction) => {
    const link = world.links[to];
    await survive(world, {
      name: `${name}: stalled ${direction}`,
      begin: () => link.stall(direction),
      end: () => link.restore(),
      seconds: 10,
    });
  });
});

test("every answer takes half a second", async () => {
  const links = Object.values(world.links);
  await survive(world, {
    name: "all: 500 ms ± 200 ms",
    begin: async () => void (await Promise.all(links.map((link) => link.slow(500, 200)))),
    end: async () => void (await Promise.all(links.map((link) => link.restore()))),
  });
});

test("connections to Vault and KMS are lost without a word; new ones work", async () => {
  await survive(world, {
    name: "Vault, KMS: connections lost silently",
    async begin() {
      for (const relay of world.relays) expect(relay.lose()).toBeGreaterThan(0);
    },
    // There is nothing to end: whoever waits on a lost connection has to give it up.
    end: async () => {},
  });
});

// The operator's own limit, 100 s, is longer than a test may take.
test("a stalled watch is found out: torn down, told, and opened again", async () => {
  const { namespace, links, stack } = world;
  const connection = { ...adminConnection(stack.info.kubernetes), server: `https://${links.kubernetes.address}` };
  const client = new KubeClient({ connection, logger: silent, clock: systemClock, userAgent: "chaos-test" });
  const informer = new Informer<KubeObject>({
    client,
    resource: { group, version, plural: "kmsvaultsecrets", kind: "KMSVaultSecret" },
    namespaces: [namespace],
    tuning: { livenessMs: 2_000, backoff: { baseMs: 50, maxMs: 500 } },
    logger: silent,
    clock: systemClock,
  });
  const abort = new AbortController();
  const running = informer.run(abort.signal);
  const edits = new EditStream(world);
  onTestFinished(async () => {
    await links.kubernetes.restore();
    abort.abort(new Error("the test is over"));
    await Promise.all([running, edits.stop()]);
    await client.close();
  });
  await informer.synced;
  await vi.waitFor(() => expect(informer.healthy()).toBe(true));
  // The edits are signs of life enough.
  await always(() => expect(informer.healthy()).toBe(true), 3_000);
  await links.kubernetes.stall("downstream");
  await vi.waitFor(() => expect(informer.problem()).toContain("neither event nor bookmark"), { timeout: 10_000 });
  await links.kubernetes.restore();
  await edits.stop();
  await vi.waitFor(
    async () => {
      const stored = informer.store.list().map(({ metadata }) => metadata.resourceVersion);
      expect(stored.toSorted()).toEqual((await world.population.resourceVersions()).toSorted());
      expect(informer.healthy()).toBe(true);
    },
    { timeout: 40_000 },
  );
});
