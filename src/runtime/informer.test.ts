import type { ServerResponse } from "node:http";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { FakeClock } from "../../test/gen/fake-clock.ts";
import { type Answer, failure, type FaultServer, json, startFaultServer } from "../../test/gen/fault-server.ts";
import { KubeClient } from "./client.ts";
import { Informer, type InformerOptions } from "./informer.ts";
import { noMetrics } from "./metrics.ts";
import type { KubeObject, Resource } from "./objects.ts";

interface Thing extends KubeObject {
  readonly spec?: { readonly color?: string };
}

const things: Resource = { group: "example.org", version: "v1", plural: "things", kind: "Thing" };
const silent = { debug() {}, info() {}, warn() {}, error() {} };

function thing(name: string, resourceVersion: string, more: Partial<Thing> & { uid?: string } = {}): Thing {
  const { uid = `uid-${name}`, ...rest } = more;
  const metadata = { name, namespace: "ns", uid, resourceVersion, creationTimestamp: "2026-01-01T00:00:00Z" };
  return { metadata, ...rest };
}

function list(response: ServerResponse, items: readonly Thing[], resourceVersion = "10", token = ""): void {
  json(response, { kind: "ThingList", metadata: { resourceVersion, continue: token }, items });
}

function send(response: ServerResponse | undefined, type: string, object: unknown): void {
  response?.write(`${JSON.stringify({ type, object })}\n`);
}

const bookmark = (resourceVersion: string) => ({ kind: "Thing", metadata: { resourceVersion } });
const expired = { kind: "Status", code: 410, reason: "Expired", message: "too old resource version" };

interface Setup {
  readonly clock: FakeClock;
  readonly server: FaultServer;
  readonly informer: Informer<Thing>;
  readonly seen: string[];
  readonly handlerErrors: () => number;
  /** The watch that is open last. */
  readonly watch: () => ServerResponse | undefined;
  /** Requests that were lists, or watches. */
  readonly asked: (kind: "list" | "watch") => URLSearchParams[];
  /** What the server says to a list, and to a watch (when not left open). */
  readonly say: { list: Answer; watch?: Answer };
}

async function follow(listed: Answer, options: Partial<InformerOptions<Thing>> = {}): Promise<Setup> {
  const clock = new FakeClock();
  let watch: ServerResponse | undefined;
  const say: Setup["say"] = { list: listed };
  const server = await startFaultServer((asked, response) => {
    if (!asked.query.has("watch")) return say.list(asked, response);
    if (say.watch !== undefined) return say.watch(asked, response);
    watch = response;
    response.flushHeaders();
  });
  const client = new KubeClient({ connection: { server: server.url }, logger: silent, clock, userAgent: "test" });
  const seen: string[] = [];
  let errors = 0;
  const informer = new Informer<Thing>({
    client,
    resource: things,
    handlers: {
      onAdd: ({ metadata }) => seen.push(`add ${metadata.name}`),
      onUpdate: (old, { metadata }) =>
        seen.push(`update ${metadata.name} ${old.metadata.resourceVersion}>${metadata.resourceVersion}`),
      onDelete: ({ metadata }) => seen.push(`delete ${metadata.name} ${metadata.uid}`),
    },
    logger: silent,
    clock,
    metrics: { ...noMetrics, handlerFailed: () => void (errors += 1) },
    ...options,
  });
  const abort = new AbortController();
  const running = informer.run(abort.signal);
  onTestFinished(async () => {
    abort.abort(new Error("the test is over"));
    await running;
    await client.close();
    await server[Symbol.asyncDispose]();
  });
  const asked: Setup["asked"] = (kind) =>
    server.asked.filter(({ query }) => query.has("watch") === (kind === "watch")).map(({ query }) => query);
  return { clock, server, informer, seen, handlerErrors: () => errors, watch: () => watch, asked, say };
}

/** Waits until the informer watches, moving its clock on while it waits for a retry. */
async function watching({ informer, clock, watch }: Setup, previous?: ServerResponse): Promise<void> {
  await vi.waitFor(async () => {
    await clock.advance(500);
    expect(informer.healthy() && watch() !== undefined && watch() !== previous).toBe(true);
  });
}

describe("the ordinary way", () => {
  test("pages, then events", async () => {
    const it = await follow(({ query }, response) =>
      query.get("continue") === "more"
        ? list(response, [thing("b", "2")])
        : list(response, [thing("a", "1")], "10", "more"),
    );
    await it.informer.synced;
    expect(it.seen).toEqual(["add a", "add b"]);
    expect(it.asked("list").map((query) => query.get("limit"))).toEqual(["500", "500"]);
    await watching(it);
    send(it.watch(), "ADDED", thing("c", "11"));
    send(it.watch(), "MODIFIED", thing("a", "12", { spec: { color: "red" } }));
    send(it.watch(), "DELETED", thing("b", "13"));
    await vi.waitFor(() => expect(it.seen).toHaveLength(5));
    expect(it.seen.slice(2)).toEqual(["add c", "update a 1>12", "delete b uid-b"]);
    expect(it.informer.store.keys()).toEqual(["ns/a", "ns/c"]);
    const query = it.asked("watch")[0];
    expect(query?.get("resourceVersion")).toBe("10");
    expect(query?.get("allowWatchBookmarks")).toBe("true");
    const timeoutSeconds = Number(query?.get("timeoutSeconds"));
    expect(timeoutSeconds).toBeGreaterThanOrEqual(300);
    expect(timeoutSeconds).toBeLessThanOrEqual(600);
  });

  test("how many objects there are is told once they are listed, also when there are none, and with each change", async () => {
    const sizes: number[] = [];
    const metrics = { ...noMetrics, storeSize: (_: string, count: number) => void sizes.push(count) };
    const it = await follow((_, response) => list(response, []), { metrics });
    await it.informer.synced;
    expect(sizes).toEqual([0]);
    await watching(it);
    send(it.watch(), "ADDED", thing("c", "11"));
    send(it.watch(), "DELETED", thing("c", "12"));
    await vi.waitFor(() => expect(sizes).toEqual([0, 1, 0]));
  });

  test("managedFields and last-applied are dropped", async () => {
    const raw = thing("a", "1");
    Object.assign(raw.metadata, {
      managedFields: [{}],
      annotations: { "kubectl.kubernetes.io/last-applied-configuration": "{}", keep: "this" },
    });
    const it = await follow((_, response) => list(response, [raw]));
    await it.informer.synced;
    expect(it.informer.store.get("ns/a")?.metadata).toEqual({
      ...thing("a", "1").metadata,
      annotations: { keep: "this" },
    });
  });

  test("a watch that the server ends after its time is reopened where it ended, at once", async () => {
    const it = await follow((_, response) => list(response, []));
    await watching(it);
    const first = it.watch();
    send(first, "BOOKMARK", bookmark("50"));
    await it.clock.advance(60_000);
    await vi.waitFor(() => expect(it.informer.healthy()).toBe(true));
    first?.end();
    await vi.waitFor(() => expect(it.asked("watch").at(-1)?.get("resourceVersion")).toBe("50"));
    expect(it.asked("list")).toHaveLength(1);
  });

  test("several namespaces have a watch each and one store", async () => {
    const namespaces = ["one", "two", "one"];
    const it = await follow(
      ({ path }, response) => {
        const namespace = path.split("/")[5] ?? "";
        const { metadata } = thing("a", "1");
        list(response, [{ metadata: { ...metadata, namespace, uid: namespace } }]);
      },
      { namespaces },
    );
    await it.informer.synced;
    expect(it.informer.store.keys().toSorted()).toEqual(["one/a", "two/a"]);
    await vi.waitFor(() => expect(it.asked("watch")).toHaveLength(2));
  });

  test("indexes follow the objects", async () => {
    const it = await follow((_, response) => list(response, [thing("a", "1", { spec: { color: "red" } })]), {
      indexers: { color: ({ spec }) => (spec?.color === undefined ? [] : [spec.color]) },
    });
    await watching(it);
    const names = (color: string) => it.informer.store.byIndex("color", color).map(({ metadata }) => metadata.name);
    expect(names("red")).toEqual(["a"]);
    send(it.watch(), "MODIFIED", thing("a", "11", { spec: { color: "blue" } }));
    await vi.waitFor(() => expect(names("blue")).toEqual(["a"]));
    expect(names("red")).toEqual([]);
    expect(() => it.informer.store.byIndex("size", "1")).toThrow(RangeError);
  });
});

describe("versions that are too old", () => {
  test.each([
    [
      "inside the stream",
      (response: ServerResponse) => response.end(`${JSON.stringify({ type: "ERROR", object: expired })}\n`),
    ],
    ["as HTTP status", (response: ServerResponse) => failure(response, 410, "Expired")],
  ])("%s: listed again; what was deleted or made anew meanwhile is noticed", async (_, expire) => {
    const it = await follow((__, response) => list(response, [thing("a", "1"), thing("b", "2"), thing("c", "3")]));
    await watching(it);
    it.say.list = (__, response) => list(response, [thing("a", "1"), thing("c", "9", { uid: "another" })], "20");
    const first = it.watch();
    it.say.watch = (__, response) => {
      delete it.say.watch;
      expire(response);
    };
    await it.clock.advance(60_000);
    first?.end();
    await watching(it, first);
    expect(it.seen.slice(3)).toEqual(["delete c uid-c", "add c", "delete b uid-b"]);
    expect(it.asked("watch").at(-1)?.get("resourceVersion")).toBe("20");
  });

  test("a continue token that expires: the next list comes in one piece", async () => {
    const it = await follow(({ query }, response) => {
      if (query.has("continue")) failure(response, 410, "Expired");
      else list(response, [thing("a", "1")], "10", query.has("limit") ? "more" : "");
    });
    await watching(it);
    expect(it.asked("list").map((query) => query.get("limit"))).toEqual(["500", "500", null]);
    expect(it.informer.store.keys()).toEqual(["ns/a"]);
  });
});

describe("faults", () => {
  test.each([
    ["an error", (response: ServerResponse) => failure(response, 500, "InternalError")],
    ["a forbidden", (response: ServerResponse) => failure(response, 403, "Forbidden")],
    ["a proxy's page", (response: ServerResponse) => response.end("<html>")],
    ["an object that is no list", (response: ServerResponse) => json(response, {})],
    ["a broken connection", (response: ServerResponse) => response.destroy()],
    ["half a list", (response: ServerResponse) => response.end('{"kind":"ThingList","items":[],')],
    ["a first page without the second", (response: ServerResponse) => list(response, [], "20", "more")],
  ])("%s in place of a list deletes nothing, and is not healthy", async (_, answer) => {
    const it = await follow((__, response) => list(response, [thing("a", "1")]));
    await watching(it);
    const lists = it.asked("list").length;
    it.say.list = ({ query }, response) =>
      query.has("continue") ? failure(response, 500, "InternalError") : answer(response);
    send(it.watch(), "ERROR", expired);
    await vi.waitFor(async () => {
      await it.clock.advance(1_000);
      expect(it.asked("list").length).toBeGreaterThan(lists + 2);
    });
    expect(it.informer.healthy()).toBe(false);
    expect(it.informer.problem()).toBeTypeOf("string");
    expect(it.informer.store.keys()).toEqual(["ns/a"]);
    expect(it.seen).toEqual(["add a"]);
    const before = it.watch();
    it.say.list = (__, response) => list(response, [thing("a", "1")], "30");
    await vi.waitFor(async () => {
      await it.clock.advance(30_000);
      expect(it.watch()).not.toBe(before);
      expect(it.informer.healthy()).toBe(true);
    });
    expect(it.seen).toEqual(["add a"]);
  });

  test("a watch that breaks in the middle of an event goes on from the last whole one", async () => {
    const it = await follow((_, response) => list(response, []));
    await watching(it);
    const first = it.watch();
    send(first, "ADDED", thing("a", "11"));
    first?.write('{"type":"ADDED","object":{"metadata":{"name":"b"');
    await vi.waitFor(() => expect(it.seen).toEqual(["add a"]));
    first?.destroy();
    await watching(it, first);
    expect(it.asked("watch").at(-1)?.get("resourceVersion")).toBe("11");
    expect(it.asked("list")).toHaveLength(1);
  });

  test("a watch without a sign of life is torn down, says so, and is opened again", async () => {
    const it = await follow((_, response) => list(response, []), { tuning: { livenessMs: 150_000 } });
    await watching(it);
    const first = it.watch();
    send(first, "BOOKMARK", bookmark("11"));
    await vi.waitFor(async () => {
      await it.clock.advance(20_000);
      expect(it.informer.problem()).toContain("neither event nor bookmark");
    });
    expect(first?.destroyed).toBe(true);
    await watching(it, first);
    expect(it.informer.problem()).toBeUndefined();
  });

  test("bookmarks are signs of life", async () => {
    const it = await follow((_, response) => list(response, []), { tuning: { livenessMs: 150_000 } });
    await watching(it);
    const first = it.watch();
    for (let version = 11; version < 20; version += 1) {
      send(first, "BOOKMARK", bookmark(String(version)));
      send(first, "ADDED", thing(`t${version}`, String(version)));
      await vi.waitFor(() => expect(it.seen.at(-1)).toBe(`add t${version}`));
      await it.clock.advance(100_000);
    }
    expect(it.asked("watch")).toHaveLength(1);
  });

  test.each([
    ["a server that ends every watch at once is asked ever less often", "end", 15_000],
    [
      "a server that gives no answer is asked ever less often, but soon enough to notice when it does",
      "destroy",
      2_500,
    ],
  ] as const)("%s", async (_, what, longest) => {
    const it = await follow((__, response) => list(response, []), { tuning: { random: () => 0 } });
    it.say.watch = (__, response) => void response[what]();
    await it.informer.synced;
    const gaps: number[] = [];
    for (let count = 1; count < 12; count += 1) {
      await vi.waitFor(() => expect(it.asked("watch")).toHaveLength(count));
      await vi.waitFor(() => expect(it.clock.nextTimerMs).toBeDefined());
      const at = it.clock.monotonic();
      // The pause is the only timer once the watch has ended.
      await vi.waitFor(
        async () => {
          await it.clock.advance(100);
          expect(it.asked("watch").length).toBeGreaterThan(count);
        },
        { interval: 1, timeout: 10_000 },
      );
      gaps.push(it.clock.monotonic() - at);
    }
    expect(gaps[0]).toBeLessThan(1_500);
    expect(gaps.at(-1)).toBeGreaterThanOrEqual(longest);
    expect(gaps.at(-1)).toBeLessThan(longest + 1_000);
  });

  test.each([
    ["20", 20_000],
    ["3000000", 30_000],
  ])("a server that asks for %s s of quiet gets it, but no more than half a minute", async (retryAfter, longest) => {
    const headers = { "retry-after": retryAfter };
    const it = await follow((_, response) => failure(response, 429, "TooManyRequests", headers));
    await vi.waitFor(() => expect(it.informer.problem()).toContain("TooManyRequests"));
    await it.clock.advance(longest - 1);
    expect(it.asked("list")).toHaveLength(1);
    await it.clock.advance(1);
    await vi.waitFor(() => expect(it.asked("list")).toHaveLength(2));
  });

  test.each<[string, Answer]>([
    ["answers that never came do", (_, response) => void response.destroy()],
    ["a server that refuses while it starts does", (_, response) => failure(response, 503, "ServiceUnavailable")],
  ])("%s not slow what follows: a list after a 410", async (_, answer) => {
    const it = await follow((__, response) => list(response, []), { tuning: { random: () => 0 } });
    const patience = { interval: 1, timeout: 10_000 };
    it.say.watch = answer;
    await vi.waitFor(async () => {
      await it.clock.advance(2_500);
      expect(it.asked("watch").length).toBeGreaterThan(8);
    }, patience);
    it.say.watch = (__, response) => failure(response, 410, "Expired");
    const watches = it.asked("watch").length;
    await vi.waitFor(async () => {
      await it.clock.advance(500);
      expect(it.asked("watch").length).toBeGreaterThan(watches);
    }, patience);
    delete it.say.watch;
    const at = it.clock.monotonic();
    await watching(it);
    expect(it.asked("list")).toHaveLength(2);
    expect(it.clock.monotonic() - at).toBeLessThan(10_000);
  });

  test("a handler, a transform or an index that throws is counted and stalls nothing", async () => {
    const broken = () => {
      throw new Error("bug");
    };
    const it = await follow((_, response) => list(response, [thing("a", "1"), thing("b", "2")]), {
      handlers: { onAdd: broken },
      transform: broken,
      indexers: { color: broken },
    });
    await it.informer.synced;
    expect(it.informer.store.keys()).toEqual(["ns/a", "ns/b"]);
    expect(it.handlerErrors()).toBe(6);
  });
});
