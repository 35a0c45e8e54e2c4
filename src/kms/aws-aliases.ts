// Which keys the aliases of one region and role stand for, as far as KMS's answers have shown. An alias can be pointed at
// another key at any time: that it stood for a key is believed for a while, that it did not only so long that a thousand
// values of a wrong key do not ask a thousand times.
import type { Clock } from "../base/clock.ts";

/** That an alias no longer stands for a key is noticed after this time, ms. */
const believedMs = 300_000;
/** That an alias has come to stand for a key is noticed after this time, ms. */
const askedAgainMs = 5_000;

interface Seen {
  /** Key that it stood for when it was asked last with success. */
  keyArn?: string;
  until: number;
  /** Keys that it did not stand for. */
  readonly others: Set<string>;
  othersUntil: number;
}

/** Aliases are told apart by their names. */
export class Aliases {
  readonly #clock: Clock;
  readonly #seen = new Map<string, Seen>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether an alias stands for the key with that ARN; undefined: KMS has to be asked. */
  standsFor(alias: string, keyArn: string): boolean | undefined {
    const seen = this.#of(alias);
    if (seen.keyArn === keyArn && this.#clock.monotonic() < seen.until) return true;
    return seen.others.has(keyArn) ? false : undefined;
  }

  /** KMS has said whether it does. */
  learn(alias: string, keyArn: string, standsForIt: boolean): void {
    const seen = this.#of(alias);
    if (standsForIt) {
      seen.others.delete(keyArn);
      seen.keyArn = keyArn;
      seen.until = this.#clock.monotonic() + believedMs;
    } else {
      seen.others.add(keyArn);
      if (seen.keyArn === keyArn) delete seen.keyArn;
    }
  }

  #of(alias: string): Seen {
    const now = this.#clock.monotonic();
    const seen = this.#seen.get(alias) ?? { until: now, others: new Set(), othersUntil: now };
    this.#seen.set(alias, seen);
    if (now >= seen.othersUntil) {
      seen.others.clear();
      seen.othersUntil = now + askedAgainMs;
    }
    return seen;
  }
}
