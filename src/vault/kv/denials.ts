// Calls that Vault denied although we could do without them: asked again at most once an hour, so that a policy
// written for the original costs no refused request at every resync.
import type { Clock } from "../../base/clock.ts";

const askAgainMs = 3_600_000;
/** More objects than this only ask more often. */
const most = 50_000;

/** Remembers denials by a key of the caller's. One for each identity and call: empty it costs nothing. */
export class Denials {
  /** In the order in which they came. */
  readonly #denied = new Map<string, { readonly until: number; readonly reason: string }>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
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
    this.#denied.delete(key);
    const [oldest] = this.#denied.keys();
    if (this.#denied.size >= most && oldest !== undefined) this.#denied.delete(oldest);
    this.#denied.set(key, { until: this.#clock.monotonic() + askAgainMs, reason });
  }

  delete(key: string): void {
    this.#denied.delete(key);
  }
}
