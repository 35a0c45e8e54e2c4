import fc from "fast-check";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { FakeClock } from "../../test/gen/fake-clock.ts";
import { type Answer, failure, json, startFaultServer } from "../../test/gen/fault-server.ts";
import type { LogFields } from "../base/log.ts";
import { KubeClient } from "./client.ts";
import { capBytes, EventRecorder, type EventSubject } from "./events.ts";
import { noMetrics } from "./metrics.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const metadata = { name: "one", namespace: "ns", uid: "u1", resourceVersion: "5", creationTimestamp: "x" };
const subject: EventSubject = {
  resource: { group: "example.org", version: "v1", plural: "things", kind: "Thing" },
  object: { metadata },
};

async function recorderOf(answer: Answer, capacity = 100) {
  const clock = new FakeClock();
  const server = await startFaultServer(answer);
  const client = new KubeClient({ connection: { server: server.url }, logger: silent, clock, userAgent: "test" });
  const warnings: LogFields[] = [];
  const dropped: string[] = [];
  const recorder = new EventRecorder({
    client,
    component: "test-controller",
    instance: "pod-1",
    logger: { ...silent, warn: (fields) => void warnings.push(fields) },
    clock,
    metrics: { ...noMetrics, eventDropped: (reason) => void dropped.push(reason) },
    capacity,
  });
  onTestFinished(async () => {
    await client.close();
    await server[Symbol.asyncDispose]();
  });
  const bodies = (method: string) =>
    server.asked.filter((asked) => asked.method === method).map(({ body }) => JSON.parse(body));
  return { clock, server, recorder, warnings, dropped, bodies };
}

const accept: Answer = (_, response) => json(response, {});

describe("an event", () => {
  test("has what kubectl and older tools look for", async () => {
    const it = await recorderOf(accept);
    it.recorder.start();
    it.recorder.event(subject, "Normal", "Created", "Wrote it");
    await it.recorder.stop(1_000);
    expect(it.server.asked[0]?.path).toBe("/api/v1/namespaces/ns/events");
    expect(it.bodies("POST")).toMatchObject([
      {
        metadata: { namespace: "ns", name: expect.stringMatching(/^one\.[0-9a-f]{16}$/) },
        involvedObject: { apiVersion: "example.org/v1", kind: "Thing", namespace: "ns", name: "one", uid: "u1" },
        type: "Normal",
        reason: "Created",
        message: "Wrote it",
        count: 1,
        firstTimestamp: "2026-01-01T00:00:00Z",
        lastTimestamp: "2026-01-01T00:00:00Z",
        source: { component: "test-controller" },
        reportingComponent: "test-controller",
        reportingInstance: "pod-1",
      },
    ]);
  });

  test("that repeats within ten minutes is counted, later it is a new one", async () => {
    const it = await recorderOf(accept);
    it.recorder.start();
    for (let time = 0; time < 3; time += 1) {
      it.recorder.event(subject, "Warning", "Failed", "no");
      await vi.waitFor(() => expect(it.server.asked).toHaveLength(time + 1));
      await it.clock.advance(60_000);
    }
    expect(it.bodies("PATCH")).toEqual([
      { count: 2, lastTimestamp: "2026-01-01T00:01:00Z" },
      { count: 3, lastTimestamp: "2026-01-01T00:02:00Z" },
    ]);
    await it.clock.advance(600_000);
    it.recorder.event(subject, "Warning", "Failed", "no");
    it.recorder.event(subject, "Warning", "Failed", "another");
    await it.recorder.stop(1_000);
    expect(it.bodies("POST").map(({ message, count }) => [message, count])).toEqual([
      ["no", 1],
      ["no", 1],
      ["another", 1],
    ]);
  });

  test("whose Event has expired on the server is created anew", async () => {
    const it = await recorderOf(({ method }, response) =>
      method === "PATCH" ? failure(response, 404, "NotFound") : json(response, {}),
    );
    it.recorder.start();
    it.recorder.event(subject, "Normal", "Created", "x");
    await vi.waitFor(() => expect(it.bodies("POST")).toHaveLength(1));
    await vi.waitFor(async () => {
      await it.clock.advance(0);
      it.recorder.event(subject, "Normal", "Created", "x");
      expect(it.bodies("POST").length).toBeGreaterThan(1);
    });
    await it.recorder.stop(1_000);
  });
});

describe("what cannot be written", () => {
  test("is counted each time and logged once per cause", async () => {
    const it = await recorderOf((_, response) => failure(response, 403, "Forbidden"));
    it.recorder.start();
    for (const message of ["a", "b", "c"]) it.recorder.event(subject, "Normal", "Created", message);
    await it.recorder.stop(1_000);
    expect(it.dropped).toEqual(["Forbidden", "Forbidden", "Forbidden"]);
    expect(it.warnings).toMatchObject([{ reason: "Forbidden" }]);
  });

  test("because the server has a bad moment is tried again", async () => {
    let count = 0;
    const it = await recorderOf((_, response) => {
      count += 1;
      if (count < 3) response.destroy();
      else json(response, {});
    });
    it.recorder.start();
    it.recorder.event(subject, "Normal", "Created", "x");
    await vi.waitFor(async () => {
      await it.clock.advance(1_000);
      expect(count).toBe(3);
    });
    await it.recorder.stop(1_000);
    expect(it.dropped).toEqual([]);
  });

  test("because too many wait is dropped", async () => {
    const it = await recorderOf(accept, 2);
    for (const message of ["a", "b", "c"]) it.recorder.event(subject, "Normal", "Created", message);
    expect(it.dropped).toEqual(["QueueFull"]);
    it.recorder.start();
    await it.recorder.stop(1_000);
    expect(it.bodies("POST").map(({ message }) => message)).toEqual(["a", "b"]);
  });

  test("because too many wait for another attempt is dropped", async () => {
    const it = await recorderOf((_, response) => void response.destroy(), 2);
    it.recorder.start();
    for (const message of ["a", "b"]) it.recorder.event(subject, "Normal", "Created", message);
    await vi.waitFor(() => expect(it.server.asked).toHaveLength(2));
    // That of the waiting keys, none of an attempt any more.
    await vi.waitFor(() => expect(it.clock.timers).toBe(1));
    it.recorder.event(subject, "Normal", "Created", "c");
    expect(it.dropped).toEqual(["QueueFull"]);
    await it.recorder.stop(1_000);
  });

  test("in the time that a stop has is dropped", async () => {
    const it = await recorderOf(() => {});
    it.recorder.start();
    for (let i = 0; i < 10; i += 1) it.recorder.event(subject, "Normal", "Created", String(i));
    await vi.waitFor(() => expect(it.server.asked).toHaveLength(8));
    const stopped = it.recorder.stop(3_000);
    await it.clock.advance(3_000);
    await stopped;
    expect(it.dropped).toEqual(["Stopped", "Stopped"]);
  });

  test("because it failed, or came, after the stop is dropped, and counted", async () => {
    let hangUp = () => {};
    const it = await recorderOf((_, response) => {
      hangUp = () => response.destroy();
    });
    it.recorder.start();
    it.recorder.event(subject, "Normal", "Created", "x");
    await vi.waitFor(() => expect(it.server.asked).toHaveLength(1));
    await Promise.all([it.recorder.stop(1_000), it.clock.advance(1_000)]);
    expect(it.dropped).toEqual([]);
    hangUp();
    await vi.waitFor(() => expect(it.dropped).toEqual(["ConnectionFailed"]));
    it.recorder.event(subject, "Normal", "Created", "y");
    expect(it.dropped).toEqual(["ConnectionFailed", "Stopped"]);
  });

  test("because it still waited for another attempt at a stop is dropped, and counted", async () => {
    const it = await recorderOf((_, response) => void response.destroy());
    it.recorder.start();
    it.recorder.event(subject, "Normal", "Created", "x");
    await vi.waitFor(() => expect(it.server.asked).toHaveLength(1));
    await vi.waitFor(() => expect(it.clock.timers).toBeGreaterThan(0));
    await it.recorder.stop(1_000);
    expect(it.dropped).toEqual(["Stopped"]);
  });
});

test("messages are cut at 1024 bytes, between characters", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 700 }), fc.integer({ min: 3, max: 1024 }), (text, bytes) => {
      const capped = capBytes(text, bytes);
      expect(Buffer.byteLength(capped)).toBeLessThanOrEqual(bytes);
      // Of a character that was cut the rest would not be what the text has there.
      expect(text.startsWith(capped.replace(/…$/, ""))).toBe(true);
      if (Buffer.byteLength(text) <= bytes) expect(capped).toBe(text);
    }),
  );
});
