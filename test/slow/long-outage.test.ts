// After a long outage of Vault each object waits out a long backoff of its own. Once one of them has got through, the
// others need not wait any more.
import { expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { privateVault } from "../env/private.ts";
import { startWorld } from "../integration/world.ts";

/** Long enough that nobody takes it for a retry that was due anyway. */
const longWaitMs = 8_000;

test("when Vault is back, the first object that gets through brings the others with it", async () => {
  await using vault = await privateVault({ persistent: true });
  await using world = await startWorld({ servers: { vault: vault.info }, args: ["--sync-period-seconds=3600"] });
  const names = ["one", "two", "three"];
  for (const name of names) {
    await world.sync(name, { path: `${world.v2}/data/${name}`, secrets: await world.entries({ k: "1" }) });
  }
  await vault.stop();
  const secrets = await world.entries({ k: "2" });
  for (const name of names) await world.apply(name, { path: `${world.v2}/data/${name}`, secrets });
  const waitOf = (name: string): number => {
    const failures = world.operator
      .logs()
      .filter(({ object, retryInMs }) => retryInMs && String(object).endsWith(`/${name}`));
    return Number(failures.at(-1)?.["retryInMs"] ?? 0);
  };
  await eventually(() => expect(Math.min(...names.map(waitOf))).toBeGreaterThan(longWaitMs), { timeoutMs: 90_000 });
  await vault.start();
  await vault.unseal();
  // Somebody asks for one of them.
  await world.request("one");
  await eventually(async () => expect(await world.atV2("one")).toEqual({ k: "2" }), { timeoutMs: 20_000 });
  const since = performance.now();
  for (const name of names) {
    await eventually(async () => expect(await world.atV2(name)).toEqual({ k: "2" }), { timeoutMs: 60_000 });
  }
  expect(performance.now() - since).toBeLessThan(4_500);
});
