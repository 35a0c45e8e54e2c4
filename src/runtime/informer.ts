// Keeps a store equal to what the API server has, and tells handlers what changed. Deletions that nobody watched are
// noticed by comparing a complete list with the store. A handler that throws is logged and counted; nothing stalls.
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { KubeClient } from "./client.ts";
import { noMetrics, type RuntimeMetrics } from "./metrics.ts";
import { type KubeObject, keyOf, type Resource } from "./objects.ts";
import { Reflector, type ReflectorOptions, type ReflectorSink, type ReflectorSummary } from "./reflector.ts";
import { type IndexFunction, Store, stripForStore } from "./store.ts";

/** Called after the store has changed. They must return soon: put a key into a queue, no more. */
export interface Handlers<T> {
  onAdd?(object: T): void;
  onUpdate?(old: T, object: T): void;
  /** With the last known state; it may be older than the real last one. */
  onDelete?(object: T): void;
}

export interface InformerOptions<T> {
  readonly client: Pick<KubeClient, "list" | "watch">;
  readonly resource: Resource;
  /** One reflector each; absent or empty: one for all namespaces. */
  readonly namespaces?: readonly string[];
  readonly indexers?: Readonly<Record<string, IndexFunction<T>>>;
  /** Applied to each object on its way into the store, after stripForStore; may change its argument. */
  readonly transform?: (object: T) => T;
  readonly handlers?: Handlers<T>;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly metrics?: RuntimeMetrics;
  /** Times and sizes, see ReflectorOptions. */
  readonly tuning?: Pick<
    ReflectorOptions<T>,
    "pageSize" | "watchTimeoutSeconds" | "livenessMs" | "backoff" | "healthyAfterMs" | "random"
  >;
}

/** An informer at one moment. */
export interface InformerState {
  readonly resource: string;
  readonly objects: number;
  readonly reflectors: readonly ReflectorSummary[];
}

export class Informer<T extends KubeObject> {
  readonly store: Store<T>;
  readonly resource: Resource;
  /** Resolves when every namespace has been listed once and the store is complete. */
  readonly synced: Promise<void>;
  readonly #options: InformerOptions<T>;
  readonly #metrics: RuntimeMetrics;
  readonly #handlers: Handlers<T>[] = [];
  readonly #reflectors: readonly Reflector<T>[];

  constructor(options: InformerOptions<T>) {
    const { namespaces = [], indexers = {}, handlers, resource, client, logger, clock, metrics = noMetrics } = options;
    this.#options = options;
    this.#metrics = metrics;
    this.resource = resource;
    this.store = new Store(
      Object.fromEntries(Object.entries(indexers).map(([name, indexer]) => [name, this.#safeIndexer(name, indexer)])),
    );
    if (handlers !== undefined) this.#handlers.push(handlers);
    const sink: ReflectorSink<T> = {
      present: (object) => this.#present(object),
      gone: (object) => this.#gone(keyOf(object), object),
      listed: (keys, namespace) => this.#listed(keys, namespace),
    };
    this.#reflectors = (namespaces.length === 0 ? [undefined] : [...new Set(namespaces)]).map(
      (namespace) => new Reflector({ ...options.tuning, client, resource, namespace, sink, logger, clock, metrics }),
    );
    this.synced = Promise.all(this.#reflectors.map((reflector) => reflector.synced)).then(() => {});
  }

  /** More handlers, to be added before `run`. */
  addHandlers(handlers: Handlers<T>): void {
    this.#handlers.push(handlers);
  }

  /** Follows the resource until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#reflectors.map((reflector) => reflector.run(signal)));
  }

  hasSynced(): boolean {
    return this.#reflectors.every((reflector) => reflector.hasSynced);
  }

  /** True while the store is complete and every watch is open (or being reopened in the ordinary way). */
  healthy(): boolean {
    return this.hasSynced() && this.problem() === undefined;
  }

  /** Where it stands, for people. */
  state(): InformerState {
    return {
      resource: this.resource.plural,
      objects: this.store.size,
      reflectors: this.#reflectors.map((reflector) => reflector.summary()),
    };
  }

  /** What keeps the informer from being healthy, for people. */
  problem(): string | undefined {
    return this.#reflectors.find((reflector) => reflector.fault !== undefined)?.fault?.message;
  }

  #present(raw: T): string {
    const key = keyOf(raw);
    const known = this.store.get(key);
    if (known !== undefined && known.metadata.uid === raw.metadata.uid) {
      if (known.metadata.resourceVersion !== raw.metadata.resourceVersion) this.#update(raw);
      return key;
    }
    // Same name, another object: it was deleted and made again while nobody watched.
    if (known !== undefined) this.#gone(key, known);
    this.#update(raw);
    return key;
  }

  #update(raw: T): void {
    const object = this.#prepare(raw);
    const old = this.store.set(object);
    this.#metrics.storeSize(this.resource.plural, this.store.size);
    for (const handlers of this.#handlers) {
      this.#guarded("handler", () => (old === undefined ? handlers.onAdd?.(object) : handlers.onUpdate?.(old, object)));
    }
  }

  #gone(key: string, raw: T): void {
    if (this.store.delete(key) === undefined) return;
    this.#metrics.storeSize(this.resource.plural, this.store.size);
    const object = this.#prepare(raw);
    for (const handlers of this.#handlers) this.#guarded("handler", () => handlers.onDelete?.(object));
  }

  #listed(keys: ReadonlySet<string>, namespace: string | undefined): void {
    for (const object of this.store.list()) {
      const key = keyOf(object);
      if ((namespace === undefined || object.metadata.namespace === namespace) && !keys.has(key)) {
        this.#gone(key, object);
      }
    }
    // Of an empty store too: a figure that is missing means that nobody has listed anything.
    this.#metrics.storeSize(this.resource.plural, this.store.size);
  }

  #prepare(raw: T): T {
    const stripped = stripForStore(raw);
    const { transform } = this.#options;
    return transform === undefined ? stripped : (this.#guarded("transform", () => transform(stripped)) ?? stripped);
  }

  #safeIndexer(name: string, indexer: IndexFunction<T>): IndexFunction<T> {
    return (object) => this.#guarded(`index ${name}`, () => indexer(object)) ?? [];
  }

  /** Runs what others wrote: a throw is logged and counted, and the object goes on its way. */
  #guarded<R>(part: string, run: () => R): R | undefined {
    try {
      return run();
    } catch (error) {
      this.#metrics.handlerFailed(this.resource.plural);
      this.#options.logger.error({ resource: this.resource.plural, part, error }, "informer callback threw");
      return undefined;
    }
  }
}
