// Links that are cut, one at a time: connections end and new ones are refused or reset.
import { afterAll, beforeAll, test } from "vitest";
import { survive } from "./fault.ts";
import { type ChaosWorld, type Links, startChaos } from "./world.ts";

let world: ChaosWorld;

beforeAll(async () => {
  world = await startChaos();
});
afterAll(() => world[Symbol.asyncDispose]());

const cuts: readonly { readonly to: keyof Links; readonly name: string; readonly isUnready: boolean }[] = [
  { to: "kubernetes", name: "API server", isUnready: true },
  { to: "vault", name: "Vault", isUnready: false },
  { to: "kms", name: "KMS", isUnready: false },
];

test.each(cuts)("the link to the $name is cut", async ({ to, name, isUnready }) => {
  const link = world.links[to];
  await survive(world, {
    name: `${name}: link cut`,
    begin: () => link.cut(),
    end: () => link.restore(),
    seconds: 8,
    isUnready,
  });
});

test("every connection is reset", async () => {
  const links = Object.values(world.links);
  await survive(world, {
    name: "all: connections reset",
    begin: async () => void (await Promise.all(links.map((link) => link.reset()))),
    end: async () => void (await Promise.all(links.map((link) => link.restore()))),
    seconds: 8,
  });
});
