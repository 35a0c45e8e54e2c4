// Who takes part in a division of work, and how much falls to whom. Each replica keeps a Lease of its own; whoever's has
// not changed for the lease duration, on our own clock, is gone. Everybody comes to the same numbers by himself; where
// two see different members for a moment, the Leases of the shards still let nobody hold what another does.
import type { Clock } from "../base/clock.ts";
import type { Lease } from "./lease.ts";

/** A member's Lease that nobody has renewed for so long belongs to a process that will never come back, ms. */
const forgottenAfterMs = 600_000;

interface Seen {
  readonly identity: string;
  readonly renewTime: string | undefined;
  /** Monotonic: when the record was first seen like this. */
  readonly at: number;
  /** It was old already when we first saw it. A living member corrects that with its next renewal. */
  readonly isLeftOver: boolean;
}

/** The members' Leases as last listed. */
export class Membership {
  readonly #clock: Clock;
  readonly #leaseDurationMs: number;
  #seen = new Map<string, Seen>();

  constructor(clock: Clock, leaseDurationMs: number) {
    this.#clock = clock;
    this.#leaseDurationMs = leaseDurationMs;
  }

  /** Takes note of a complete list. */
  see(leases: readonly Lease[]): void {
    const at = this.#clock.monotonic();
    const next = new Map<string, Seen>();
    for (const { metadata, spec } of leases) {
      const { holderIdentity: identity = "", renewTime } = spec ?? {};
      const known = this.#seen.get(metadata.name);
      const same = known !== undefined && known.identity === identity && known.renewTime === renewTime;
      const isLeftOver = known === undefined && this.#isOld(renewTime);
      next.set(metadata.name, same ? known : { identity, renewTime, at, isLeftOver });
    }
    this.#seen = next;
  }

  /** Identities of the living, sorted. */
  live(): readonly string[] {
    const now = this.#clock.monotonic();
    return [...this.#seen.values()]
      .filter(({ identity, at, isLeftOver }) => identity !== "" && !isLeftOver && now - at < this.#leaseDurationMs)
      .map(({ identity }) => identity)
      .toSorted();
  }

  /** By the wall clocks, which may be wrong: good enough to tell who is probably gone, never who may be followed. */
  #isOld(renewTime: string | undefined): boolean {
    return renewTime !== undefined && this.#clock.now() - Date.parse(renewTime) > this.#leaseDurationMs;
  }

  /** Names of the Leases of the long dead. */
  forgotten(): readonly string[] {
    const now = this.#clock.monotonic();
    return [...this.#seen].filter(([, { at }]) => now - at > forgottenAfterMs).map(([name]) => name);
  }
}

/**
 * How many shards fall to a member: as equally as whole numbers allow, the first ones in order take one more.
 * @param members sorted; everybody's shares together are `shards`
 * @returns 0 for who is no member
 */
export function fairShare(members: readonly string[], identity: string, shards: number): number {
  const rank = members.indexOf(identity);
  if (rank < 0) return 0;
  return Math.floor(shards / members.length) + (rank < shards % members.length ? 1 : 0);
}
