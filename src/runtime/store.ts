// What an informer knows: the objects by key, and indexes over them. Objects in it are shared and read-only.
import { type KubeObject, keyOf } from "./objects.ts";

/** Values under which an object is found in an index; none when it does not belong there. Must not throw. */
export type IndexFunction<T> = (object: T) => readonly string[];

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration";

/**
 * An object without what no controller needs but what makes up much of its size: `metadata.managedFields` and the
 * last-applied-configuration annotation. Changes its argument.
 */
export function stripForStore<T extends KubeObject>(object: T): T {
  const metadata: { managedFields?: unknown; annotations?: Record<string, string> } = object.metadata;
  delete metadata.managedFields;
  delete metadata.annotations?.[lastApplied];
  return object;
}

/** Objects of one resource. Written by its informer only. */
export class Store<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #indexers: Readonly<Record<string, IndexFunction<T>>>;
  /** Index name → value → keys. */
  readonly #indexes = new Map<string, Map<string, Set<string>>>();

  constructor(indexers: Readonly<Record<string, IndexFunction<T>>> = {}) {
    this.#indexers = indexers;
    for (const name of Object.keys(indexers)) this.#indexes.set(name, new Map());
  }

  get size(): number {
    return this.#objects.size;
  }

  /** @param key `namespace/name`, see keyOf */
  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  keys(): string[] {
    return [...this.#objects.keys()];
  }

  /** Objects that the index `name` has under `value`. @throws RangeError for an index that was not declared */
  byIndex(name: string, value: string): T[] {
    const index = this.#indexes.get(name);
    if (index === undefined) throw new RangeError(`no index ${name}`);
    const found: T[] = [];
    for (const key of index.get(value) ?? []) {
      const object = this.#objects.get(key);
      if (object !== undefined) found.push(object);
    }
    return found;
  }

  /** Adds or replaces an object; returns the one that was there before. */
  set(object: T): T | undefined {
    const key = keyOf(object);
    const old = this.#objects.get(key);
    // Computed before anything changes, so that an index function that throws leaves the store as it was.
    const values = this.#valuesOf(object);
    if (old !== undefined) this.#unindex(key, old);
    this.#objects.set(key, object);
    for (const [name, value] of values) {
      const index = this.#indexes.get(name);
      const keys = index?.get(value);
      if (keys === undefined) index?.set(value, new Set([key]));
      else keys.add(key);
    }
    return old;
  }

  /** Removes an object; returns the one that was there. */
  delete(key: string): T | undefined {
    const old = this.#objects.get(key);
    if (old !== undefined) {
      this.#unindex(key, old);
      this.#objects.delete(key);
    }
    return old;
  }

  #unindex(key: string, object: T): void {
    for (const [name, value] of this.#valuesOf(object)) {
      const index = this.#indexes.get(name);
      const keys = index?.get(value);
      keys?.delete(key);
      if (keys?.size === 0) index?.delete(value);
    }
  }

  #valuesOf(object: T): [name: string, value: string][] {
    return Object.entries(this.#indexers).flatMap(([name, indexer]) =>
      indexer(object).map((value): [string, string] => [name, value]),
    );
  }
}
