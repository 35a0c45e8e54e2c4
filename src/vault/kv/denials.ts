// Calls that Vault denied although we could do without them: asked again at most once an hour, so that a policy
// written for the original costs no refused request at every resync.
import { LRUCache } from "lru-cache";
import type { Clock } from "../../base/clock.ts";

const askAgainMs = 3_600_000;
/** More objects than this only ask more often. */
const most = 50_000;

/** Remembers denials by a key of the caller's. */
export class Denials {
  readonly #until: LRUCache<string, number>;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#until = new LRUCache({ max: most });
  }

  /** True when the call was denied less than an hour ago. */
  has(key: string): boolean {
    return this.#clock.monotonic() < (this.#until.get(key) ?? Number.NEGATIVE_INFINITY);
  }

  add(key: string): void {
    this.#until.set(key, this.#clock.monotonic() + askAgainMs);
  }

  delete(key: string): void {
    this.#until.delete(key);
  }
}
