// The worst moment for a link to be cut: Vault has written, the answer is on its way, and it was the first write of the
// object, so that nothing records yet whose data that is. Then the object is edited.
import { afterAll, beforeAll, expect, test } from "vitest";
import { timedProgress } from "../../tools/toolchain/progress.ts";
import { resolveToolchain } from "../../tools/toolchain/resolve.ts";
import { testEnv } from "../env/context.ts";
import { eventually } from "../env/eventually.ts";
import { ProcessGroup } from "../env/processes.ts";
import { type Link, startToxiproxy } from "../env/toxiproxy.ts";
import { startWorld, type World } from "../integration/world.ts";

/** Time enough to see that Vault has written, and to cut the link before the answer has passed. */
const delayMs = 1_500;

let group: ProcessGroup;
let link: Link;
let world: World;

beforeAll(async () => {
  const { "toxiproxy-server": program } = await resolveToolchain(["toxiproxy-server"], timedProgress(process.stderr));
  group = await ProcessGroup.create();
  const toxiproxy = await startToxiproxy(group, program);
  link = await toxiproxy.link("vault", new URL(testEnv().stack.vault.address).host);
  world = await startWorld({ env: { VAULT_ADDR: `https://${link.address}` } });
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await group.stop();
});

test("on KV v1 the edit arrives", () => editAfterLostAnswer("v1"));

test("on KV v2 the edit arrives", () => editAfterLostAnswer("v2"));

async function editAfterLostAnswer(engine: "v1" | "v2"): Promise<void> {
  const name = `lost-${engine}`;
  const pathOf = (of: string) => (engine === "v1" ? `${world.v1}/${of}` : `${world.v2}/data/${of}`);
  const inVault = async () => (engine === "v1" ? world.atV1(name) : world.atV2(name));
  // So that the mount is known, and the first answer that is awaited is that of a look at the path.
  await world.sync(`known-${engine}`, { path: pathOf("known"), secrets: await world.entries({ a: "0" }) });
  await link.slow(delayMs, 0);
  await world.apply(name, { path: pathOf(name), secrets: await world.entries({ a: "1" }) });
  await eventually(async () => expect(await inVault()).toEqual({ a: "1" }));
  await link.cut();
  await world.apply(name, { path: pathOf(name), secrets: await world.entries({ a: "2" }) });
  await link.restore();
  await world.settled(name);
  expect(await inVault()).toEqual({ a: "2" });
}
