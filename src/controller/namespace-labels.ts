// Labels of namespaces, for a policy that goes by them. Namespaces are listed only once a policy asks for it, which needs
// a right of its own (deploy/opt-in/role-policy.yaml). Without that right, or without an answer, nothing stops: the labels
// are not known, and who needs them is told.
import type { ListOptions } from "../runtime/client.ts";
import { Informer, type InformerOptions } from "../runtime/informer.ts";
import type { ManagedInformer } from "../runtime/manager.ts";
import type { KubeObject, Resource } from "../runtime/objects.ts";
import type { ListPage } from "../runtime/wire.ts";

const resource: Resource = { group: "", version: "v1", plural: "namespaces", kind: "Namespace" };

export type NamespaceLabelsOptions = Pick<InformerOptions<KubeObject>, "client" | "logger" | "clock" | "metrics">;

/** Follows namespaces from `need` on. */
export class NamespaceLabels implements ManagedInformer {
  readonly resource = resource;
  readonly #informer: Informer<KubeObject>;
  readonly #needed = Promise.withResolvers<void>();
  readonly #failed = Promise.withResolvers<void>();
  readonly #listeners: ((namespace: string) => void)[] = [];
  #isNeeded = false;

  constructor({ client, ...options }: NamespaceLabelsOptions) {
    this.#informer = new Informer<KubeObject>({
      ...options,
      resource,
      client: { list: (...call) => this.#list(client, ...call), watch: (...call) => client.watch(...call) },
      transform: onlyLabels,
      handlers: {
        onAdd: ({ metadata }) => this.#tell(metadata.name),
        onUpdate: (old, { metadata }) => {
          if (!isSame(old.metadata.labels, metadata.labels)) this.#tell(metadata.name);
        },
      },
    });
  }

  /** Resolves when the labels are known, or asking for them has failed once; at once when nobody asks. */
  get synced(): Promise<void> {
    return this.#isNeeded ? Promise.race([this.#informer.synced, this.#failed.promise]) : Promise.resolve();
  }

  /** Undefined while they are not known. */
  readonly of = (namespace: string): Readonly<Record<string, string>> | undefined => {
    const found = this.#informer.store.get(`/${namespace}`);
    return found === undefined ? undefined : (found.metadata.labels ?? {});
  };

  /** From now on somebody asks. */
  need(): void {
    this.#isNeeded = true;
    this.#needed.resolve();
  }

  /** Called with the name of a namespace whose labels are known now, or are others. */
  onChange(listener: (namespace: string) => void): void {
    this.#listeners.push(listener);
  }

  async run(signal: AbortSignal): Promise<void> {
    const stopped = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => stopped.resolve(), { once: true });
    await Promise.race([this.#needed.promise, stopped.promise]);
    if (!signal.aborted) await this.#informer.run(signal);
  }

  /** Never keeps the process from being ready: rules that go by names alone hold without it. */
  hasSynced(): boolean {
    return true;
  }

  /** See hasSynced; what is wrong stands in `state` and on the objects. */
  problem(): undefined {
    return undefined;
  }

  /** Where it stands, for people. */
  state(): ReturnType<ManagedInformer["state"]> {
    return this.#informer.state();
  }

  async #list<T>(
    client: NamespaceLabelsOptions["client"],
    ...[of, options]: [Resource, ListOptions?]
  ): Promise<ListPage<T>> {
    try {
      return await client.list<T>(of, options);
    } catch (error) {
      this.#failed.resolve();
      throw error;
    }
  }

  #tell(namespace: string): void {
    for (const listener of this.#listeners) listener(namespace);
  }
}

function onlyLabels({ metadata }: KubeObject): KubeObject {
  const { name, uid, resourceVersion, creationTimestamp, labels } = metadata;
  return { metadata: { name, uid, resourceVersion, creationTimestamp, ...(labels && { labels }) } };
}

function isSame(one: Readonly<Record<string, string>> = {}, other: Readonly<Record<string, string>> = {}): boolean {
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => one[key] === other[key]);
}
