// The queue of keys between watches and workers, with client-go's meanings: a key waits at most once, is processed by
// one worker at a time, and one that is added while it is processed comes again afterwards. Three priorities on top:
// edits overtake new objects, both overtake refreshes, and while one of them is under way few refreshes are. It holds
// keys, never objects: what a worker does depends on the present state alone, so keys may be merged and, at shutdown,
// dropped (the next start looks at everything).
import type { Clock } from "../base/clock.ts";
import { type Backoff, backoffDelay } from "../base/retry.ts";
import { DelayHeap } from "./delay-heap.ts";
import { noMetrics, priorities, type Priority, type RuntimeMetrics } from "./metrics.ts";

export interface WorkQueueOptions {
  /** Label of its metrics; the controller's name. */
  readonly name: string;
  readonly clock: Clock;
  readonly metrics?: RuntimeMetrics;
  /** Of addRateLimited, per key; 1 s to 5 min. */
  readonly backoff?: Backoff;
  /** How many `low` keys may be processed while another one is; no limit. They share a processor and servers. */
  readonly lowBesideOthers?: number;
  readonly random?: () => number;
}

/** A queue at one moment. */
export interface QueueState {
  readonly waiting: Readonly<Record<Priority, number>>;
  readonly delayed: number;
  /** Keys with a backoff. */
  readonly failing: number;
  readonly processing: readonly { readonly key: string; readonly seconds: number }[];
}

/** A key that is queued, or that a worker has. */
interface Item {
  readonly priority: Priority;
  /** Monotonic: when it was queued, or taken. */
  readonly since: number;
}

export class WorkQueue {
  readonly #name: string;
  readonly #clock: Clock;
  readonly #metrics: RuntimeMetrics;
  readonly #backoff: Backoff;
  readonly #random: () => number;
  readonly #lowBesideOthers: number;
  /** Keys under way, by priority. */
  readonly #busy: Record<Priority, number> = { high: 0, normal: 0, low: 0 };
  readonly #lanes: Readonly<Record<Priority, Lane>> = {
    high: new Lane(),
    normal: new Lane(),
    low: new Lane(),
  };
  /** Keys in a lane. */
  readonly #queued = new Map<string, Item>();
  readonly #processing = new Map<string, Item>();
  /** Keys added while they are processed. */
  readonly #dirty = new Map<string, Priority>();
  readonly #delayed: DelayHeap<Priority>;
  readonly #failures = new Map<string, number>();
  readonly #waiters: ((key: string | undefined) => void)[] = [];
  #shutDown = false;

  constructor(options: WorkQueueOptions) {
    this.#name = options.name;
    this.#clock = options.clock;
    this.#metrics = options.metrics ?? noMetrics;
    this.#backoff = options.backoff ?? { baseMs: 1_000, maxMs: 300_000 };
    this.#random = options.random ?? Math.random;
    this.#lowBesideOthers = options.lowBesideOthers ?? Number.POSITIVE_INFINITY;
    this.#metrics.queueOpened(this.#name, () => this.state().processing.map(({ seconds }) => seconds));
    this.#delayed = new DelayHeap(options.clock, (key, priority) => this.add(key, { priority }), higher);
  }

  /** Keys that wait for a worker, delayed ones not counted. */
  get length(): number {
    return this.#queued.size;
  }

  /** True when no key waits and none is processed (delayed ones not counted). */
  get idle(): boolean {
    return this.#queued.size === 0 && this.#processing.size === 0;
  }

  /** Queues a key; one that is queued with a lower priority than this (`high` when absent) moves to its lane. */
  add(key: string, { priority = "high" }: { readonly priority?: Priority } = {}): void {
    if (this.#shutDown) return;
    this.#metrics.queueAdded(this.#name);
    if (this.#processing.has(key)) {
      this.#dirty.set(key, higher(this.#dirty.get(key) ?? "low", priority));
      return;
    }
    this.#enqueue(key, priority);
  }

  /** Queues a key after a delay. Of several delays for one key the earliest counts, with the highest priority. */
  addAfter(key: string, delayMs: number, { priority = "low" }: { readonly priority?: Priority } = {}): void {
    if (this.#shutDown) return;
    if (delayMs <= 0) this.add(key, { priority });
    else this.#delayed.add(key, delayMs, priority);
  }

  /**
   * Queues a key after its own backoff, which doubles with each call until `forget`. It keeps the priority that it is
   * being processed with, or gets the next lower one.
   * @returns the delay, ms
   */
  addRateLimited(key: string, { lower = false }: { readonly lower?: boolean } = {}): number {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#metrics.queueRetried(this.#name);
    const delay = backoffDelay(failures, this.#backoff, this.#random);
    const kept = this.#processing.get(key)?.priority ?? "low";
    const priority = lower ? (priorities[priorities.indexOf(kept) + 1] ?? "low") : kept;
    this.addAfter(key, delay, { priority });
    return delay;
  }

  /**
   * Has the keys that wait out a backoff come within `spreadMs`, because what they failed at may work again. Should they
   * fail once more, their backoff goes on where it was.
   * @param most no more than so many; those that were not hastened yet, or longest ago, first
   */
  hasten(spreadMs: number, most = Number.POSITIVE_INFINITY): void {
    const hastened: string[] = [];
    for (const key of this.#failures.keys()) {
      if (hastened.length >= most) break;
      if (this.#delayed.has(key)) hastened.push(key);
    }
    for (const key of hastened) {
      // With the least priority: the higher one of a key that waits counts.
      this.addAfter(key, spreadMs * this.#random(), { priority: "low" });
      const failures = this.numRequeues(key);
      this.#failures.delete(key);
      this.#failures.set(key, failures);
    }
  }

  /** Ends a key's backoff. Does not take it out of the queue. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** How often a key was added rate-limited since it was last forgotten. */
  numRequeues(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The next key, when there is one; undefined after shutDown. Who gets a key must call `done` with it. */
  get(): Promise<string | undefined> {
    if (this.#shutDown) return Promise.resolve(undefined);
    const key = this.#next();
    if (key !== undefined) return Promise.resolve(key);
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  /** The worker is done with a key; if it was added meanwhile it is queued now. */
  done(key: string): void {
    const item = this.#processing.get(key);
    if (item === undefined) return;
    this.#processing.delete(key);
    this.#busy[item.priority] -= 1;
    this.#metrics.queueWorked(this.#name, (this.#clock.monotonic() - item.since) / 1000);
    const priority = this.#dirty.get(key);
    this.#dirty.delete(key);
    if (priority !== undefined && !this.#shutDown) this.#enqueue(key, priority);
    this.#serve();
  }

  /** What waits and what is being worked on, for people. */
  state(): QueueState {
    const now = this.#clock.monotonic();
    return {
      waiting: { high: this.#lanes.high.size, normal: this.#lanes.normal.size, low: this.#lanes.low.size },
      delayed: this.#delayed.size,
      failing: this.#failures.size,
      processing: [...this.#processing].map(([key, { since }]) => ({ key, seconds: (now - since) / 1000 })),
    };
  }

  /** No key goes in or out any more: what waits is dropped, every `get` resolves with undefined. */
  shutDown(): void {
    this.#shutDown = true;
    this.#delayed.clear();
    this.#dirty.clear();
    for (const [key, { priority }] of this.#queued) this.#lanes[priority].delete(key);
    this.#queued.clear();
    for (const priority of priorities) this.#reportDepth(priority);
    for (const waiter of this.#waiters.splice(0)) waiter(undefined);
  }

  #enqueue(key: string, priority: Priority): void {
    const queued = this.#queued.get(key);
    if (queued !== undefined) {
      if (higher(queued.priority, priority) === queued.priority) return;
      this.#lanes[queued.priority].delete(key);
      this.#reportDepth(queued.priority);
    }
    this.#queued.set(key, { priority, since: queued?.since ?? this.#clock.monotonic() });
    this.#lanes[priority].push(key);
    this.#serve();
    this.#reportDepth(priority);
  }

  /** Gives waiting workers what they may have. */
  #serve(): void {
    while (this.#waiters.length > 0) {
      const key = this.#next();
      if (key === undefined) return;
      this.#waiters.shift()?.(key);
    }
  }

  /** Takes the key that is next, if there is one that may be worked on now. */
  #next(): string | undefined {
    const others = this.#busy.high + this.#busy.normal;
    const mayTakeLow = others === 0 || this.#busy.low < this.#lowBesideOthers;
    const { high, normal, low } = this.#lanes;
    const key = high.shift() ?? normal.shift() ?? (mayTakeLow ? low.shift() : undefined);
    if (key !== undefined) this.#take(key);
    return key;
  }

  #take(key: string): void {
    const item = this.#queued.get(key);
    const now = this.#clock.monotonic();
    const { priority, since } = item ?? { priority: "low", since: now };
    this.#queued.delete(key);
    this.#processing.set(key, { priority, since: now });
    this.#busy[priority] += 1;
    this.#metrics.queueLatency(this.#name, (now - since) / 1000);
    this.#reportDepth(priority);
  }

  #reportDepth(priority: Priority): void {
    this.#metrics.queueDepth(this.#name, priority, this.#lanes[priority].size);
  }
}

/** First in, first out, with removal from the middle. */
class Lane {
  readonly #keys = new Set<string>();
  /** Stays where it is between calls: a new iterator would walk over all that was ever removed from the front. */
  #front = this.#keys.values();

  get size(): number {
    return this.#keys.size;
  }

  push(key: string): void {
    this.#keys.add(key);
  }

  delete(key: string): void {
    this.#keys.delete(key);
  }

  shift(): string | undefined {
    let next = this.#front.next();
    if (next.done) {
      // An iterator that came to its end stays there, even if keys were added since.
      this.#front = this.#keys.values();
      next = this.#front.next();
    }
    if (next.done) return undefined;
    this.#keys.delete(next.value);
    return next.value;
  }
}

function higher(a: Priority, b: Priority): Priority {
  return priorities.indexOf(a) < priorities.indexOf(b) ? a : b;
}
