// Leader election by a Lease, with client-go's timing and rules. Safety rests on two clocks that never meet: a
// candidate takes over only after it has watched the same record stand still for the lease duration (15 s), and the
// leader stops issuing mutations when its last successful renewal was *sent* longer than the renew deadline (10 s) ago.
// Both are measured on each process's own monotonic clock, so wrong or jumping wall clocks do no harm, and a process
// that was stopped and woken up finds its deadline passed before its first write.
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { OperatorError } from "../base/errors.ts";
import { isAlreadyExists, isConflict, isNotFound } from "./kube-error.ts";
import { noMetrics, type RuntimeMetrics } from "./metrics.ts";
import { type Lease, type LeaseClient, type LeaseSpec, leaseResource, microTime } from "./lease.ts";

export interface LeaderElectorOptions {
  readonly client: LeaseClient;
  readonly namespace: string;
  readonly name: string;
  /** Unique to this process, see holderIdentity. */
  readonly identity: string;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly metrics?: RuntimeMetrics;
  /** How long others wait for a sign of the leader, ms; 15,000. */
  readonly leaseDurationMs?: number;
  /** How long the leader goes on without a successful renewal, ms; 10,000. Must be less than leaseDurationMs. */
  readonly renewDeadlineMs?: number;
  /** Between attempts, ms; 2,000. */
  readonly retryPeriodMs?: number;
  readonly random?: () => number;
}

/** Something that decides whether this process may work: one Lease, or several (sharding.ts). */
export interface Election {
  /** Takes part until leadership is lost or the signal aborts; then all is given back. Never rejects. */
  run(signal: AbortSignal, callbacks: LeadershipCallbacks): Promise<void>;
  /**
   * The guard at each door that leads to a mutation.
   * @throws OperatorError `KubernetesError` when this process may not write (any more)
   */
  assertLeading(): void;
  /** What keeps it from taking part, for people; undefined while nothing does. */
  problem?(): string | undefined;
  /** Where it stands, for people. */
  state(): Readonly<Record<string, unknown>>;
}

/** What `run` tells its caller. */
export interface LeadershipCallbacks {
  /** @param tookOver whether another process may have worked before, so that what we know may lag behind */
  onStartedLeading(tookOver: boolean): void;
  /** The renew deadline has passed: every mutation is refused from now on, and the process should end. */
  onLost(): void;
}

/** client-go's form: the host name (the pod's) and something unique to this process. */
export function holderIdentity(hostname: string, uuid: string): string {
  return `${hostname}_${uuid}`;
}

const defaults = {
  leaseDurationMs: 15_000,
  renewDeadlineMs: 10_000,
  retryPeriodMs: 2_000,
  random: Math.random,
  metrics: noMetrics,
};

export class LeaderElector implements Election {
  readonly #options: LeaderElectorOptions & typeof defaults;
  /** The record as last seen, and when (monotonic) it was first seen like this. */
  #observed: { readonly lease: Lease; readonly at: number } | undefined;
  /** Monotonic: when the last successful renewal was sent; undefined while this process does not lead. */
  #renewedAt: number | undefined;
  #tookOver = false;

  constructor(options: LeaderElectorOptions) {
    this.#options = { ...defaults, ...options };
    const { leaseDurationMs, renewDeadlineMs, retryPeriodMs } = this.#options;
    if (!(leaseDurationMs > renewDeadlineMs && renewDeadlineMs > retryPeriodMs * 1.2)) {
      throw new RangeError("leader election: needs lease duration > renew deadline > 1.2 x retry period");
    }
  }

  /** True while this process holds the Lease and its renew deadline has not passed. */
  isLeading(): boolean {
    const { clock, renewDeadlineMs } = this.#options;
    return this.#renewedAt !== undefined && clock.monotonic() - this.#renewedAt < renewDeadlineMs;
  }

  assertLeading(): void {
    if (!this.isLeading()) {
      throw new OperatorError("KubernetesError", "not the leader (any more): this process writes nothing");
    }
  }

  state(): Readonly<Record<string, unknown>> {
    return { lease: this.#options.name, leading: this.isLeading(), leader: this.leader };
  }

  /** Whether somebody else held the Lease before us. */
  get tookOver(): boolean {
    return this.#tookOver;
  }

  /** Whether the record, as last seen, is ours, nobody's, or its holder has been silent for as long as it asked for. */
  get isFree(): boolean {
    return this.#mayTake(this.#observed?.lease.spec ?? {});
  }

  /** Takes note of the record as a list has it, so that the age of what others hold is known without a call each. */
  see(lease: Lease): void {
    this.#observe(lease);
  }

  /** The holder as last seen; undefined when there is none. */
  get leader(): string | undefined {
    return this.#observed?.lease.spec?.holderIdentity || undefined;
  }

  /** Acquires the Lease and keeps it until it is lost or the signal aborts; then it is released. Never rejects. */
  async run(signal: AbortSignal, callbacks: LeadershipCallbacks): Promise<void> {
    const { clock, logger, metrics, name, identity, retryPeriodMs, random } = this.#options;
    metrics.leading(name, false);
    while (!signal.aborted && !(await this.tryAcquireOrRenew())) {
      await clock.sleep(retryPeriodMs * (1 + 1.2 * random()), signal);
    }
    if (signal.aborted && this.#renewedAt === undefined) return;
    logger.info({ lease: name, identity }, "became the leader");
    metrics.leading(name, true);
    if (!signal.aborted) callbacks.onStartedLeading(this.#tookOver);
    const lost = await this.#keep(signal);
    metrics.leading(name, false);
    if (lost) {
      logger.error({ lease: name, identity, leader: this.leader }, "lost the leadership");
      callbacks.onLost();
    } else {
      await this.release();
    }
  }

  /**
   * One attempt; public for tests of its rules. Never rejects, and is not to be aborted: a write that was sent may
   * count, and then the Lease has to be released.
   * @returns whether this process holds the Lease now
   */
  async tryAcquireOrRenew(): Promise<boolean> {
    const { clock, logger, name } = this.#options;
    const sentAt = clock.monotonic();
    try {
      if (!(await this.#write())) return false;
      // The answer may be a long time coming; what counts is when others could have seen the renewal at the earliest.
      this.#renewedAt = sentAt;
      return true;
    } catch (error) {
      // Losing a race is how an election looks like; next time the winner's record is read.
      // A Lease that was deleted is made anew, and a write without an answer may have changed its version.
      this.#forgetVersion();
      if (!isConflict(error) && !isAlreadyExists(error)) logger.warn({ lease: name, error }, "cannot renew the Lease");
      return false;
    }
  }

  /** Renews until the deadline passes (true) or the signal aborts (false). */
  async #keep(signal: AbortSignal): Promise<boolean> {
    const { clock, retryPeriodMs, renewDeadlineMs } = this.#options;
    while (!signal.aborted) {
      const left = (this.#renewedAt ?? 0) + renewDeadlineMs - clock.monotonic();
      if (left <= 0) break;
      await clock.sleep(Math.min(retryPeriodMs, left), signal);
      // Woken too late (the process was stopped): renewing now would hide that the deadline has passed.
      if (!this.isLeading() || signal.aborted) break;
      await this.tryAcquireOrRenew();
      if (this.#renewedAt === undefined) break;
    }
    const lost = !this.isLeading();
    if (lost) this.#renewedAt = undefined;
    return lost;
  }

  /** Reads (unless our own last record is known), decides, writes. False: someone else holds it. */
  async #write(): Promise<boolean> {
    const { client, namespace, name } = this.#options;
    let lease = this.#renewedAt === undefined ? undefined : this.#observed?.lease;
    if (lease?.metadata.resourceVersion === undefined) lease = await this.#read();
    if (lease === undefined) {
      const kind = { apiVersion: "coordination.k8s.io/v1", kind: "Lease" };
      const body = { ...kind, metadata: { namespace, name }, spec: this.#nextSpec({}) };
      this.#observe(await client.create(leaseResource, { namespace }, body, this.#callOptions()));
      this.#tookOver = false;
      return true;
    }
    if (!this.#mayTake(lease.spec ?? {})) {
      this.#renewedAt = undefined;
      return false;
    }
    if (this.#renewedAt === undefined) this.#tookOver = lease.spec?.holderIdentity !== this.#options.identity;
    const body = { ...lease, spec: this.#nextSpec(lease.spec ?? {}) };
    this.#observe(await client.replace(leaseResource, { namespace, name }, body, this.#callOptions()));
    return true;
  }

  async #read(): Promise<Lease | undefined> {
    const { client, namespace, name } = this.#options;
    try {
      return this.#observe(await client.get(leaseResource, { namespace, name }, this.#callOptions()));
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  #mayTake({ holderIdentity: holder, leaseDurationSeconds }: LeaseSpec): boolean {
    const { clock, identity, leaseDurationMs } = this.#options;
    if (!holder || holder === identity) return true;
    const durationMs = leaseDurationSeconds === undefined ? leaseDurationMs : leaseDurationSeconds * 1000;
    return this.#observed !== undefined && clock.monotonic() - this.#observed.at >= durationMs;
  }

  #observe(lease: Lease): Lease {
    const known = this.#observed;
    const same =
      known !== undefined &&
      known.lease.spec?.holderIdentity === lease.spec?.holderIdentity &&
      known.lease.spec?.renewTime === lease.spec?.renewTime &&
      known.lease.spec?.leaseTransitions === lease.spec?.leaseTransitions;
    this.#observed = { lease, at: same ? known.at : this.#options.clock.monotonic() };
    if (known?.lease.spec?.holderIdentity !== lease.spec?.holderIdentity) {
      this.#options.logger.info({ lease: this.#options.name, leader: this.leader }, "leader seen");
    }
    return lease;
  }

  /** Keeps what was observed (its age decides a take-over) but reads the record again before the next write. */
  #forgetVersion(): void {
    if (this.#observed === undefined) return;
    const { lease, at } = this.#observed;
    const { resourceVersion: _, ...metadata } = lease.metadata;
    this.#observed = { lease: { ...lease, metadata }, at };
  }

  #nextSpec(old: LeaseSpec): LeaseSpec {
    const { identity, leaseDurationMs, clock } = this.#options;
    const now = microTime(clock.now());
    const kept = old.holderIdentity === identity;
    const transitions = old.leaseTransitions ?? 0;
    return {
      ...old,
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
      acquireTime: kept && old.acquireTime !== undefined ? old.acquireTime : now,
      renewTime: now,
      // The first holder of a new Lease is no transition; a holder after an orderly release is.
      leaseTransitions: kept || Object.keys(old).length === 0 ? transitions : transitions + 1,
    };
  }

  /** Gives the Lease back, so that the next one need not wait for it to run out. */
  async release(): Promise<void> {
    const { client, namespace, name, identity, logger, clock } = this.#options;
    this.#renewedAt = undefined;
    try {
      const known = this.#observed?.lease;
      const lease = known?.metadata.resourceVersion === undefined ? await this.#read() : known;
      if (lease?.spec?.holderIdentity !== identity) return;
      const now = microTime(clock.now());
      const { leaseTransitions = 0 } = lease.spec;
      const spec: LeaseSpec = { leaseDurationSeconds: 1, acquireTime: now, renewTime: now, leaseTransitions };
      await client.replace(leaseResource, { namespace, name }, { ...lease, spec }, this.#callOptions());
      logger.info({ lease: name }, "released the leadership");
    } catch (error) {
      logger.warn({ lease: name, error }, "cannot release the Lease; the next leader waits for it to run out");
    }
  }

  #callOptions() {
    return { timeoutMs: this.#options.renewDeadlineMs / 2, maxRetries: 0, unguarded: true };
  }
}
