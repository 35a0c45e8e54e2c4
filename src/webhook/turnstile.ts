// The webhook's own bound on what it asks the key services. It shares their quotas with the reconciler: a flood of
// reviews must not take them all, so whoever cannot be let in soon goes without an answer.
import type { Clock, Timer } from "../base/clock.ts";
import { OperatorError } from "../base/errors.ts";
import { RateLimiter } from "../base/rate-limit.ts";
import type { DecryptCall, Decryptor } from "../kms/cipher.ts";

export interface TurnstileOptions {
  readonly clock: Clock;
  /** Calls per second; absent: no limit. */
  readonly perSecond?: number;
  /** Calls under way at once. */
  readonly inFlight: number;
  /** Longest wait to be let in, ms. Default 1000. */
  readonly waitMs?: number;
}

/**
 * The same Decryptor, which is not asked when it would take too long to be let in, and not waited for when the call's
 * signal aborts, whatever it does itself.
 * @returns a Decryptor that also throws `KMSThrottled` (not let in) and `KMSUnavailable` (aborted) of its own
 */
export function throughTurnstile(decryptor: Decryptor, options: TurnstileOptions): Decryptor {
  const turnstile = new Turnstile(options);
  return {
    async decrypt(request, call) {
      await turnstile.enter(call.signal);
      const answer = decryptor.decrypt(request, call).finally(() => turnstile.leave());
      return await beforeAbort(answer, call.signal);
    },
  };
}

class Turnstile {
  readonly #clock: Clock;
  readonly #limiter: RateLimiter | undefined;
  readonly #waitMs: number;
  readonly #waiting = new Set<() => void>();
  #free: number;

  constructor({ clock, perSecond, inFlight, waitMs = 1_000 }: TurnstileOptions) {
    this.#clock = clock;
    // A quarter of a second's worth at once: an object with many entries is not spread over time.
    if (perSecond !== undefined) {
      this.#limiter = new RateLimiter({ perSecond, burst: Math.max(1, Math.ceil(perSecond / 4)) }, clock);
    }
    this.#waitMs = waitMs;
    this.#free = inFlight;
  }

  /** @throws OperatorError `KMSThrottled`, `KMSUnavailable` when the signal aborts */
  async enter(signal: DecryptCall["signal"]): Promise<void> {
    const giveUp = new AbortController();
    const abort = () => giveUp.abort();
    const timer: Timer = this.#clock.after(this.#waitMs, abort);
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted === true) abort();
    try {
      await this.#place(giveUp.signal);
      await this.#limiter?.turn(giveUp.signal);
      if (!giveUp.signal.aborted) return;
      this.leave();
    } catch (error) {
      if (!giveUp.signal.aborted) throw error;
    } finally {
      timer.cancel();
      signal?.removeEventListener("abort", abort);
    }
    if (signal?.aborted === true) throw outOfTime();
    throw new OperatorError(
      "KMSThrottled",
      "the webhook's own limit on requests to KMS is reached (--kms-qps, --kms-max-in-flight)",
    );
  }

  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free += 1;
    else next();
  }

  /** Rejects when the signal aborts first. */
  #place(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const done = (settle: () => void) => () => {
        this.#waiting.delete(enter);
        signal.removeEventListener("abort", fail);
        settle();
      };
      const enter = done(resolve);
      const fail = done(() => reject(new Error("gave up")));
      this.#waiting.add(enter);
      signal.addEventListener("abort", fail, { once: true });
    });
  }
}

function beforeAbort<T>(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return answer;
  return new Promise((resolve, reject) => {
    const abort = () => reject(outOfTime());
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    void answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

function outOfTime(): OperatorError {
  return new OperatorError("KMSUnavailable", "there was no answer within the time that the API server waits for us");
}
