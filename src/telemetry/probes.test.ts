import { createServer } from "node:http";
import { afterEach, describe, expect, test } from "vitest";
import { type ProbeOptions, type ProbeServers, startProbes } from "./probes.ts";

const anyPort = { host: "127.0.0.1", port: 0 };
const metrics = { contentType: "text/plain; version=0.0.4", text: () => Promise.resolve("figure 1\n") };
const started: ProbeServers[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((servers) => servers.close()));
});

async function start(options: Partial<ProbeOptions> = {}): Promise<ProbeServers> {
  const servers = await startProbes({ metricsAddress: anyPort, metrics, notReady: () => [], ...options });
  started.push(servers);
  return servers;
}

async function get(port: number | undefined, path: string, method = "GET") {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method });
  return { status: response.status, type: response.headers.get("content-type"), body: await response.text() };
}

describe("on one address", () => {
  test("metrics and probes are served", async () => {
    const { metricsPort, probePort } = await start();
    expect(probePort).toBe(metricsPort);
    expect(await get(metricsPort, "/healthz")).toMatchObject({ status: 200, body: "ok\n" });
    expect(await get(metricsPort, "/readyz?verbose")).toMatchObject({ status: 200, body: "ok\n" });
    expect(await get(metricsPort, "/metrics")).toEqual({
      status: 200,
      type: "text/plain; version=0.0.4",
      body: "figure 1\n",
    });
  });

  test("not being ready says why, and is no lack of health", async () => {
    const reasons: string[] = ["waiting for the first list", "not the leader"];
    const { probePort } = await start({ notReady: () => reasons });
    expect(await get(probePort, "/readyz")).toMatchObject({
      status: 503,
      body: "not ready: waiting for the first list\nnot ready: not the leader\n",
    });
    expect(await get(probePort, "/healthz")).toMatchObject({ status: 200 });
    reasons.length = 0;
    expect(await get(probePort, "/readyz")).toMatchObject({ status: 200 });
  });

  test("other paths and methods are refused", async () => {
    const { metricsPort } = await start();
    expect(await get(metricsPort, "/")).toMatchObject({ status: 404 });
    expect(await get(metricsPort, "/constructor")).toMatchObject({ status: 404 });
    expect(await get(metricsPort, "/healthz", "POST")).toMatchObject({ status: 405 });
    expect(await get(metricsPort, "/healthz", "HEAD")).toMatchObject({ status: 200, body: "" });
  });

  test("figures that cannot be gathered are a 500, without the error's message", async () => {
    const broken = { ...metrics, text: () => Promise.reject(new TypeError("canary")) };
    const { metricsPort } = await start({ metrics: broken });
    expect(await get(metricsPort, "/metrics")).toMatchObject({ status: 500, body: "TypeError\n" });
  });
});

test("on two addresses each serves its own", async () => {
  const { metricsPort, probePort } = await start({ probeAddress: anyPort });
  expect(probePort).not.toBe(metricsPort);
  expect(await get(metricsPort, "/healthz")).toMatchObject({ status: 404 });
  expect(await get(probePort, "/metrics")).toMatchObject({ status: 404 });
  expect(await get(probePort, "/healthz")).toMatchObject({ status: 200 });
});

test("what is off does not listen", async () => {
  expect(await start({ metricsAddress: "off" })).toMatchObject({ metricsPort: undefined, probePort: undefined });
  expect(await start({ probeAddress: "off" })).toMatchObject({ probePort: undefined });
  const { metricsPort, probePort } = await start({ metricsAddress: "off", probeAddress: anyPort });
  expect(metricsPort).toBeUndefined();
  expect(await get(probePort, "/healthz")).toMatchObject({ status: 200 });
});

test("an address in use is a clear error, and nothing is left listening", async () => {
  const { metricsPort = 0 } = await start();
  const taken = { host: "127.0.0.1", port: metricsPort };
  const starting = start({ probeAddress: taken });
  await expect(starting).rejects.toThrow(
    `cannot listen on 127.0.0.1:${metricsPort} for probes (EADDRINUSE); choose another address`,
  );
});

test("after close the port is free, also with a connection open", async () => {
  const servers = await start();
  await get(servers.metricsPort, "/healthz");
  await servers.close();
  const next = createServer();
  await new Promise<void>((resolve, reject) => {
    next.once("error", reject);
    next.listen(servers.metricsPort, "127.0.0.1", resolve);
  });
  expect(next.listening).toBe(true);
  next.close();
});
