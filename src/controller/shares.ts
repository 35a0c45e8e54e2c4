// Which objects are this replica's to work on. Work is divided by the place in Vault alone, so that all objects which
// may name one place are with one replica, and conflicts, take-overs and removals are decided where everything about
// the place is known. What a path says of its place without asking Vault (claims.ts) is enough for that.
import type { KubeObject } from "../runtime/objects.ts";
import { vaultNamespaceOf } from "../policy/asked.ts";
import { shardOf, type Sharding } from "../runtime/sharding.ts";
import { claimKey } from "../sync/claims.ts";
import type { Place } from "../sync/record.ts";
import { specOf } from "./raw-spec.ts";

/** A place in Vault, as far as a path tells. */
export interface Claim {
  /** Vault namespace; absent: the operator's own. */
  readonly namespace?: string;
  /** See claimKey. */
  readonly place: string;
}

/** A part of all work, or all of it. */
export interface Shares {
  /**
   * Begins work on what is at a place.
   * @returns to be called when it has ended; undefined when it is another replica's
   */
  enter(claim: Claim): (() => void) | undefined;
  /** Whether others may be working on what is not ours. */
  readonly isDivided: boolean;
}

/** Of the only replica that works. */
export const everything: Shares = { enter: () => () => {}, isDivided: false };

/** Of one replica among several. */
export class DividedShares implements Shares {
  readonly isDivided = true;
  readonly #sharding: Sharding;
  readonly #vaultNamespace: string;

  /** @param vaultNamespace the operator's own, "" for the root namespace */
  constructor(sharding: Sharding, vaultNamespace: string) {
    this.#sharding = sharding;
    this.#vaultNamespace = vaultNamespace;
  }

  enter(claim: Claim): (() => void) | undefined {
    return this.#sharding.enter(this.shardOf(claim));
  }

  /** A hash of Vault namespace, mount and logical path. */
  shardOf({ namespace = this.#vaultNamespace, place }: Claim): number {
    return shardOf(JSON.stringify([namespace, place]), this.#sharding.count);
  }
}

/** What an object's spec says of its place; the same for every path that leads there. */
export function claimOf(object: KubeObject): Claim {
  const spec = specOf(object);
  const path = spec?.["path"];
  const namespace = vaultNamespaceOf(spec);
  return { place: typeof path === "string" ? claimKey(path) : "", ...(namespace !== undefined && { namespace }) };
}

/** The same of a place that is known. */
export function claimOn({ namespace, mount, path }: Place["destination"]): Claim {
  return { namespace, place: claimKey(`${mount}/${path}`) };
}
