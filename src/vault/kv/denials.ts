// Calls that Vault denied although we could do without them: asked again at most once an hour, so that a policy
// written for the original costs no refused request at every resync.
import { LRUCache } from "lru-cache";
import type { Clock } from "../../base/clock.ts";

const askAgainMs = 3_600_000;
/** More objects than this only ask more often. */
const most = 50_000;

/** Remembers denials by a key of the caller's. */
export class Denials {
  readonly #denied: LRUCache<string, { readonly until: number; readonly reason: string }>;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#denied = new LRUCache({ max: most });
  }

  /** True when the call was denied less than an hour ago. */
  has(key: string): boolean {
    return this.reason(key) !== undefined;
  }

  /** What was given as the reason of a denial less than an hour ago. */
  reason(key: string): string | undefined {
    const denied = this.#denied.get(key);
    return denied !== undefined && this.#clock.monotonic() < denied.until ? denied.reason : undefined;
  }

  add(key: string, reason = ""): void {
    this.#denied.set(key, { until: this.#clock.monotonic() + askAgainMs, reason });
  }

  delete(key: string): void {
    this.#denied.delete(key);
  }
}
