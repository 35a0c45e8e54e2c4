// The runtime's client, finalizers, status patches and events against the real API server.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import type { KubeClient } from "../../src/runtime/client.ts";
import { Credentials } from "../../src/runtime/connection.ts";
import { EventRecorder } from "../../src/runtime/events.ts";
import { editMetadata, removeFinalizer } from "../../src/runtime/finalizer.ts";
import {
  isAlreadyExists,
  isConflict,
  isForbidden,
  isGone,
  isInvalid,
  isNotFound,
} from "../../src/runtime/kube-error.ts";
import { noMetrics } from "../../src/runtime/metrics.ts";
import type { Resource } from "../../src/runtime/objects.ts";
import { createToken } from "../../src/runtime/service-account-token.ts";
import { replaceStatus } from "../../src/runtime/status-patch.ts";
import {
  adminClient,
  adminConnection,
  ensureWidgets,
  newNamespace,
  silent,
  type Widget,
  widget,
  widgets,
} from "./runtime-env.ts";

interface EventObject {
  readonly message: string;
  readonly count: number;
  readonly source: { readonly component: string };
  readonly reportingComponent: string;
  readonly involvedObject: { readonly uid: string };
}

const serviceAccounts: Resource = { group: "", version: "v1", plural: "serviceaccounts", kind: "ServiceAccount" };
const events: Resource = { group: "", version: "v1", plural: "events", kind: "Event" };
let client: KubeClient;
let namespace: string;

beforeAll(async () => {
  client = adminClient();
  await ensureWidgets(client);
  namespace = await newNamespace(client);
});

afterAll(() => client.close());

function create(name: string, more: Parameters<typeof widget>[1] = {}): Promise<Widget> {
  return client.create<Widget>(widgets, { namespace }, widget(name, more));
}

describe("calls", () => {
  test("a list comes in pages of the size that was asked for", async () => {
    const own = await newNamespace(client);
    for (const name of ["a", "b", "c", "d", "e"]) await client.create(widgets, { namespace: own }, widget(name));
    const pages: string[][] = [];
    let next: string | undefined;
    do {
      const page = await client.list<Widget>(widgets, { namespace: own, limit: 2, ...(next && { continue: next }) });
      pages.push(page.items.map(({ metadata }) => metadata.name));
      next = page.continue;
    } while (next !== undefined);
    expect(pages).toEqual([["a", "b"], ["c", "d"], ["e"]]);
  });

  test("create, replace, patch in three ways, delete; each failure by its reason", async () => {
    const made = await create("calls");
    const ref = { namespace, name: "calls" };
    await expect(create("calls")).rejects.toSatisfy(isAlreadyExists);
    const json = await client.patch<Widget>(widgets, ref, {
      type: "json",
      operations: [{ op: "replace", path: "/spec/color", value: "blue" }],
    });
    await expect(client.replace(widgets, ref, made)).rejects.toSatisfy(isConflict);
    await client.replace(widgets, ref, { ...json, spec: { color: "green" } });
    await client.patch(widgets, ref, { type: "merge", body: { metadata: { labels: { a: "b" } } } });
    const body = { ...widget("calls"), spec: { size: 3 } };
    const applied = await client.patch(widgets, ref, { type: "apply", body, fieldManager: "test" });
    expect(applied).toMatchObject({ metadata: { labels: { a: "b" } }, spec: { color: "green", size: 3 } });
    const wrong = { type: "json", operations: [{ op: "test", path: "/spec/color", value: "red" }] } as const;
    await expect(client.patch(widgets, ref, wrong)).rejects.toSatisfy(isInvalid);
    await client.delete(widgets, ref, { preconditions: { uid: made.metadata.uid } });
    await expect(client.get(widgets, ref)).rejects.toSatisfy(isNotFound);
    await expect(client.delete(widgets, ref)).rejects.toSatisfy(isNotFound);
  });

  test("a watch tells edits, and a version from the server's past is gone", async () => {
    const { resourceVersion } = await client.list(widgets, { namespace });
    const changes = client.watch<Widget>(widgets, { namespace, resourceVersion, timeoutSeconds: 30 });
    const first = changes.next();
    await create("watched");
    expect(await first).toMatchObject({ value: { type: "ADDED", object: { metadata: { name: "watched" } } } });
    await client.patch(widgets, { namespace, name: "watched" }, { type: "merge", body: { spec: { color: "ü" } } });
    expect(await changes.next()).toMatchObject({ value: { type: "MODIFIED", object: { spec: { color: "ü" } } } });
    await changes.return();
    await expect(client.watch(widgets, { resourceVersion: "1" }).next()).rejects.toSatisfy(isGone);
  });

  test("a token of a service account is for the audience and the time that were asked for", async () => {
    const home = await newNamespace(client);
    const account = { namespace: home, name: "reader" };
    await client.create(serviceAccounts, { namespace: home }, { metadata: account });
    const { token, expiresAt } = await createToken(client, account, { audiences: ["vault"], expirationSeconds: 1_200 });
    const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
    expect(claims).toMatchObject({ aud: ["vault"], sub: `system:serviceaccount:${home}:reader` });
    expect(claims.exp - claims.iat).toBe(1_200);
    expect(expiresAt).toBe(claims.exp * 1_000);
    await expect(createToken(client, { ...account, name: "nobody" })).rejects.toSatisfy(isNotFound);
    // The account itself may make none.
    const { token: own } = await createToken(client, account);
    const { server, caPem = "" } = adminConnection();
    const reader = adminClient({ connection: { server, caPem, token: own } });
    onTestFinished(() => reader.close());
    const refused: unknown = await createToken(reader, account).catch((error: unknown) => error);
    expect(refused).toSatisfy(isForbidden);
    expect(inspect(refused, { depth: 9 })).not.toContain(own);
  });

  test("more calls than the client's own limit allows wait for their turn", async () => {
    const held: number[] = [];
    const limited = adminClient({
      rateLimit: { perSecond: 50, burst: 2 },
      metrics: { ...noMetrics, requestHeldBack: (_, seconds) => void held.push(seconds) },
    });
    const since = performance.now();
    await Promise.all(Array.from({ length: 12 }, () => limited.list(widgets, { namespace, limit: 1 })));
    await limited.close();
    expect(performance.now() - since).toBeGreaterThan(195);
    expect(held.filter((seconds) => seconds > 0)).toHaveLength(10);
  });

  test("a CA file that is replaced takes effect without a restart", async () => {
    const directory = await mkdtemp(join(tmpdir(), "runtime-"));
    onTestFinished(() => rm(directory, { recursive: true }));
    const { caPem: _, ...connection } = adminConnection();
    const caFile = join(directory, "ca.crt");
    const good = await new Credentials(adminConnection(), { clock: systemClock, logger: silent }).tls();
    await writeFile(caFile, "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n");
    const own = adminClient({ connection: { ...connection, caFile } });
    onTestFinished(() => own.close());
    await expect(own.list(widgets, { limit: 1, maxRetries: 0 })).rejects.toMatchObject({ reason: "ConnectionFailed" });
    await writeFile(caFile, good.ca ?? "");
    await expect(own.list(widgets, { limit: 1, maxRetries: 0 })).resolves.toBeDefined();
  });
});

/** An edit that puts a finalizer on, and its name into an annotation. */
function adding(name: string) {
  return ({ finalizers = [], annotations = {} }: Widget["metadata"]) => ({
    finalizers: [...finalizers, name],
    annotations: { ...annotations, [name]: "added" },
  });
}

describe("finalizers", () => {
  test("writers that add at the same time lose nothing of each other", async () => {
    const object = await create("adders");
    const names = ["a", "b", "c", "d"].map((letter) => `test.example/${letter}`);
    await Promise.all(names.map((name) => editMetadata({ client, resource: widgets, object }, adding(name))));
    const { metadata } = await client.get<Widget>(widgets, { namespace, name: "adders" });
    expect(metadata.finalizers?.toSorted()).toEqual(names);
    expect(metadata.annotations).toEqual(Object.fromEntries(names.map((name) => [name, "added"])));
  });

  test("removal with a stale copy takes away its own and nobody else's", async () => {
    const object = await create("removers", { finalizers: ["test.example/x", "test.example/ours", "test.example/y"] });
    const ref = { namespace, name: "removers" };
    await removeFinalizer({ client, resource: widgets, object }, "test.example/x");
    const left = await removeFinalizer({ client, resource: widgets, object }, "test.example/ours");
    expect(left?.metadata.finalizers).toEqual(["test.example/y"]);
    await removeFinalizer({ client, resource: widgets, object }, "test.example/ours");
    expect((await client.get<Widget>(widgets, ref)).metadata.finalizers).toEqual(["test.example/y"]);
  });

  test("removing the last one lets a deleted object go; again is no error", async () => {
    const object = await create("last", { finalizers: ["test.example/ours"] });
    const ref = { namespace, name: "last" };
    await client.delete(widgets, ref);
    const target = { client, resource: widgets, object };
    await expect(editMetadata(target, adding("test.example/late"))).rejects.toSatisfy(isInvalid);
    await removeFinalizer(target, "test.example/ours");
    await expect(client.get(widgets, ref)).rejects.toSatisfy(isNotFound);
    expect(await removeFinalizer(target, "test.example/ours")).toBeUndefined();
  });

  test("the finalizer of a new object of the same name stays", async () => {
    const old = await create("again", { finalizers: ["test.example/ours"] });
    const ref = { namespace, name: "again" };
    await client.delete(widgets, ref);
    await removeFinalizer({ client, resource: widgets, object: old }, "test.example/ours");
    await create("again", { finalizers: ["test.example/ours"] });
    expect(await removeFinalizer({ client, resource: widgets, object: old }, "test.example/ours")).toBeUndefined();
    expect((await client.get<Widget>(widgets, ref)).metadata.finalizers).toEqual(["test.example/ours"]);
  });
});

describe("status", () => {
  test("is replaced as a whole beside edits of the spec, and not sent when equal", async () => {
    const object = await create("status");
    const ref = { namespace, name: "status" };
    await client.patch(widgets, ref, { type: "merge", body: { spec: { color: "blue" } } });
    const first = await replaceStatus({ client, resource: widgets, object }, { phase: "one", note: "x" });
    expect(first).toMatchObject({ spec: { color: "blue" }, status: { phase: "one", note: "x" } });
    const second = await replaceStatus({ client, resource: widgets, object: first }, { phase: "two", note: undefined });
    expect(second.status).toEqual({ phase: "two" });
    expect(await replaceStatus({ client, resource: widgets, object: second }, { phase: "two" })).toBe(second);
    expect((await client.get<Widget>(widgets, ref)).metadata.resourceVersion).toBe(second.metadata.resourceVersion);
  });

  test("of an object that another one has replaced is refused, of a gone one not found", async () => {
    const object = await create("replaced");
    const ref = { namespace, name: "replaced" };
    await client.delete(widgets, ref);
    await expect(replaceStatus({ client, resource: widgets, object }, { phase: "x" })).rejects.toSatisfy(isNotFound);
    await create("replaced");
    await expect(replaceStatus({ client, resource: widgets, object }, { phase: "x" })).rejects.toSatisfy(isInvalid);
  });
});

describe("events", () => {
  test("that repeat are one Event with a count; others are their own", async () => {
    const own = await newNamespace(client);
    const object = await client.create<Widget>(widgets, { namespace: own }, widget("eventful"));
    const subject = { resource: widgets, object };
    const recorder = new EventRecorder({
      client,
      component: "test",
      instance: "pod",
      logger: silent,
      clock: systemClock,
    });
    recorder.start();
    const listed = async () => (await client.list<EventObject>(events, { namespace: own })).items;
    for (let count = 1; count <= 3; count += 1) {
      recorder.event(subject, "Normal", "SecretCreated", "Wrote it");
      await vi.waitFor(async () => expect((await listed())[0]?.count).toBe(count));
    }
    recorder.event(subject, "Warning", "Failed", `${"ü".repeat(600)}!`);
    await recorder.stop(5_000);
    const all = await listed();
    expect(all.map(({ count }) => count).toSorted((a, b) => a - b)).toEqual([1, 3]);
    expect(all).toMatchObject(
      all.map(() => ({
        source: { component: "test" },
        reportingComponent: "test",
        involvedObject: { uid: object.metadata.uid },
      })),
    );
    const longest = Math.max(...all.map(({ message }) => Buffer.byteLength(message)));
    expect(longest).toBeGreaterThan(1_000);
    expect(longest).toBeLessThanOrEqual(1_024);
  });
});
