// The API server and its store, killed and brought back.
import { afterAll, beforeAll, expect, test } from "vitest";
import { survive } from "./fault.ts";
import { type ChaosWorld, startChaos } from "./world.ts";

let world: ChaosWorld;

beforeAll(async () => {
  world = await startChaos();
});
afterAll(() => world[Symbol.asyncDispose]());

test("killed and restarted", async () => {
  const { kubernetes } = world.stack;
  await survive(world, {
    name: "API server: killed",
    begin: () => kubernetes.stop(),
    end: () => kubernetes.start(),
    seconds: 5,
    isUnready: true,
  });
});

test("killed and restarted, its history compacted meanwhile", async () => {
  const { kubernetes } = world.stack;
  await survive(world, {
    name: "API server: killed, history compacted",
    begin: () => kubernetes.stop(),
    async end() {
      await kubernetes.etcd.compact();
      await kubernetes.start();
    },
    seconds: 5,
    isUnready: true,
    expects: (before, after) => expect(after.expired, "410s").toBeGreaterThan(before.expired),
  });
});

test("its etcd killed and restarted", async () => {
  const { etcd } = world.stack.kubernetes;
  await survive(world, {
    name: "API server: etcd killed",
    async begin() {
      await etcd.stop();
      // Nobody can edit now; but what somebody changed in Vault is put right, and has to be told.
      await world.population.drift(0);
    },
    end: () => etcd.start(),
    seconds: 8,
  });
});
