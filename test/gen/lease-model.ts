// A model of what elections see of the world: Leases under optimistic concurrency, calls that are slow or lost, and
// processes with a wall clock of their own that are stopped and continued. What real ones do is in test/slow.
import type { Clock, Timer } from "../../src/base/clock.ts";
import { KubeError } from "../../src/runtime/kube-error.ts";
import type { Lease } from "../../src/runtime/lease.ts";
import type { ShardingClient } from "../../src/runtime/sharding.ts";
import type { FakeClock } from "./fake-clock.ts";

/** What the network does to one call. */
export type Fault = "none" | "lost" | "answerLost";

/** The Leases of one namespace. */
export class LeaseModel {
  readonly leases = new Map<string, Lease>();
  #version = 0;

  /** The Lease named `lease`, for elections that have but one. */
  get lease(): Lease | undefined {
    return this.leases.get("lease");
  }

  set lease(lease: Lease | undefined) {
    if (lease === undefined) this.leases.delete("lease");
    else this.leases.set("lease", lease);
  }

  /** The API server as a process reaches it. */
  client(process: SimulatedProcess, faultOf: () => Fault, latencyOf: () => number): ShardingClient {
    const call = async <T>(run: () => T): Promise<T> => {
      const fault = faultOf();
      await process.world.sleep(latencyOf());
      const answer = fault === "lost" ? unreachable() : attempt(run);
      await process.world.sleep(latencyOf());
      await process.awake();
      if (answer instanceof Error) throw answer;
      if (fault === "answerLost") throw unreachable();
      return answer;
    };
    return {
      get: (_, { name = "" }) => call(() => this.#read(name)),
      create: (_, __, body) => call(() => this.#create(body)),
      replace: (_, __, body) => call(() => this.#replace(body)),
      delete: (_, { name = "" }) => call(() => void this.leases.delete(name)),
      list: () => call(() => ({ items: this.#list(), resourceVersion: String(this.#version), continue: undefined })),
    };
  }

  #list(): Lease[] {
    return [...this.leases.values()].map((lease) => structuredClone(lease));
  }

  #read(name: string): Lease {
    const lease = this.leases.get(name);
    if (lease === undefined) throw new KubeError("no", { status: 404, reason: "NotFound" });
    return structuredClone(lease);
  }

  #create(body: Lease): Lease {
    if (this.leases.has(body.metadata.name)) throw new KubeError("no", { status: 409, reason: "AlreadyExists" });
    return this.#store(body);
  }

  #replace(body: Lease): Lease {
    if (body.metadata.resourceVersion !== this.#read(body.metadata.name).metadata.resourceVersion) {
      throw new KubeError("no", { status: 409, reason: "Conflict" });
    }
    return this.#store(body);
  }

  #store(body: Lease): Lease {
    this.#version += 1;
    const metadata = { ...body.metadata, resourceVersion: String(this.#version) };
    this.leases.set(metadata.name, structuredClone({ ...body, metadata }));
    return this.#read(metadata.name);
  }
}

function attempt<T>(run: () => T): T | Error {
  try {
    return run();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function unreachable(): KubeError {
  return new KubeError("no answer", { status: 0, reason: "ConnectionFailed" });
}

/** A process with a wall clock of its own, which can be stopped (SIGSTOP) and continued. */
export class SimulatedProcess implements Clock {
  readonly world: FakeClock;
  readonly #wallOffsetMs: number;
  #stopped: PromiseWithResolvers<void> | undefined;

  constructor(world: FakeClock, wallOffsetMs: number) {
    this.world = world;
    this.#wallOffsetMs = wallOffsetMs;
  }

  now(): number {
    return this.world.now() + this.#wallOffsetMs;
  }

  monotonic(): number {
    return this.world.monotonic();
  }

  after(ms: number, run: () => void): Timer {
    return this.world.after(ms, () => void this.awake().then(run));
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    await this.world.sleep(ms, signal);
    await this.awake();
  }

  /** Resolves once the process is running. */
  async awake(): Promise<void> {
    await this.#stopped?.promise;
  }

  stop(): void {
    this.#stopped ??= Promise.withResolvers<void>();
  }

  continue(): void {
    this.#stopped?.resolve();
    this.#stopped = undefined;
  }
}
