// What needs a server that misbehaves on purpose; the races with real writers are in test/integration/runtime-client.
import { expect, onTestFinished, test } from "vitest";
import { type Answer, failure, json, startFaultServer } from "../../test/gen/fault-server.ts";
import { systemClock } from "../base/clock.ts";
import { KubeClient } from "./client.ts";
import { editMetadata, removeFinalizer } from "./finalizer.ts";
import type { Resource } from "./objects.ts";
import { replaceStatus } from "./status-patch.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const resource: Resource = { group: "example.org", version: "v1", plural: "things", kind: "Thing" };

function thing(finalizers?: string[], uid = "u1") {
  const metadata = { name: "one", namespace: "ns", uid, resourceVersion: "5", creationTimestamp: "x" };
  return { metadata: { ...metadata, ...(finalizers && { finalizers }) }, status: { created: true, keys: [1] } };
}

async function serverOf(answer: Answer) {
  const server = await startFaultServer(answer);
  const connection = { server: server.url };
  const client = new KubeClient({ connection, logger: silent, clock: systemClock, userAgent: "test" });
  onTestFinished(async () => {
    await client.close();
    await server[Symbol.asyncDispose]();
  });
  const count = (method: string) => server.asked.filter((asked) => asked.method === method).length;
  return { server, client, count };
}

test("a finalizer that is there, or not there, costs no call", async () => {
  const { client, server } = await serverOf((_, response) => response.destroy());
  const object = thing(["a"]);
  expect(await editMetadata({ client, resource, object }, () => undefined)).toBe(object);
  expect(await removeFinalizer({ client, resource, object }, "b")).toBe(object);
  expect(server.asked).toHaveLength(0);
});

test("attempts against a writer that always wins are bounded", async () => {
  const { client, count } = await serverOf(({ method }, response) =>
    method === "GET" ? json(response, thing(["a"])) : failure(response, 422, "Invalid"),
  );
  await expect(removeFinalizer({ client, resource, object: thing(["a"]) }, "a")).rejects.toMatchObject({ status: 422 });
  expect(count("PATCH")).toBe(5);
});

test("an object that another one of its name has replaced counts as released", async () => {
  const { client, count } = await serverOf(({ method }, response) =>
    method === "GET" ? json(response, thing(["a"], "u2")) : failure(response, 422, "Invalid"),
  );
  expect(await removeFinalizer({ client, resource, object: thing(["a"]) }, "a")).toBeUndefined();
  expect(count("PATCH")).toBe(1);
});

test("a failure that is no race leaves the finalizer and is thrown", async () => {
  const { client, count } = await serverOf((_, response) => failure(response, 403, "Forbidden"));
  await expect(removeFinalizer({ client, resource, object: thing(["a"]) }, "a")).rejects.toMatchObject({ status: 403 });
  expect(count("PATCH")).toBe(1);
});

test("a status that would not change is not sent", async () => {
  const { client, server } = await serverOf((_, response) => response.destroy());
  const object = thing();
  expect(await replaceStatus({ client, resource, object }, { keys: [1], created: true, gone: undefined })).toBe(object);
  expect(server.asked).toHaveLength(0);
});
