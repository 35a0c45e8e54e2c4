// The debug pages: off unless asked for, and then they tell what the process is at, and no secret.
import { afterAll, beforeAll, expect, test } from "vitest";
import { productVersion } from "../../src/version.ts";
import { JsonClient } from "../env/http.ts";
import { freePort } from "../env/ports.ts";
import { openWorld, type World } from "./world.ts";

const canary = "a-debug-canary-value";
let world: World;
let port: number;
beforeAll(async () => {
  port = await freePort();
  world = await openWorld({ args: ["--sync-period-seconds=60"] });
});
afterAll(() => world[Symbol.asyncDispose]());

async function ask(path: string) {
  const client = new JsonClient(`http://127.0.0.1:${port}`);
  try {
    return await client.ask({ method: "GET", path });
  } finally {
    await client.close();
  }
}

test("without the flag nothing listens", async () => {
  await world.start();
  await expect(ask("/debug/state")).rejects.toThrow("ECONNREFUSED");
  await world.operator.stop();
});

test("/debug/state tells what every part is at, by names, and no value", async () => {
  await world.start({
    args: ["--sync-period-seconds=60", `--debug-addr=127.0.0.1:${port}`, "--enable-leader-election"],
  });
  await world.sync("shown", { path: `${world.v2}/data/shown`, secrets: await world.entries({ k: canary }) });
  const { status, body } = await ask("/debug/state");
  expect(status).toBe(200);
  expect(body).toMatchObject({
    version: productVersion,
    uptimeSeconds: expect.any(Number),
    eventLoopDelayMs: { p99: expect.any(Number) },
    ready: true,
    election: { leading: true },
    informers: [
      { resource: "kmsvaultsecrets", reflectors: [{ state: "watching" }] },
      { resource: "partialkmsvaultsecrets", reflectors: [{ state: "watching" }] },
    ],
    controllers: [{ name: "kmsvaultsecret", queue: { waiting: { high: 0, low: 0 }, delayed: 1, processing: [] } }],
  });
  expect(body.memoryBytes.rss).toBeGreaterThan(0);
  expect(JSON.stringify(body)).not.toContain(canary);
});

test("/debug/profile takes one CPU profile at a time", async () => {
  const [first, second] = await Promise.all([ask("/debug/profile?seconds=1"), ask("/debug/profile?seconds=1")]);
  expect([first.status, second.status].toSorted((a, b) => a - b)).toEqual([200, 409]);
  const profile = first.status === 200 ? first.body : second.body;
  expect(profile.nodes.length).toBeGreaterThan(1);
  expect((await ask("/debug/profile?seconds=0")).status).toBe(400);
  expect((await ask("/debug/heap")).status).toBe(404);
});
