// Vault as one identity sees it: paths to destinations, and at each destination the engine that it names.
import type { Clock } from "../base/clock.ts";
import { OperatorError, triedAgain } from "../base/errors.ts";
import type { PlainMap } from "../base/plaintext.ts";
import type { VaultClient } from "./client.ts";
import { NamespaceBoundary } from "./kv/boundary.ts";
import type {
  Destination,
  EngineVersion,
  KVEngine,
  Metadata,
  MetadataChange,
  Observed,
  Revision,
} from "./kv/engine.ts";
import { type MountCache, MountResolver } from "./kv/mount.ts";
import { KVv1 } from "./kv/v1.ts";
import { KVv2 } from "./kv/v2.ts";
import type { VaultAccess } from "./vault.ts";

export interface AccessOptions {
  readonly client: VaultClient;
  /** The identity's own namespace; destinations carry theirs. */
  readonly namespace: string;
  readonly cache: MountCache;
  readonly clock: Clock;
  /** Whether a path that leads into a child namespace is refused. */
  readonly keepsToNamespace: boolean;
}

/** Delegates to the engine; when an engine is not what was thought, the mount is asked for anew. */
export class Access implements VaultAccess {
  readonly #resolver: MountResolver;
  readonly #engines: Readonly<Record<EngineVersion, KVEngine>>;
  readonly #cache: MountCache;
  readonly #boundary: NamespaceBoundary | undefined;

  constructor(options: AccessOptions) {
    const { client, clock, cache } = options;
    this.#resolver = new MountResolver(options);
    this.#engines = { v1: new KVv1(client, clock), v2: new KVv2(client, clock) };
    this.#cache = cache;
    this.#boundary = options.keepsToNamespace ? new NamespaceBoundary(options) : undefined;
  }

  async resolve(path: string, engineVersion?: EngineVersion): Promise<Destination> {
    const destination = await this.#resolver.resolve(path, engineVersion);
    await this.#boundary?.assertInside(destination);
    return destination;
  }

  observe(destination: Destination): Promise<Observed> {
    return this.#at(destination, (engine) => engine.observe(destination));
  }

  read(destination: Destination): Promise<Observed> {
    return this.#at(destination, (engine) => engine.read(destination));
  }

  write(destination: Destination, data: PlainMap, cas?: number): Promise<Revision | undefined> {
    return this.#at(destination, (engine) => engine.write(destination, data, cas));
  }

  writeMetadata(destination: Destination, change: MetadataChange, known?: Metadata): Promise<string | undefined> {
    return this.#at(destination, (engine) => engine.writeMetadata(destination, change, known));
  }

  remove(destination: Destination): Promise<void> {
    return this.#at(destination, (engine) => engine.remove(destination));
  }

  softDelete(destination: Destination): Promise<void> {
    return this.#at(destination, (engine) => engine.softDelete(destination));
  }

  async #at<T>(destination: Destination, call: (engine: KVEngine) => Promise<T>): Promise<T> {
    // Of a recorded place nobody may have asked when it was written.
    await this.#boundary?.assertInside(destination);
    try {
      return await call(this.#engines[destination.engineVersion]);
    } catch (error) {
      const isSurprise = error instanceof OperatorError && (error.code === "NotKV" || error.code === "EngineMismatch");
      if (!isSurprise) throw error;
      this.#cache.forget(destination.namespace, destination.mount);
      // The mount is not what it was: asked anew, Vault may say that all is well.
      throw triedAgain(error);
    }
  }
}
