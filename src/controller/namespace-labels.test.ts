// What becomes of labels that cannot be had. With a real API server: test/integration/policy-labels.test.ts.
import { expect, test } from "vitest";
import { FakeClock } from "../../test/gen/fake-clock.ts";
import { KubeError } from "../runtime/kube-error.ts";
import type { ListPage } from "../runtime/wire.ts";
import { NamespaceLabels } from "./namespace-labels.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };

test.each([
  [401, "Unauthorized"],
  [403, "Forbidden"],
  [500, "InternalError"],
  [0, "Timeout"],
])("%i %s: nobody waits for labels after that, and they are asked for again", async (status, reason) => {
  const clock = new FakeClock();
  const fault = new KubeError("no", { status, reason });
  const namespace = {
    metadata: { name: "ns", uid: "u", resourceVersion: "1", creationTimestamp: "", labels: { a: "b" } },
  };
  let isDown = true;
  const labels = new NamespaceLabels({
    client: {
      list: <T>() =>
        isDown ? Promise.reject(fault) : Promise.resolve({ items: [namespace] } as unknown as ListPage<T>),
      // Nothing happens.
      watch: () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) }) as never,
    },
    logger: silent,
    clock,
  });
  labels.need();
  const stop = new AbortController();
  void labels.run(stop.signal);
  await labels.synced;
  expect(labels.of("ns")).toBeUndefined();
  isDown = false;
  await clock.advance(60_000);
  expect(labels.of("ns")).toEqual({ a: "b" });
  stop.abort();
});
