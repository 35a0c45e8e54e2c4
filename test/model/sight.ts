// What a test sees of the real servers at one moment, in the words in which the model says what it expects.
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { secretPath } from "../gen/manifests.ts";
import type { Seen, SeenObject, SeenPlace } from "./belief.ts";
import type { Servers } from "./servers.ts";
import { type Engine, type ObjectName, objectNames, type PlaceName, placeNames } from "./world.ts";

// oxlint-disable-next-line typescript/no-explicit-any -- answers of real servers, looked into by tests only
type Answer = any;

export class Sight {
  readonly #servers: Servers;
  readonly #engines: Readonly<Record<PlaceName, Engine>>;
  readonly #namespace: string;
  /** Data of KV v2 versions, which do not change, by creation time. */
  readonly #versions = new Map<string, unknown>();

  constructor(servers: Servers, engines: Readonly<Record<PlaceName, Engine>>, namespace: string) {
    this.#servers = servers;
    this.#engines = engines;
    this.#namespace = namespace;
  }

  async see(): Promise<Seen> {
    const [places, marks, objects] = await Promise.all([
      Promise.all(placeNames.map(async (name) => [name, await this.place(name)] as const)),
      Promise.all(placeNames.map(async (name) => [name, await this.#mark(name)] as const)),
      Promise.all(objectNames.map(async (name) => [name, await this.#object(name)] as const)),
    ]);
    const there = objects.flatMap(([name, object]) => (object === undefined ? [] : [[name, object] as const]));
    const marked = marks.flatMap(([name, mark]) => (mark === undefined ? [] : [[name, mark] as const]));
    return {
      places: Object.fromEntries(places),
      marks: Object.fromEntries(marked),
      objects: Object.fromEntries(there),
    };
  }

  /** The versions at a place, or its data on KV v1. */
  async place(name: PlaceName): Promise<SeenPlace> {
    const { vault, mounts } = this.#servers;
    const at = `${this.#namespace}/${name}`;
    if (this.#engines[name] === "v1") return [(await vault.read(`${mounts.v1}/${at}`)) ?? "absent"];
    const metadata = await vault.read(`${mounts.v2}/metadata/${at}`);
    const versions = Object.entries<Answer>(metadata?.versions ?? {}).toSorted(
      ([one], [other]) => Number(one) - Number(other),
    );
    return Promise.all(
      versions.map(async ([version, { created_time: createdTime, deletion_time: deletionTime, destroyed }]) => {
        if (destroyed) return "destroyed";
        if (deletionTime !== "") return "deleted";
        const known = this.#versions.get(createdTime);
        if (known !== undefined) return known;
        const data = (await vault.read(`${mounts.v2}/data/${at}?version=${version}`))?.data;
        if (data !== undefined && data !== null) this.#versions.set(createdTime, data);
        return data ?? "gone meanwhile";
      }),
    );
  }

  async #mark(name: PlaceName): Promise<string | undefined> {
    if (this.#engines[name] === "v1") return undefined;
    const metadata = await this.#servers.vault.read(`${this.#servers.mounts.v2}/metadata/${this.#namespace}/${name}`);
    return metadata?.custom_metadata?.uid;
  }

  async #object(name: ObjectName): Promise<SeenObject | undefined> {
    const object = await this.#servers.kube.find(secretPath({ namespace: this.#namespace, name }));
    if (object === undefined) return undefined;
    const { metadata, status } = object;
    const condition = status?.conditions?.find(({ type }: Answer) => type === "Ready");
    const isCurrent = condition !== undefined && condition.observedGeneration === metadata.generation;
    const ready = isCurrent ? condition.reason : "none";
    const version = ready === "Synced" ? status.record?.version : undefined;
    const finalizers = (metadata.finalizers ?? []).map((one: string) =>
      one === deleteFinalizer ? "contract" : "soft",
    );
    return {
      deleting: metadata.deletionTimestamp !== undefined,
      finalizers: finalizers.toSorted(),
      ready,
      ...(version !== undefined && { version }),
    };
  }
}
