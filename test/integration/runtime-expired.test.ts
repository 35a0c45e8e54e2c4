// What is too old for the API server, made so by real compactions of its etcd: a continue token in the middle of a paged
// list (410 as HTTP status), and the resourceVersion of a watch (410 inside the stream; this API server never answers a
// watch with the status, informer.test.ts does). A stack of our own, because a compaction is everybody's.
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import type { KubeClient } from "../../src/runtime/client.ts";
import { Informer } from "../../src/runtime/informer.ts";
import { noMetrics } from "../../src/runtime/metrics.ts";
import { type Private, privateStack } from "../env/private.ts";
import type { Stack } from "../env/stack.ts";
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

let stack: Private<Stack>;
let client: KubeClient;
let namespace: string;

beforeAll(async () => {
  stack = await privateStack();
  client = adminClient({ connection: adminConnection(stack.info.kubernetes) });
  await ensureWidgets(client);
  namespace = await newNamespace(client);
  for (const name of ["a", "b", "c"]) await client.create(widgets, { namespace }, widget(name));
});
afterAll(async () => {
  await client.close();
  await stack[Symbol.asyncDispose]();
});

/** The API server forgets all but the present; its cache would remember, so it is started anew. */
async function forget(): Promise<void> {
  const { kubernetes } = stack;
  // The newest revision outlives a compaction: what is to be forgotten must not be the newest.
  await newNamespace(client);
  await kubernetes.stop();
  await kubernetes.etcd.compact();
  await kubernetes.start();
}

/** Reasons for which lists and watches failed. */
interface Followed {
  readonly informer: Informer<Widget>;
  readonly failures: readonly string[];
}

function follow(own: Pick<KubeClient, "list" | "watch">): Followed {
  const failures: string[] = [];
  const informer = new Informer<Widget>({
    client: own,
    resource: widgets,
    namespaces: [namespace],
    tuning: { pageSize: 2, backoff: { baseMs: 50, maxMs: 500 } },
    logger: silent,
    clock: systemClock,
    metrics: { ...noMetrics, informerFailed: (_, reason) => failures.push(reason) },
  });
  const abort = new AbortController();
  const running = informer.run(abort.signal);
  onTestFinished(async () => {
    abort.abort(new Error("the test is over"));
    await running;
  });
  return { informer, failures };
}

test("a continue token expires: the list is taken anew, in one piece", async () => {
  const asked: (string | number | undefined)[] = [];
  let hasForgotten = false;
  const { informer, failures } = follow({
    async list<T>(...[resource, options = {}]: Parameters<KubeClient["list"]>) {
      asked.push(options.continue === undefined ? options.limit : "next page");
      const page = await client.list<T>(resource, options);
      if (!hasForgotten) await forget();
      hasForgotten = true;
      return page;
    },
    watch: (resource, options) => client.watch(resource, options),
  });
  await informer.synced;
  // Until the API server is all there again, the next page may fail for other reasons.
  expect(failures.at(-1)).toBe("Expired");
  expect(asked.at(0)).toBe(2);
  expect(asked.slice(1, -1)).toEqual(asked.slice(1, -1).map(() => "next page"));
  expect(asked.at(-1)).toBeUndefined();
  expect(informer.store.keys().toSorted()).toEqual(["a", "b", "c"].map((name) => `${namespace}/${name}`));
});

test("a watch's resourceVersion is compacted away: listed anew, and what happened meanwhile is seen", async () => {
  const { informer, failures } = follow(client);
  await informer.synced;
  await vi.waitFor(() => expect(informer.healthy()).toBe(true));
  // Other namespaces move the collection on, but not this watch.
  const other = await newNamespace(client);
  for (const name of ["x", "y", "z"]) await client.create(widgets, { namespace: other }, widget(name));
  await forget();
  await client.delete(widgets, { namespace, name: "a" });
  await client.create(widgets, { namespace }, widget("d"));
  await vi.waitFor(
    () => {
      expect(informer.store.keys().toSorted()).toEqual(["b", "c", "d"].map((name) => `${namespace}/${name}`));
      expect(informer.healthy()).toBe(true);
    },
    { timeout: 30_000 },
  );
  expect(failures).toContain("Expired");
});
