import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type Answer, failure, type FaultServer, json, startFaultServer } from "../../test/gen/fault-server.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { KubeClient, type KubeClientOptions } from "./client.ts";
import type { KubeConnection } from "./connection.ts";
import { isGone, KubeError } from "./kube-error.ts";
import { noMetrics } from "./metrics.ts";
import type { Resource } from "./objects.ts";

const things: Resource = { group: "example.org", version: "v1", plural: "things", kind: "Thing" };
const one = { namespace: "ns", name: "one" };
const silent = { debug() {}, info() {}, warn() {}, error() {} };

interface Setup {
  readonly server: FaultServer;
  readonly client: KubeClient;
  /** Delays before retries, which take no time here. */
  readonly slept: number[];
}

async function setup(
  answer: Answer,
  connection: Partial<KubeConnection> = {},
  options: Partial<KubeClientOptions> = {},
): Promise<Setup> {
  const server = await startFaultServer(answer);
  const slept: number[] = [];
  const clock: Clock = {
    ...systemClock,
    sleep: (ms) => {
      slept.push(ms);
      return Promise.resolve();
    },
  };
  const client = new KubeClient({
    connection: { server: server.url, ...connection },
    logger: silent,
    clock,
    userAgent: "test",
    ...options,
  });
  onTestFinished(async () => {
    await client.close();
    await server[Symbol.asyncDispose]();
  });
  return { server, client, slept };
}

/** An answer that fails the first `times` times. */
function failing(times: number, fail: Answer): Answer {
  let failed = 0;
  return (asked, response) => {
    failed += 1;
    if (failed <= times) fail(asked, response);
    else json(response, { ok: true });
  };
}

const hangUp: Answer = (_, response) => response.destroy();

describe("requests", () => {
  test("go to the path of the resource, below the server's own, with identity and user agent", async () => {
    const { server, client } = await setup((_, response) => json(response, {}), { token: "t" });
    const below = new KubeClient({
      connection: { server: `${server.url}/clusters/c1/`, token: "t" },
      logger: silent,
      clock: systemClock,
      userAgent: "test/1",
    });
    await client.get(things, one);
    await below.patch(things, { ...one, subresource: "status" }, { type: "merge", body: { a: 1 } });
    await client.create({ group: "", version: "v1", plural: "events", kind: "Event" }, { namespace: "a/b" }, { x: 1 });
    await below.close();
    expect(server.asked).toMatchObject([
      { method: "GET", path: "/apis/example.org/v1/namespaces/ns/things/one", headers: { authorization: "Bearer t" } },
      {
        method: "PATCH",
        path: "/clusters/c1/apis/example.org/v1/namespaces/ns/things/one/status",
        headers: { "content-type": "application/merge-patch+json", "user-agent": "test/1" },
        body: '{"a":1}',
      },
      { method: "POST", path: "/api/v1/namespaces/a%2Fb/events", headers: { "content-type": "application/json" } },
    ]);
  });

  test("share connections: no more of them than there are calls at the same time", async () => {
    const { server, client } = await setup((_, response) => json(response, {}));
    for (let i = 0; i < 50; i += 1) await client.get(things, one);
    // An answer may be complete a moment before its connection is free again: then there is a second one.
    expect(server.connections()).toBeLessThanOrEqual(2);
    await Promise.all(Array.from({ length: 8 }, () => client.get(things, one)));
    expect(server.connections()).toBeLessThanOrEqual(9);
  });

  test("a failure is the error that its Status describes", async () => {
    const { client } = await setup((_, response) => failure(response, 404, "NotFound"));
    await expect(client.get(things, one)).rejects.toMatchObject({
      status: 404,
      reason: "NotFound",
      code: "KubernetesError",
      message: "GET /apis/example.org/v1/namespaces/ns/things/one: no (NotFound)",
    });
  });

  test("a failure without a Status goes by its HTTP status", async () => {
    const { client } = await setup((_, response) => response.writeHead(403).end("<html>proxy</html>"));
    await expect(client.get(things, one)).rejects.toMatchObject({ status: 403, reason: "Forbidden" });
  });

  test.each([
    ["a page of a proxy", "<html>hunter2</html>"],
    ["an empty object", "{}"],
    ["null", "null"],
    ["a single object", '{"kind":"Thing","metadata":{"resourceVersion":"1"}}'],
    ["a list without items", '{"kind":"ThingList","metadata":{"resourceVersion":"1"}}'],
    ["a list without version", '{"kind":"ThingList","metadata":{},"items":[]}'],
  ])("%s never reads as an empty list", async (_, body) => {
    const { client } = await setup((__, response) => response.end(body));
    const error: unknown = await client.list(things).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ reason: "InvalidResponse" });
    expect(String(error)).not.toContain("hunter2");
  });

  test("an answer that does not come is an error after the time-out, and is not asked for again", async () => {
    const { server, client } = await setup(() => {});
    await expect(client.get(things, one, { timeoutMs: 30 })).rejects.toMatchObject({ status: 0, reason: "Timeout" });
    expect(server.asked).toHaveLength(1);
  });

  test("a body that stops half-way is an error after the time-out", async () => {
    const { client } = await setup((_, response) => response.writeHead(200).write('{"half":'));
    await expect(client.get(things, one, { timeoutMs: 50 })).rejects.toMatchObject({ reason: "Timeout" });
  });

  test("an aborted call rejects with the signal's reason", async () => {
    const abort = new AbortController();
    const { client } = await setup(() => abort.abort(new Error("enough")));
    await expect(client.get(things, one, { signal: abort.signal })).rejects.toThrow("enough");
  });
});

describe("retries", () => {
  test("429 waits at least as long as the server asks, for mutations too", async () => {
    const throttle: Answer = (_, response) => failure(response, 429, "TooManyRequests", { "retry-after": "3" });
    const { client, slept } = await setup(failing(2, throttle));
    await expect(client.create(things, one, {})).resolves.toEqual({ ok: true });
    expect(slept).toHaveLength(2);
    expect(Math.min(...slept)).toBeGreaterThanOrEqual(3_000);
  });

  test("a server that asks for more than half a minute gets its error passed on", async () => {
    const { client, slept } = await setup((_, response) =>
      failure(response, 503, "ServiceUnavailable", { "retry-after": "31" }),
    );
    await expect(client.get(things, one)).rejects.toMatchObject({ status: 503, retryAfterMs: 31_000 });
    expect(slept).toEqual([]);
  });

  test("503 without Retry-After: a read is repeated, a write is not", async () => {
    const { client } = await setup(failing(1, (_, response) => failure(response, 503, "ServiceUnavailable")));
    await expect(client.get(things, one)).resolves.toEqual({ ok: true });
    const { client: other } = await setup(failing(1, (_, response) => failure(response, 503, "ServiceUnavailable")));
    await expect(other.create(things, one, {})).rejects.toMatchObject({ status: 503 });
  });

  test("a broken connection: a read is repeated, a write that may have arrived is not", async () => {
    const { client } = await setup(failing(2, hangUp));
    await expect(client.get(things, one)).resolves.toEqual({ ok: true });
    const { server, client: other } = await setup(failing(2, hangUp));
    await expect(other.create(things, one, {})).rejects.toMatchObject({ reason: "ConnectionFailed" });
    expect(server.asked).toHaveLength(1);
  });

  test("are bounded, and the last error says what to look at", async () => {
    const { server, client, slept } = await setup(() => {});
    await server[Symbol.asyncDispose]();
    const error: unknown = await client.create(things, one, {}).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(KubeError);
    expect(String(error)).toMatch(/ECONNREFUSED.*is it up/);
    expect(slept).toHaveLength(4);
  });
});

describe("the client's own limit", () => {
  const rateLimit = { perSecond: 10, burst: 1 };
  const answered: Answer = (_, response) => json(response, {});

  test("a wait for a turn is measured, and is no part of the time-out of an attempt", async () => {
    const held: [string, number][] = [];
    const metrics = { ...noMetrics, requestHeldBack: (...call: [string, number]) => void held.push(call) };
    const { client } = await setup(answered, {}, { rateLimit, metrics, clock: systemClock });
    const calls = [1, 2, 3, 4].map(() => client.get(things, one, { timeoutMs: 250 }));
    await expect(Promise.all(calls)).resolves.toHaveLength(4);
    expect(held.map(([method]) => method)).toEqual(["GET", "GET", "GET", "GET"]);
    const seconds = held.map(([, each]) => each).toSorted((a, b) => a - b);
    expect(seconds[0]).toBe(0);
    // Longer than the time-out; how much longer depends on when the call was made.
    expect(seconds[3]).toBeGreaterThan(0.25);
  });

  test("an aborted call waits no longer, and sends nothing", async () => {
    const { server, client } = await setup(
      answered,
      {},
      { rateLimit: { perSecond: 0.001, burst: 1 }, clock: systemClock },
    );
    await client.get(things, one);
    const abort = new AbortController();
    const waiting = client.get(things, one, { signal: abort.signal });
    abort.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    expect(server.asked).toHaveLength(1);
  });

  test("the guard is asked after the wait", async () => {
    let leading = true;
    const beforeMutation = () => {
      if (!leading) throw new Error("not the leader");
    };
    const { server, client } = await setup(answered, {}, { rateLimit, beforeMutation, clock: systemClock });
    await client.create(things, one, {});
    const waiting = client.create(things, one, {});
    leading = false;
    await expect(waiting).rejects.toThrow("not the leader");
    expect(server.asked).toHaveLength(1);
  });

  test("retries and watches take turns like every other call", async () => {
    let held = 0;
    const metrics = { ...noMetrics, requestHeldBack: () => void (held += 1) };
    const options = { rateLimit: { perSecond: 1_000, burst: 10 }, metrics };
    const throttled = failing(1, (_, response) => failure(response, 429, "TooManyRequests", { "retry-after": "0" }));
    const { client } = await setup(throttled, {}, options);
    await client.get(things, one);
    expect(held).toBe(2);
    // An answer without a whole line is a watch that ended.
    await expect(client.watch(things, { resourceVersion: "1" }).next()).resolves.toMatchObject({ done: true });
    expect(held).toBe(3);
  });
});

describe("the guard", () => {
  test("is asked before each attempt of a mutation, and never for reads", async () => {
    let asked = 0;
    const beforeMutation = () => {
      asked += 1;
      if (asked > 1) throw new Error("not the leader");
    };
    const throttle: Answer = (_, response) => failure(response, 429, "TooManyRequests", { "retry-after": "0" });
    const { server, client } = await setup(failing(1, throttle), {}, { beforeMutation });
    await expect(client.patch(things, one, { type: "merge", body: {} })).rejects.toThrow("not the leader");
    expect(server.asked).toHaveLength(1);
    await client.get(things, one);
    await client.replace(things, one, {}, { unguarded: true });
    expect(asked).toBe(2);
  });
});

test("the guard is asked when the request is about to be written, not when the call is made", async () => {
  let leading = true;
  const tokenProvider = () => {
    leading = false;
    return Promise.resolve("t");
  };
  const beforeMutation = () => {
    if (!leading) throw new Error("not the leader");
  };
  const { server, client } = await setup((_, response) => json(response, {}), { tokenProvider }, { beforeMutation });
  await expect(client.create(things, one, {})).rejects.toThrow("not the leader");
  expect(server.asked).toHaveLength(0);
  leading = true;
  await expect(client.get(things, one)).resolves.toEqual({});
});

describe("credentials", () => {
  test("a token file is read again after a 401", async () => {
    const directory = await mkdtemp(join(tmpdir(), "runtime-"));
    onTestFinished(() => rm(directory, { recursive: true }));
    const tokenFile = join(directory, "token");
    await writeFile(tokenFile, "old\n");
    const { server, client } = await setup(
      ({ headers }, response) =>
        headers.authorization === "Bearer new" ? json(response, {}) : failure(response, 401, "Unauthorized"),
      { tokenFile },
    );
    await expect(client.get(things, one)).rejects.toMatchObject({ status: 401 });
    expect(server.asked).toHaveLength(2);
    await writeFile(tokenFile, "new\n");
    await client.create(things, one, {});
    expect(server.asked.at(-1)?.headers.authorization).toBe("Bearer new");
  });

  test("a token file that cannot be read names the file", async () => {
    const { client } = await setup((_, response) => json(response, {}), { tokenFile: "/nowhere/token" });
    await expect(client.get(things, one)).rejects.toMatchObject({ reason: "CredentialsUnavailable" });
    await expect(client.get(things, one)).rejects.toThrow("/nowhere/token");
  });
});

describe("watch", () => {
  const line = (version: string) =>
    `${JSON.stringify({ type: "ADDED", object: { metadata: { name: "ü", resourceVersion: version } } })}\n`;
  const from = { resourceVersion: "1" };

  test("gives events as they come and ends when the server ends it", async () => {
    const { server, client } = await setup((_, response) => response.end(line("2") + line("3")));
    const seen: string[] = [];
    const onOpen = vi.fn<() => void>();
    for await (const { object } of client.watch<{ metadata: { resourceVersion: string } }>(things, {
      ...from,
      onOpen,
    })) {
      seen.push(object.metadata.resourceVersion);
    }
    expect(seen).toEqual(["2", "3"]);
    expect(onOpen).toHaveBeenCalledOnce();
    expect(Object.fromEntries(server.asked[0]?.query ?? [])).toEqual({
      watch: "true",
      allowWatchBookmarks: "true",
      resourceVersion: "1",
    });
  });

  test("that breaks gives what came before, then the error", async () => {
    const { client } = await setup((_, response) => {
      response.write(`${line("2")}{"type":"ADD`);
      setImmediate(() => response.destroy());
    });
    const events = client.watch(things, from);
    expect(await events.next()).toMatchObject({ value: { type: "ADDED" } });
    await expect(events.next()).rejects.toMatchObject({ reason: "ConnectionFailed" });
  });

  test("an expired version looks the same as HTTP status and inside the stream", async () => {
    const { server, client } = await setup((_, response) => failure(response, 410, "Expired"));
    await expect(client.watch(things, from).next()).rejects.toSatisfy(isGone);
    server.answer = (_, response) =>
      response.end('{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n');
    await expect(client.watch(things, from).next()).rejects.toSatisfy(isGone);
  });

  test("outlives the time-out of a call, and is closed when nobody reads on or the signal aborts", async () => {
    let open = 0;
    const { client } = await setup((_, response) => {
      open += 1;
      response.on("close", () => {
        open -= 1;
      });
      response.write(line("2"));
      setTimeout(() => response.write(line("3")), 80);
    });
    for await (const { object } of client.watch<{ metadata: { resourceVersion: string } }>(things, {
      ...from,
      timeoutMs: 30,
    })) {
      if (object.metadata.resourceVersion === "3") break;
    }
    await vi.waitFor(() => expect(open).toBe(0));
    const abort = new AbortController();
    const events = client.watch(things, { ...from, signal: abort.signal });
    await events.next();
    const next = events.next();
    abort.abort(new Error("enough"));
    await expect(next).rejects.toThrow("enough");
    await vi.waitFor(() => expect(open).toBe(0));
  });
});
