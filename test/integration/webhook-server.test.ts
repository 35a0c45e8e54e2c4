// What the server says to those who are not the API server, and how it ends.
import { request as httpsRequest } from "node:https";
import { connect } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { JsonClient, type JsonResponse } from "../env/http.ts";
import { KmsTestClient } from "../env/kms-client.ts";
import { privateKms } from "../env/private.ts";
import { startWebhook, type Webhook } from "../env/webhook.ts";

let webhook: Webhook;
let client: JsonClient;
beforeAll(async () => {
  webhook = await startWebhook();
  client = new JsonClient(webhook.url, { caPem: webhook.caPem });
});
afterAll(async () => {
  await client.close();
  await webhook.stop();
});

const group = "k8s.patoarvizu.dev";
const post = (body: unknown, path = "/", headers = {}): Promise<JsonResponse> =>
  client.ask({ method: "POST", path, body, headers });

function review(object: object, request: object = {}, apiVersion = "admission.k8s.io/v1") {
  const kind = { group, version: "v1alpha1", kind: "KMSVaultSecret" };
  return {
    apiVersion,
    kind: "AdmissionReview",
    request: { uid: "u-1", kind, operation: "CREATE", namespace: "ns", name: "object", object, ...request },
  };
}

const good = { spec: { path: "secret/x", secrets: [{ key: "k", emptySecret: true }] } };
const bad = { spec: { path: "secret/../x", secrets: [{ key: "k", emptySecret: true }] } };

test.each(["admission.k8s.io/v1", "admission.k8s.io/v1beta1"])(
  "%s is answered in kind, at any path",
  async (version) => {
    for (const path of ["/", "/validate?timeout=5s", "/a/b"]) {
      const { status, body } = await post(review(good, {}, version), path);
      expect(status).toBe(200);
      expect(body).toEqual({ apiVersion: version, kind: "AdmissionReview", response: { uid: "u-1", allowed: true } });
    }
    const { body } = await post(review(bad, {}, version));
    expect(body.response).toMatchObject({
      uid: "u-1",
      allowed: false,
      status: { code: 403, message: expect.stringMatching(/^InvalidPath: /) },
    });
  },
);

test.each<[string, unknown, number]>([
  ["no JSON", "{", 400],
  ["no object", "[1]", 400],
  ["null", "null", 400],
  ["no AdmissionReview", { kind: "Pod" }, 400],
  ["another version", { ...review(good), apiVersion: "admission.k8s.io/v2" }, 400],
  ["no request", { ...review(good), request: undefined }, 400],
  ["no uid", review(good, { uid: 7 }), 400],
  ["too much", `"${"a".repeat(5 * 1024 * 1024)}"`, 413],
])("%s is refused", async (_, body, status) => {
  expect((await post(body)).status).toBe(status);
});

test("what is refused unread is counted, and what is under way", async () => {
  const refused = "kms_vault_operator_webhook_refused_requests_total";
  const before = await webhook.metric(refused, { code: "400" });
  await post("{");
  expect(await webhook.metric(refused, { code: "400" })).toBe(before + 1);
  await eventually(async () => {
    expect(await webhook.metric("kms_vault_operator_webhook_requests_in_flight")).toBe(0);
  });
});

test("other methods and types are refused", async () => {
  expect((await client.ask({ method: "GET", path: "/" })).status).toBe(405);
  expect((await post("{}", "/", { "content-type": "text/plain" })).status).toBe(415);
});

test.each<[string, object, object]>([
  ["an object without a spec", {}, {}],
  ["a spec that is a list", { spec: [] }, {}],
  ["entries of all sorts", { spec: { path: 1, secrets: [null, 1, {}, { key: {} }], secretContext: "a" } }, {}],
  ["no object", {}, { object: null }],
  ["no name", { metadata: { generateName: "a-" }, ...bad }, { name: undefined }],
])("%s is denied, not a crash", async (_, object, request) => {
  const { status, body } = await post(review(object, request));
  expect(status).toBe(200);
  expect(body.response).toMatchObject({ allowed: false, status: { code: 403 } });
});

test.each<[string, object]>([
  ["deletion", { operation: "DELETE", object: null, oldObject: bad }],
  ["a status", { operation: "UPDATE", subResource: "status", oldObject: good }],
  ["an object on its way out", { object: { ...bad, metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } } }],
  ["an update that changes no spec", { operation: "UPDATE", oldObject: bad }],
])("%s passes", async (_, request) => {
  expect((await post(review(bad, request))).body.response).toEqual({ uid: "u-1", allowed: true });
});

test("another kind passes with a warning", async () => {
  const kind = { group: "", version: "v1", kind: "Pod" };
  expect((await post(review({}, { kind }))).body.response).toMatchObject({
    allowed: true,
    warnings: [expect.stringContaining("/Pod is not checked")],
  });
});

test("nothing older than TLS 1.2 is spoken", async () => {
  const { hostname, port } = new URL(webhook.url);
  const error = await new Promise<Error & { code?: string }>((resolve, reject) => {
    const socket = connect({
      host: hostname,
      port: Number(port),
      maxVersion: "TLSv1.1",
      minVersion: "TLSv1",
      ca: webhook.caPem,
    });
    socket.once("error", resolve).once("secureConnect", () => reject(new Error("it was spoken")));
  });
  expect(error.code).toMatch(/^(ERR_SSL|ECONNRESET|EPROTO)/);
});

test("it goes on after a connection that breaks in the middle of a body", async () => {
  await new Promise<void>((resolve) => {
    const headers = { "content-type": "application/json", "content-length": "1000" };
    const broken = httpsRequest(webhook.url, { method: "POST", ca: webhook.caPem, headers });
    broken.once("error", () => resolve());
    broken.write("{", () => broken.destroy());
    broken.once("close", () => resolve());
  });
  expect((await post(review(good))).status).toBe(200);
});

test("bodies that stay under way are bounded together, and are not waited for: others are refused until there is room", {
  timeout: 30_000,
}, async () => {
  const large = JSON.stringify(review({ ...good, metadata: { annotations: { a: "a".repeat(3_900_000) } } }));
  const headers = { "content-type": "application/json", "content-length": String(large.length) };
  const statuses: (number | undefined)[] = [];
  const stalled = Array.from({ length: 9 }, () => {
    const request = httpsRequest(webhook.url, { method: "POST", ca: webhook.caPem, headers, agent: false });
    request.once("response", (response) => statuses.push(response.resume().statusCode));
    request.on("error", () => {});
    request.write(large.slice(0, -1));
    return request;
  });
  try {
    await eventually(async () => expect((await post(large)).status).toBe(503));
    expect((await post(review(good))).status).toBe(200);
    await eventually(async () => expect((await post(large)).status).toBe(200), { timeoutMs: 15_000 });
    expect(statuses).toContain(408);
  } finally {
    for (const request of stalled) request.destroy();
  }
});

test("SIGTERM: what is under way is answered, nothing more is taken, exit code 0", async () => {
  await using kms = await privateKms();
  const keys = new KmsTestClient(kms.info);
  const encryptedSecret = await keys.encrypt(await keys.createKey(), "value");
  await keys.faults({ latencyMs: 1_500, operations: ["Decrypt"] });
  await using ending = await startWebhook({ kms: kms.info });
  const asking = new JsonClient(ending.url, { caPem: ending.caPem });
  const spec = { path: "secret/x", secrets: [{ key: "k", encryptedSecret }] };
  const answer = asking.send({ method: "POST", path: "/?timeout=10s", body: review({ spec }) });
  await eventually(async () => expect((await keys.calls()).operations["Decrypt"]).toBe(1));
  ending.signal("SIGTERM");
  await eventually(async () => {
    const late = new JsonClient(ending.url, { caPem: ending.caPem });
    await expect(late.ask({ method: "POST", path: "/", body: review(good) })).rejects.toThrow(/ECONNREFUSED/);
    await late.close();
  });
  expect((await answer).response).toEqual({ uid: "u-1", allowed: true });
  expect(await ending.exit).toEqual({ code: 0, signal: null });
  await Promise.all([asking.close(), keys.close()]);
});
