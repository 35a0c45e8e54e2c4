// Events for `kubectl describe`: a courtesy, so they never hold up, fail or flood anything. They are written in the
// background through a bounded queue, the same event of the same object within ten minutes is one Event with a count
// (as client-go does it), and what cannot be written is counted and logged once per cause.
import { createHash, randomBytes } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { KubeClient } from "./client.ts";
import { isNotFound, KubeError } from "./kube-error.ts";
import { noMetrics, type RuntimeMetrics } from "./metrics.ts";
import type { KubeObject, Resource } from "./objects.ts";
import { WorkQueue } from "./workqueue.ts";

export type EventType = "Normal" | "Warning";

/** What an event is about. The resource gives apiVersion and kind, which listed objects may lack. */
export interface EventSubject {
  readonly resource: Resource;
  readonly object: KubeObject;
}

export interface EventRecorderOptions {
  readonly client: Pick<KubeClient, "create" | "patch">;
  /** `source.component` and `reportingComponent`. */
  readonly component: string;
  /** `reportingInstance`: the pod's name. */
  readonly instance: string;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly metrics?: RuntimeMetrics;
  /** Events that may wait to be written; 10,000. */
  readonly capacity?: number;
}

/** One Event object on the server, or about to be. */
interface Series {
  readonly subject: EventSubject;
  readonly type: EventType;
  readonly reason: string;
  readonly message: string;
  readonly firstTimestamp: string;
  lastTimestamp: string;
  /** Monotonic, ms: when it was recorded last. */
  seenAt: number;
  count: number;
  /** Name of the Event on the server. */
  name: string | undefined;
}

const eventsResource: Resource = { group: "", version: "v1", plural: "events", kind: "Event" };
const aggregationMs = 600_000;
const writers = 8;
const retries = 5;
/** The API server's limit for `message`. */
const longestMessage = 1024;

export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #metrics: RuntimeMetrics;
  readonly #queue: WorkQueue;
  readonly #series: LRUCache<string, Series>;
  readonly #capacity: number;
  readonly #reported = new Set<string>();
  #writing: Promise<unknown> | undefined;
  #idle: (() => void) | undefined;
  #stopped = false;

  constructor(options: EventRecorderOptions) {
    const { clock, capacity = 10_000 } = options;
    this.#options = options;
    this.#metrics = options.metrics ?? noMetrics;
    this.#capacity = capacity;
    this.#queue = new WorkQueue({ name: "events", clock, backoff: { baseMs: 1_000, maxMs: 10_000 } });
    // Larger than the queue, so that what waits in it is never the least recently used.
    this.#series = new LRUCache({ max: capacity + writers + 1 });
  }

  /** Starts writing; what was recorded before is written then. */
  start(): void {
    this.#writing ??= Promise.all(Array.from({ length: writers }, () => this.#write()));
  }

  /** Records an event and returns at once. Never throws. Longer messages are cut at 1024 bytes. */
  event(subject: EventSubject, type: EventType, reason: string, message: string): void {
    const capped = capBytes(message, longestMessage);
    const { uid, name, namespace } = subject.object.metadata;
    const identity = JSON.stringify([uid, namespace, name, type, reason, capped]);
    const key = createHash("sha256").update(identity).digest("base64");
    const { clock } = this.#options;
    const now = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
    const seenAt = clock.monotonic();
    const series = this.#series.get(key);
    if (this.#stopped || this.#waiting >= this.#capacity) {
      this.#dropped(this.#stopped ? "Stopped" : "QueueFull", undefined);
      return;
    }
    if (series === undefined || seenAt - series.seenAt > aggregationMs) {
      const fresh = { subject: slim(subject), type, reason, message: capped, firstTimestamp: now, lastTimestamp: now };
      this.#series.set(key, { ...fresh, seenAt, count: 1, name: undefined });
    } else {
      series.count += 1;
      series.lastTimestamp = now;
      series.seenAt = seenAt;
    }
    this.#queue.add(key);
  }

  /** Writes what waits, for `timeoutMs` at most, and ends. */
  async stop(timeoutMs: number): Promise<void> {
    const { clock } = this.#options;
    if (this.#writing !== undefined && !this.#queue.idle) {
      const written = Promise.withResolvers<void>();
      const timer = clock.after(timeoutMs, written.resolve);
      this.#idle = written.resolve;
      await written.promise;
      timer.cancel();
    }
    for (let left = this.#waiting; left > 0; left -= 1) this.#dropped("Stopped", undefined);
    this.#queue.shutDown();
    this.#stopped = true;
  }

  /** Events to be written, those that wait for another attempt as well. */
  get #waiting(): number {
    return this.#queue.length + this.#queue.state().delayed;
  }

  async #write(): Promise<void> {
    for (let key = await this.#queue.get(); key !== undefined; key = await this.#queue.get()) {
      const series = this.#series.get(key);
      if (series !== undefined) await this.#writeSeries(key, series);
      this.#queue.done(key);
      if (this.#queue.idle) this.#idle?.();
    }
  }

  async #writeSeries(key: string, series: Series): Promise<void> {
    try {
      await this.#send(series);
      this.#queue.forget(key);
    } catch (error) {
      const answered = error instanceof KubeError && error.status > 0 && error.status < 500;
      const mayRetry = !this.#stopped && this.#queue.numRequeues(key) < retries;
      if (error instanceof KubeError && !answered && mayRetry) {
        this.#queue.addRateLimited(key);
        return;
      }
      this.#queue.forget(key);
      this.#series.delete(key);
      this.#dropped(error instanceof KubeError ? error.reason : "NotAllowed", error);
    }
  }

  async #send(series: Series): Promise<void> {
    const { client } = this.#options;
    const namespace = series.subject.object.metadata.namespace ?? "default";
    const { name, count, lastTimestamp } = series;
    if (name !== undefined) {
      try {
        const body = { count, lastTimestamp };
        await client.patch(eventsResource, { namespace, name }, { type: "merge", body });
        return;
      } catch (error) {
        // The API server forgets events after an hour, so it may be gone: then it starts anew.
        if (!isNotFound(error)) throw error;
      }
    }
    const body = this.#body(series, namespace);
    await client.create(eventsResource, { namespace }, body);
    series.name = body.metadata.name;
  }

  #body(series: Series, namespace: string) {
    const { component, instance } = this.#options;
    const { resource, object } = series.subject;
    const { type, reason, message, firstTimestamp, lastTimestamp, count } = series;
    return {
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: `${object.metadata.name.slice(0, 230)}.${randomBytes(8).toString("hex")}`, namespace },
      involvedObject: {
        apiVersion: resource.group === "" ? resource.version : `${resource.group}/${resource.version}`,
        kind: resource.kind,
        name: object.metadata.name,
        namespace: object.metadata.namespace,
        uid: object.metadata.uid,
        resourceVersion: object.metadata.resourceVersion,
      },
      type,
      reason,
      message,
      firstTimestamp,
      lastTimestamp,
      count,
      source: { component },
      reportingComponent: component,
      reportingInstance: instance,
    };
  }

  #dropped(reason: string, error: unknown): void {
    this.#metrics.eventDropped(reason);
    if (this.#reported.has(reason)) return;
    this.#reported.add(reason);
    this.#options.logger.warn({ reason, error }, "events cannot be written; this cause is not logged again");
  }
}

/** The subject without its spec, which would stay in memory for as long as the event is aggregated. */
function slim({ resource, object }: EventSubject): EventSubject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const metadata = { name, uid, resourceVersion, creationTimestamp, ...(namespace !== undefined && { namespace }) };
  return { resource, object: { metadata } };
}

/** At most `bytes` bytes of UTF-8, cut between characters, with an ellipsis when something is missing. */
export function capBytes(text: string, bytes: number): string {
  const encoded = Buffer.from(text);
  if (encoded.length <= bytes) return text;
  const ellipsis = "…";
  let end = bytes - Buffer.byteLength(ellipsis);
  // Bytes 10xxxxxx continue a character: step back to where it starts.
  while (end > 0 && ((encoded[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return encoded.subarray(0, end).toString("utf8") + ellipsis;
}
