// Follows one collection (a resource in one namespace or in all) as an explicit state machine: empty → listing, page by
// page → watching → … Each step names the next state and so does each failure, so there is no state to fall out of and
// no way to stop but the signal. Restarts wait with a backoff that only a healthy watch resets.
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { type Backoff, backoffDelay } from "../base/retry.ts";
import type { KubeClient } from "./client.ts";
import { isGone, KubeError } from "./kube-error.ts";
import { noMetrics, type RuntimeMetrics } from "./metrics.ts";
import type { KubeObject, Resource } from "./objects.ts";
import { transportError } from "./request-retry.ts";

/** What a reflector tells of its collection. None of these may throw. */
export interface ReflectorSink<T> {
  /** The object exists, as given: listed, added or modified. Returns its key. */
  present(object: T): string;
  /** The object is gone; this is its last state. */
  gone(object: T): void;
  /** A list was complete: whatever is in `namespace` (undefined: anywhere) and not in `keys` is gone. */
  listed(keys: ReadonlySet<string>, namespace: string | undefined): void;
}

/** Where a reflector stands. */
export type ReflectorState =
  /** Nothing is known, or what was known is too old: list from the start. */
  | { readonly name: "empty"; readonly paged: boolean }
  /** In the middle of a paged list. */
  | { readonly name: "listing"; readonly continue: string; readonly seen: Set<string> }
  /** Watching from this resourceVersion on. */
  | { readonly name: "watching"; readonly resourceVersion: string };

/** A reflector at one moment. */
export interface ReflectorSummary {
  readonly namespace?: string;
  readonly state: ReflectorState["name"];
  /** Since the last event or bookmark of a watch. */
  readonly lastEventSeconds?: number;
  readonly problem?: string;
}

export interface ReflectorOptions<T> {
  readonly client: Pick<KubeClient, "list" | "watch">;
  readonly resource: Resource;
  /** Absent: all namespaces. */
  readonly namespace?: string | undefined;
  readonly sink: ReflectorSink<T>;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly metrics?: RuntimeMetrics;
  /** Objects per page of a list; 500. */
  readonly pageSize?: number;
  /** The server ends each watch after this and up to twice this, s; 300. */
  readonly watchTimeoutSeconds?: number;
  /** A watch with neither event nor bookmark for so long is torn down, ms; 100,000 (bookmarks come every minute). */
  readonly livenessMs?: number;
  /** Between restarts, ms; 500 to 30,000. Attempts that got no answer wait 5,000 at most: they cost the server nothing. */
  readonly backoff?: Backoff;
  /** A watch that lived so long resets the backoff, ms; 30,000. */
  readonly healthyAfterMs?: number;
  readonly random?: () => number;
}

/**
 * Why a list or watch is started again. Each slows only its own kind: a server that starts refuses for a while, and what
 * is then too old can be listed at once.
 */
type Cause = "unanswered" | "expired" | "other";

const none: Readonly<Record<Cause, number>> = { unanswered: 0, expired: 0, other: 0 };

/** Longest wait after an attempt that got no answer, ms: so soon an API server that is back is noticed. */
const unansweredMaxMs = 5_000;

const defaults = {
  pageSize: 500,
  watchTimeoutSeconds: 300,
  livenessMs: 100_000,
  backoff: { baseMs: 500, maxMs: 30_000 },
  healthyAfterMs: 30_000,
  random: Math.random,
  metrics: noMetrics,
};

export class Reflector<T extends KubeObject> {
  readonly #options: ReflectorOptions<T> & typeof defaults;
  readonly #synced = Promise.withResolvers<void>();
  #state: ReflectorState = { name: "empty", paged: true };
  #hasSynced = false;
  /** Since the last healthy watch. */
  #restarts: Record<Cause, number> = { ...none };
  #fault: KubeError | undefined;
  /** Monotonic: the last event or bookmark. */
  #heardAt: number | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#options = { ...defaults, ...options };
  }

  /** Resolves when the first list is complete. */
  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  get state(): ReflectorState {
    return this.#state;
  }

  /** Where it stands, for people. */
  summary(): ReflectorSummary {
    const { namespace, clock } = this.#options;
    const problem = this.#fault?.message;
    return {
      ...(namespace !== undefined && { namespace }),
      state: this.#state.name,
      ...(this.#heardAt !== undefined && { lastEventSeconds: (clock.monotonic() - this.#heardAt) / 1000 }),
      ...(problem !== undefined && { problem }),
    };
  }

  /** Why the collection is not being followed right now; undefined while all is well. */
  get fault(): KubeError | undefined {
    return this.#fault;
  }

  /** Follows the collection until the signal aborts. Never rejects because of anything the API server does. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const startedAt = this.#options.clock.monotonic();
      const { next, error } = await this.#step(signal);
      if (signal.aborted) return;
      const watched = this.#state.name === "watching";
      const healthy = watched && this.#options.clock.monotonic() - startedAt >= this.#options.healthyAfterMs;
      if (healthy) this.#restarts = { ...none };
      if (error !== undefined) this.#failed(error);
      this.#state = next;
      // A watch that the server ended soon after opening it is no error, but must not become a hot loop either.
      if (error !== undefined || (watched && !healthy)) await this.#pause(error, signal);
    }
  }

  async #step(signal: AbortSignal): Promise<{ next: ReflectorState; error?: KubeError }> {
    const state = this.#state;
    let resourceVersion = state.name === "watching" ? state.resourceVersion : "";
    try {
      if (state.name !== "watching") return { next: await this.#listPage(state, signal) };
      await this.#watch(resourceVersion, signal, (reached) => {
        resourceVersion = reached;
      });
      return { next: { name: "watching", resourceVersion } };
    } catch (caught) {
      const error = transportError(`following ${this.#options.resource.plural}`, caught);
      if (state.name === "watching") {
        return { next: isGone(error) ? { name: "empty", paged: true } : { name: "watching", resourceVersion }, error };
      }
      // A continue token that expired once would expire again: take the next list in one piece.
      return { next: isGone(error) ? { name: "empty", paged: false } : state, error };
    }
  }

  async #listPage(state: Exclude<ReflectorState, { name: "watching" }>, signal: AbortSignal): Promise<ReflectorState> {
    const { client, resource, namespace, sink, pageSize } = this.#options;
    const page = await client.list<T>(resource, {
      ...(namespace !== undefined && { namespace }),
      ...(state.name === "listing"
        ? { continue: state.continue, limit: pageSize }
        : state.paged && { limit: pageSize }),
      maxRetries: 0,
      signal,
    });
    const seen = state.name === "listing" ? state.seen : new Set<string>();
    for (const object of page.items) seen.add(sink.present(object));
    if (page.continue !== undefined) return { name: "listing", continue: page.continue, seen };
    sink.listed(seen, namespace);
    this.#hasSynced = true;
    this.#synced.resolve();
    return { name: "watching", resourceVersion: page.resourceVersion };
  }

  /** Resolves when the server ends the watch; `reached` is called with each resourceVersion that was seen. */
  async #watch(from: string, signal: AbortSignal, reached: (resourceVersion: string) => void): Promise<void> {
    const { client, clock, resource, namespace, sink, livenessMs, watchTimeoutSeconds, random } = this.#options;
    const teardown = new AbortController();
    const stop = () => teardown.abort(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    const silent = () => teardown.abort(silentError(resource, livenessMs));
    let liveness = clock.after(livenessMs, silent);
    try {
      const events = client.watch<T>(resource, {
        ...(namespace !== undefined && { namespace }),
        resourceVersion: from,
        timeoutSeconds: Math.round(watchTimeoutSeconds * (1 + random())),
        maxRetries: 0,
        signal: teardown.signal,
        onOpen: () => this.#opened(),
      });
      for await (const { type, object } of events) {
        this.#heardAt = clock.monotonic();
        liveness.cancel();
        liveness = clock.after(livenessMs, silent);
        if (type === "DELETED") sink.gone(object);
        else if (type !== "BOOKMARK") sink.present(object);
        reached(object.metadata.resourceVersion);
      }
    } finally {
      liveness.cancel();
      signal.removeEventListener("abort", stop);
    }
  }

  #opened(): void {
    const { resource, namespace, metrics, logger } = this.#options;
    metrics.watchOpened(resource.plural);
    if (this.#fault !== undefined) logger.info({ resource: resource.plural, namespace }, "watch restored");
    this.#fault = undefined;
  }

  #failed(error: KubeError): void {
    const { resource, namespace, metrics, logger } = this.#options;
    metrics.informerFailed(resource.plural, error.reason);
    // Old resourceVersions expire as a matter of course; everything else someone should know of.
    const fields = { resource: resource.plural, namespace, state: this.#state.name, error };
    if (isGone(error)) logger.info(fields, "resourceVersion too old, listing again");
    else logger.warn(fields, "list or watch failed, trying again");
    this.#fault = error;
  }

  async #pause(error: KubeError | undefined, signal: AbortSignal): Promise<void> {
    const { clock, backoff, random } = this.#options;
    const cause = causeOf(error);
    const maxMs = cause === "unanswered" ? Math.min(backoff.maxMs, unansweredMaxMs) : backoff.maxMs;
    const delay = backoffDelay(this.#restarts[cause]++, { ...backoff, maxMs }, random);
    // Capped: who says "in a month" would blind us for as long, and is more than a timer can hold.
    const asked = Math.min(error?.retryAfterMs ?? 0, backoff.maxMs);
    await clock.sleep(Math.max(delay, asked), signal);
  }
}

function causeOf(error: KubeError | undefined): Cause {
  if (error?.reason === "ConnectionFailed") return "unanswered";
  return error !== undefined && isGone(error) ? "expired" : "other";
}

function silentError(resource: Resource, livenessMs: number): KubeError {
  const message = `watch of ${resource.plural}: neither event nor bookmark for ${livenessMs} ms, opening another`;
  return new KubeError(message, { status: 0, reason: "Silent" });
}
