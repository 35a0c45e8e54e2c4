// What those see who watch the process: probes, and the figures under the names that dashboards and alerts made for the
// original ask for.
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { JsonClient } from "../env/http.ts";
import { freePort } from "../env/ports.ts";
import { secretPath } from "../gen/manifests.ts";
import { startWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await startWorld({ args: ["--sync-period-seconds=0"] });
});
afterAll(() => world[Symbol.asyncDispose]());

test("/healthz, /readyz and /metrics are on the metrics address, and nothing else is", async () => {
  const at = world.operator.metricsUrl;
  expect(await ask(at, "/healthz")).toEqual({ status: 200, body: "ok\n" });
  expect(await ask(at, "/readyz")).toEqual({ status: 200, body: "ok\n" });
  expect(await ask(at, "/metrics")).toMatchObject({ status: 200, body: expect.stringContaining("# HELP ") });
  expect(await ask(at, "/debug/pprof")).toMatchObject({ status: 404 });
});

test("controller-runtime's and client-go's figures count what happened", async () => {
  const { operator } = world;
  const controller = { controller: "kmsvaultsecret" };
  const before = await operator.metric("controller_runtime_reconcile_errors_total", controller);
  await world.sync("good", { path: `${world.v2}/data/good`, secrets: await world.entries({ k: "v" }) });
  await world.apply("bad", {
    path: `${world.v2}/data/bad`,
    vaultAuthMethod: "userpass",
    secrets: [{ key: "k", emptySecret: true }],
  });
  await world.settled("bad", "VaultLoginFailed");
  await eventually(async () => {
    expect(await operator.metric("controller_runtime_reconcile_errors_total", controller)).toBeGreaterThan(before);
  });
  for (const name of [
    "controller_runtime_reconcile_total",
    "controller_runtime_reconcile_time_seconds_count",
    "controller_runtime_max_concurrent_reconciles",
    "workqueue_adds_total",
    "workqueue_queue_duration_seconds_count",
    "workqueue_work_duration_seconds_count",
    "workqueue_retries_total",
    "rest_client_requests_total",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
  ]) {
    expect(await operator.metric(name), name).toBeGreaterThan(0);
  }
  const text = await operator.metrics();
  for (const series of [
    'controller_runtime_reconcile_total{controller="kmsvaultsecret",result="success"}',
    'controller_runtime_active_workers{controller="kmsvaultsecret"}',
    'workqueue_depth{name="kmsvaultsecret"',
  ]) {
    expect(text).toContain(series);
  }
});

test("the product's own figures follow the objects", async () => {
  const { operator } = world;
  const objects = "kms_vault_operator_objects";
  expect(await operator.metric(objects, { reason: "Synced" })).toBe(1);
  expect(await operator.metric(objects, { reason: "VaultLoginFailed" })).toBe(1);
  expect(await operator.metric("kms_vault_operator_vault_writes_total", { engine_version: "v2" })).toBe(1);
  expect(await operator.metric("kms_vault_operator_kms_requests_total", { operation: "Decrypt", outcome: "ok" })).toBe(
    1,
  );
  const logins = "kms_vault_operator_vault_logins_total";
  expect(await operator.metric(logins, { method: "token", outcome: "ok" })).toBe(1);
  expect(await operator.metric(logins, { method: "userpass", outcome: "VaultLoginFailed" })).toBeGreaterThan(0);
  expect(await operator.metric(logins, { method: "userpass", outcome: "ok" })).toBe(0);
  // Nobody waits for it to be synced any more, even if somebody else's finalizer holds it.
  const bad = secretPath({ namespace: world.namespace, name: "bad" });
  await world.kube.patch(bad, { metadata: { finalizers: ["example.com/held"] } });
  await world.delete("bad");
  await eventually(async () => expect(await operator.metric(objects, { reason: "VaultLoginFailed" })).toBe(0));
  expect(await operator.metric(objects, { reason: "Synced" })).toBe(1);
  await world.kube.patch(bad, { metadata: { finalizers: null } });
  await world.untilGone("bad");
});

test("no label holds a name, a path or a namespace", async () => {
  const text = await world.operator.metrics();
  for (const name of [world.namespace, world.v2, "good"]) expect(text).not.toContain(name);
});

test("probes have an address of their own where --health-probe-bind-address says one", async () => {
  const port = await freePort();
  await world.restart({ args: [`-health-probe-bind-address=127.0.0.1:${port}`], until: "started" });
  const probes = `http://127.0.0.1:${port}`;
  await eventually(async () => expect(await ask(probes, "/readyz")).toEqual({ status: 200, body: "ok\n" }));
  expect(await ask(probes, "/metrics")).toMatchObject({ status: 404 });
  expect(await ask(world.operator.metricsUrl, "/readyz")).toMatchObject({ status: 404 });
  expect(await ask(world.operator.metricsUrl, "/metrics")).toMatchObject({ status: 200 });
});

async function ask(server: string, path: string) {
  const client = new JsonClient(server);
  try {
    return await client.ask({ method: "GET", path });
  } finally {
    await client.close();
  }
}
