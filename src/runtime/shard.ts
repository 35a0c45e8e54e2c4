// One part of the work: a Lease, and what is under way while it is held.
import type { LeaderElector } from "./leader-election.ts";

export class Shard {
  readonly index: number;
  /** Name of its Lease. */
  readonly lease: string;
  readonly elector: LeaderElector;
  /** `draining`: still held, but no new work begins. */
  state: "free" | "held" | "draining" = "free";
  /** Resolves when the shard has been given back; set while it is. */
  leaving: Promise<void> | undefined;
  #active = 0;
  #idle: (() => void) | undefined;

  constructor(index: number, lease: string, elector: LeaderElector) {
    this.index = index;
    this.lease = lease;
    this.elector = elector;
  }

  /** Pieces of work under way. */
  get active(): number {
    return this.#active;
  }

  /** Begins a piece of work; returns what its end has to be told by. Undefined when the shard is not held. */
  enter(): (() => void) | undefined {
    if (this.state !== "held") return undefined;
    this.#active += 1;
    return () => {
      this.#active -= 1;
      if (this.#active === 0) this.#idle?.();
    };
  }

  /** Lets no new work begin; resolves when none is under way. */
  drain(): Promise<void> {
    this.state = "draining";
    if (this.#active === 0) return Promise.resolve();
    const idle = Promise.withResolvers<void>();
    this.#idle = idle.resolve;
    return idle.promise;
  }
}
