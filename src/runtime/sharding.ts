// Division of work among replicas: keys hash to shards, and each shard is a Lease. Three kinds of Lease, all with the
// rules of leader-election.ts:
// - the group's, under the name that a single leader would hold. Its holder is "shards=N", which every replica with
//   that N renews: a process without sharding, or with another N, finds it held and waits until all of them are gone.
// - one per replica, by which they count each other, so that each takes its fair share and gives back what is above it.
// - one per shard. It is given back only once nothing of it is being worked on, and goes to the next within seconds.
// Losing any of them means what losing the leadership means: nothing is written any more, and the process ends.
import { createHash } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import { OperatorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { CallOptions, ListOptions } from "./client.ts";
import { isNotFound } from "./kube-error.ts";
import { type Election, LeaderElector, type LeadershipCallbacks } from "./leader-election.ts";
import { type Lease, type LeaseClient, leaseResource } from "./lease.ts";
import { fairShare, Membership } from "./membership.ts";
import { noMetrics, type RuntimeMetrics } from "./metrics.ts";
import type { Resource } from "./objects.ts";
import { Shard } from "./shard.ts";
import type { ListPage, ObjectRef } from "./wire.ts";

/** What sharding needs of a KubeClient. */
export interface ShardingClient extends LeaseClient {
  list(resource: Resource, options: ListOptions): Promise<ListPage<Lease>>;
  delete(resource: Resource, ref: ObjectRef, body: undefined, options: CallOptions): Promise<void>;
}

export interface ShardingOptions {
  readonly client: ShardingClient;
  readonly namespace: string;
  /** Of the group's Lease; the others' names begin with it. */
  readonly name: string;
  /** Unique to this process, see holderIdentity. */
  readonly identity: string;
  /** How many shards there are; the same for every replica. */
  readonly shards: number;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly metrics?: RuntimeMetrics;
  /** See LeaderElectorOptions. The others are looked at twice a retry period: a dead one's shards move within 20 s. */
  readonly leaseDurationMs?: number;
  readonly renewDeadlineMs?: number;
  readonly retryPeriodMs?: number;
  readonly random?: () => number;
}

/** Told what comes and goes. */
export interface ShardListener {
  /** @param tookOver whether another process may have worked on it before, so that what we know may lag behind */
  gained(shard: number, tookOver: boolean): void;
  /** Nothing of the shard is being worked on, and it is somebody else's from now on. */
  released(shard: number): void;
}

const defaults = {
  leaseDurationMs: 15_000,
  renewDeadlineMs: 10_000,
  retryPeriodMs: 2_000,
  random: Math.random,
  metrics: noMetrics,
};

/** The shard of a key: the same in every process that divides into so many. */
export function shardOf(key: string, shards: number): number {
  return createHash("sha256").update(key).digest().readUInt32BE() % shards;
}

export class Sharding implements Election {
  readonly #options: ShardingOptions & typeof defaults;
  readonly #group: LeaderElector;
  readonly #member: LeaderElector;
  readonly #memberLease: string;
  readonly #membership: Membership;
  readonly #shards: readonly Shard[];
  readonly #listeners: ShardListener[] = [];
  /** The renewal under way. */
  #renewal: Promise<unknown> = Promise.resolve();
  #joined = false;
  #problem: string | undefined;

  constructor(options: ShardingOptions) {
    this.#options = { ...defaults, ...options };
    const { name, identity, shards, clock, leaseDurationMs } = this.#options;
    const elector = (leaseName: string, holder: string) =>
      new LeaderElector({ ...this.#options, name: leaseName, identity: holder });
    this.#group = elector(name, `shards=${shards}`);
    this.#memberLease = `${this.#memberPrefix}${identity.toLowerCase().replaceAll(/[^a-z0-9.-]/g, "-")}`;
    this.#member = elector(this.#memberLease, identity);
    this.#membership = new Membership(clock, leaseDurationMs);
    this.#shards = Array.from({ length: shards }, (_, index) => {
      const lease = `${name}-shard-${index}`;
      return new Shard(index, lease, elector(lease, identity));
    });
  }

  get #memberPrefix(): string {
    return `${this.#options.name}-replica-`;
  }

  /** How many shards there are, held by whomever. */
  get count(): number {
    return this.#shards.length;
  }

  /** The shards that this process works on. */
  get held(): readonly number[] {
    return this.#shards.filter(({ state }) => state === "held").map(({ index }) => index);
  }

  /** To be called before `run`. */
  addListener(listener: ShardListener): void {
    this.#listeners.push(listener);
  }

  /**
   * Begins work on a shard.
   * @returns to be called when it has ended; undefined when the shard is not ours to work on
   */
  enter(index: number): (() => void) | undefined {
    return this.#shards[index]?.enter();
  }

  assertLeading(): void {
    const held = this.#shards.filter(({ state }) => state !== "free");
    const sure = held.length > 0 && this.#group.isLeading() && held.every(({ elector }) => elector.isLeading());
    if (!sure) {
      throw new OperatorError("KubernetesError", "not the holder of a shard (any more): this process writes nothing");
    }
  }

  state(): Readonly<Record<string, unknown>> {
    const members = this.#membership.live();
    return { lease: this.#options.name, shards: this.count, held: this.held, members, problem: this.#problem };
  }

  problem(): string | undefined {
    return this.#problem;
  }

  async run(signal: AbortSignal, callbacks: LeadershipCallbacks): Promise<void> {
    const { logger, metrics, identity, name, shards } = this.#options;
    // So that a shard that nobody holds shows as 0 everywhere, and not as nothing at all.
    for (const { lease } of this.#shards) metrics.leading(lease, false);
    const stop = new AbortController();
    const passOn = () => stop.abort(signal.reason);
    if (signal.aborted) passOn();
    signal.addEventListener("abort", passOn, { once: true });
    const { retryPeriodMs } = this.#options;
    const balancing = this.#repeat(retryPeriodMs / 2, stop.signal, () => this.#balance());
    const lost = await this.#keep(stop.signal, callbacks);
    signal.removeEventListener("abort", passOn);
    stop.abort();
    await balancing;
    if (lost) {
      logger.error({ lease: name, identity, shards }, "lost a Lease of the sharding");
      callbacks.onLost();
      return;
    }
    await this.#leave();
  }

  /** Renews what is held until something of it is lost (true) or the signal aborts (false). */
  async #keep(signal: AbortSignal, callbacks: LeadershipCallbacks): Promise<boolean> {
    const { name, identity, logger } = this.#options;
    let lost = false;
    await this.#repeat(this.#options.retryPeriodMs, signal, async () => {
      // Woken too late (the process was stopped): renewing now would hide that a deadline has passed.
      lost = this.#hasLost();
      if (lost) return false;
      this.#renewal = this.#renew();
      await this.#renewal;
      lost = this.#hasLost();
      if (lost || this.#joined || !this.#group.isLeading()) return !lost;
      this.#joined = true;
      logger.info({ lease: name, identity, shards: this.count }, "joined the sharding");
      if (!signal.aborted) callbacks.onStartedLeading(this.#group.tookOver);
      return true;
    });
    return lost;
  }

  #hasLost(): boolean {
    if (!this.#joined) return false;
    return (
      !this.#group.isLeading() || this.#shards.some(({ state, elector }) => state !== "free" && !elector.isLeading())
    );
  }

  async #renew(): Promise<void> {
    const held = this.#shards.filter(({ state }) => state !== "free");
    await Promise.all([
      this.#renewGroup(),
      ...(this.#joined ? [this.#member.tryAcquireOrRenew()] : []),
      ...held.map(({ elector }) => elector.tryAcquireOrRenew()),
    ]);
  }

  /** Others renew it as well, so the version that we know is mostly an old one: then it is read and written again. */
  async #renewGroup(): Promise<void> {
    if (await this.#group.tryAcquireOrRenew()) return;
    if (!this.#joined || this.#group.isLeading()) await this.#group.tryAcquireOrRenew();
  }

  /** Takes what is free up to our share, gives back what is above it. */
  async #balance(): Promise<boolean> {
    const { identity } = this.#options;
    if (!this.#joined || !(await this.#look())) return true;
    const share = fairShare(this.#membership.live(), identity, this.count);
    const held = this.#shards.filter(({ state }) => state === "held");
    for (const shard of held.slice(share)) shard.leaving ??= this.#giveBack(shard);
    const free = this.#shards.filter(({ state, elector }) => state === "free" && elector.isFree);
    await Promise.all(free.slice(0, Math.max(0, share - held.length)).map((shard) => this.#take(shard)));
    return true;
  }

  /** Reads all Leases once: the members', and those of the shards that others hold. False: it cannot be told. */
  async #look(): Promise<boolean> {
    const { client, namespace, logger, name, renewDeadlineMs } = this.#options;
    try {
      const { items } = await client.list(leaseResource, { namespace, maxRetries: 0, timeoutMs: renewDeadlineMs / 2 });
      const named = new Map(items.map((lease) => [lease.metadata.name, lease]));
      for (const { state, lease, elector } of this.#shards) {
        const record = named.get(lease);
        if (record !== undefined && state === "free") elector.see(record);
      }
      this.#membership.see(items.filter((lease) => lease.metadata.name.startsWith(this.#memberPrefix)));
      this.#problem = undefined;
      await this.#bury();
      return true;
    } catch (error) {
      if (this.#problem === undefined)
        logger.warn({ lease: name, error }, "cannot see the Leases of the other replicas");
      this.#problem = `the Leases of the other replicas cannot be listed: ${error instanceof Error ? error.message : "?"}`;
      return false;
    }
  }

  /** The first of the members removes what the dead left. */
  async #bury(): Promise<void> {
    if (this.#membership.live()[0] !== this.#options.identity) return;
    await Promise.all(this.#membership.forgotten().map((lease) => this.#delete(lease)));
  }

  async #take(shard: Shard): Promise<void> {
    const { logger, metrics, identity } = this.#options;
    if (!(await shard.elector.tryAcquireOrRenew())) return;
    shard.state = "held";
    metrics.leading(shard.lease, true);
    logger.info({ lease: shard.lease, identity }, "took a shard");
    for (const listener of this.#listeners) listener.gained(shard.index, shard.elector.tookOver);
  }

  /** Ends the work on a shard, then our hold on it. */
  async #giveBack(shard: Shard): Promise<void> {
    const { logger, metrics, identity } = this.#options;
    logger.info({ lease: shard.lease, identity, active: shard.active }, "giving a shard back");
    await shard.drain();
    shard.state = "free";
    // A renewal that is on its way would be written over our release, or under it.
    await this.#renewal;
    for (const listener of this.#listeners) listener.released(shard.index);
    await shard.elector.release();
    metrics.leading(shard.lease, false);
    shard.leaving = undefined;
  }

  /**
   * Gives everything back. The group's Lease is left to run out: whether others still work under it cannot be known, and
   * whoever waits for it (another N, a single leader) must not begin before they have ended.
   */
  async #leave(): Promise<void> {
    // What is still being worked on, because its end could not be waited for, is left to run out.
    const idle = this.#shards.filter(({ state, active }) => state !== "free" && active === 0);
    await Promise.all(idle.map((shard) => (shard.leaving ??= this.#giveBack(shard))));
    if (this.#joined) await this.#delete(this.#memberLease);
  }

  async #delete(lease: string): Promise<void> {
    const { client, namespace, logger } = this.#options;
    try {
      await client.delete(leaseResource, { namespace, name: lease }, undefined, { unguarded: true, maxRetries: 0 });
    } catch (error) {
      if (!isNotFound(error)) logger.warn({ lease, error }, "cannot delete the Lease of a replica that is gone");
    }
  }

  /** Runs `step` each period until it returns false or the signal aborts. */
  async #repeat(periodMs: number, signal: AbortSignal, step: () => Promise<boolean>): Promise<void> {
    const { clock, random } = this.#options;
    while (!signal.aborted && (await step())) await clock.sleep(periodMs * (0.9 + 0.2 * random()), signal);
  }
}
