// Keys that become due later, in a binary heap under one timer: ten thousand waiting refreshes cost one timer.
import type { Clock, Timer } from "../base/clock.ts";

interface Waiting<V> {
  readonly key: string;
  /** Monotonic, ms. */
  readonly at: number;
  readonly value: V;
}

/** Timers of Node hold 31 bits; what is due later is looked at again then. */
const longestTimerMs = 2 ** 31 - 1;

/** At most one entry per key: the earlier time wins. */
export class DelayHeap<V> {
  readonly #clock: Clock;
  readonly #due: (key: string, value: V) => void;
  readonly #merge: (waiting: V, added: V) => V;
  readonly #waiting = new Map<string, Waiting<V>>();
  /** Entries that `#waiting` no longer holds have been replaced and are skipped. */
  readonly #heap: Waiting<V>[] = [];
  #timer: { readonly at: number; readonly timer: Timer } | undefined;

  /**
   * @param due called once per key when its time has come
   * @param merge the value of a key that is added while it waits
   */
  constructor(clock: Clock, due: (key: string, value: V) => void, merge: (waiting: V, added: V) => V) {
    this.#clock = clock;
    this.#due = due;
    this.#merge = merge;
  }

  get size(): number {
    return this.#waiting.size;
  }

  has(key: string): boolean {
    return this.#waiting.has(key);
  }

  add(key: string, delayMs: number, value: V): void {
    const at = this.#clock.monotonic() + delayMs;
    const old = this.#waiting.get(key);
    const merged = old === undefined ? value : this.#merge(old.value, value);
    if (old !== undefined && old.at <= at && merged === old.value) return;
    const entry = { key, at: Math.min(at, old?.at ?? at), value: merged };
    this.#waiting.set(key, entry);
    this.#push(entry);
    this.#arm();
  }

  clear(): void {
    this.#timer?.timer.cancel();
    this.#timer = undefined;
    this.#waiting.clear();
    this.#heap.length = 0;
  }

  #arm(): void {
    const first = this.#heap[0];
    if (first === undefined || (this.#timer !== undefined && this.#timer.at <= first.at)) return;
    this.#timer?.timer.cancel();
    const delay = Math.min(Math.max(0, Math.ceil(first.at - this.#clock.monotonic())), longestTimerMs);
    this.#timer = { at: first.at, timer: this.#clock.after(delay, () => this.#fire()) };
  }

  #fire(): void {
    this.#timer = undefined;
    const now = this.#clock.monotonic();
    for (let first = this.#heap[0]; first !== undefined && first.at <= now; first = this.#heap[0]) {
      this.#pop();
      if (this.#waiting.get(first.key) !== first) continue;
      this.#waiting.delete(first.key);
      this.#due(first.key, first.value);
    }
    this.#arm();
  }

  #push(entry: Waiting<V>): void {
    const heap = this.#heap;
    let child = heap.push(entry) - 1;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (this.#at(parent) <= this.#at(child)) return;
      this.#swap(parent, child);
      child = parent;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    this.#swap(0, heap.length - 1);
    heap.pop();
    let parent = 0;
    for (;;) {
      let least = parent;
      for (const child of [2 * parent + 1, 2 * parent + 2]) if (this.#at(child) < this.#at(least)) least = child;
      if (least === parent) return;
      this.#swap(parent, least);
      parent = least;
    }
  }

  #at(index: number): number {
    return this.#heap[index]?.at ?? Number.POSITIVE_INFINITY;
  }

  #swap(a: number, b: number): void {
    const [first, second] = [this.#heap[a], this.#heap[b]];
    if (first === undefined || second === undefined) return;
    this.#heap[a] = second;
    this.#heap[b] = first;
  }
}
