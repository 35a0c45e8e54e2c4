// The webhook's own bound on what it asks the key services. It shares their quotas with the reconciler: a flood of
// reviews must not take them all, so whoever cannot be let in soon goes without an answer. An object may have tens of
// thousands of entries: what is set up is set up per object, and no entry is waited for after its object was refused.
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
 * signal aborts, whatever it does itself. Objects (calls, by identity) take turns; once an entry of one has waited in
 * vain, none of its others is let in any more.
 * @returns a Decryptor that also throws `KMSThrottled` (not let in) and `KMSUnavailable` (aborted) of its own
 */
export function throughTurnstile(decryptor: Decryptor, options: TurnstileOptions): Decryptor {
  const turnstile = new Turnstile(options);
  return {
    async decrypt(request, call) {
      const visit = turnstile.visitOf(call);
      await turnstile.enter(visit);
      return await beforeEnd(
        decryptor.decrypt(request, call).finally(() => turnstile.leave()),
        visit,
      );
    },
  };
}

/** One object: what its entries have in common. */
interface Visit {
  /** Why no entry is let in any more. */
  refusal: OperatorError | undefined;
  /** In the order of asking. */
  waiting: Waiting[];
  /** Set while any waits: ends the wait of the one that has waited longest. */
  patience: Timer | undefined;
  /** Rejects what is under way. */
  readonly underWay: Set<(error: OperatorError) => void>;
}

interface Waiting {
  /** Monotonic, ms. */
  readonly since: number;
  readonly enter: () => void;
  readonly refuse: (error: OperatorError) => void;
}

class Turnstile {
  readonly #clock: Clock;
  readonly #limiter: RateLimiter | undefined;
  readonly #waitMs: number;
  readonly #visits = new WeakMap<DecryptCall, Visit>();
  /** Those with entries that wait, in the order of their turns. */
  readonly #line = new Set<Visit>();
  #free: number;
  #isAdmitting = false;
  /** A turn of the limiter's that nobody was there to take. */
  #hasTurn = false;

  constructor({ clock, perSecond, inFlight, waitMs = 1_000 }: TurnstileOptions) {
    this.#clock = clock;
    // A quarter of a second's worth at once: an object with many entries is not spread over time.
    if (perSecond !== undefined) {
      this.#limiter = new RateLimiter({ perSecond, burst: Math.max(1, Math.ceil(perSecond / 4)) }, clock);
    }
    this.#waitMs = waitMs;
    this.#free = inFlight;
  }

  visitOf(call: DecryptCall): Visit {
    const known = this.#visits.get(call);
    if (known !== undefined) return known;
    const visit: Visit = { refusal: undefined, waiting: [], patience: undefined, underWay: new Set() };
    this.#visits.set(call, visit);
    const abort = (): void => {
      const error = outOfTime();
      this.#refuse(visit, error);
      for (const reject of visit.underWay) reject(error);
    };
    call.signal?.addEventListener("abort", abort, { once: true });
    if (call.signal?.aborted === true) abort();
    return visit;
  }

  /** @throws OperatorError `KMSThrottled`, `KMSUnavailable` when the signal aborts */
  async enter(visit: Visit): Promise<void> {
    if (visit.refusal !== undefined) throw visit.refusal;
    const turn = Promise.withResolvers<void>();
    visit.waiting.push({ since: this.#clock.monotonic(), enter: turn.resolve, refuse: turn.reject });
    visit.patience ??= this.#clock.after(this.#waitMs, () => this.#lose(visit));
    this.#line.add(visit);
    void this.#admit();
    await turn.promise;
    if (visit.refusal === undefined) return;
    // The signal aborted between being let in and getting here.
    this.leave();
    throw visit.refusal;
  }

  leave(): void {
    this.#free += 1;
    void this.#admit();
  }

  /** Lets in who may be. One at a time asks the limiter, whoever waits. */
  async #admit(): Promise<void> {
    if (this.#isAdmitting) return;
    this.#isAdmitting = true;
    while (this.#free > 0 && this.#line.size > 0) {
      if (!this.#hasTurn) await this.#limiter?.turn();
      this.#hasTurn = !this.#letIn();
    }
    this.#isAdmitting = false;
  }

  /** @returns whether there was anybody */
  #letIn(): boolean {
    const [visit] = this.#line;
    const next = visit?.waiting.shift();
    if (visit === undefined || next === undefined) return false;
    this.#line.delete(visit);
    if (visit.waiting.length > 0) this.#line.add(visit);
    else stopWaiting(visit);
    this.#free -= 1;
    next.enter();
    return true;
  }

  #lose(visit: Visit): void {
    const [oldest] = visit.waiting;
    const leftMs = (oldest?.since ?? 0) + this.#waitMs - this.#clock.monotonic();
    if (leftMs > 0) visit.patience = this.#clock.after(leftMs, () => this.#lose(visit));
    else this.#refuse(visit, notLetIn());
  }

  #refuse(visit: Visit, error: OperatorError): void {
    visit.refusal = error;
    this.#line.delete(visit);
    stopWaiting(visit);
    for (const { refuse } of visit.waiting.splice(0)) refuse(error);
  }
}

function stopWaiting(visit: Visit): void {
  visit.patience?.cancel();
  visit.patience = undefined;
}

/** The answer, or what rejects everything that is under way for the object. */
function beforeEnd<T>(answer: Promise<T>, { underWay }: Visit): Promise<T> {
  return new Promise((resolve, reject) => {
    underWay.add(reject);
    void answer.then(resolve, reject).finally(() => underWay.delete(reject));
  });
}

function notLetIn(): OperatorError {
  return new OperatorError(
    "KMSThrottled",
    "the webhook's own limit on requests to KMS is reached (--kms-qps, --kms-max-in-flight)",
  );
}

function outOfTime(): OperatorError {
  return new OperatorError("KMSUnavailable", "there was no answer within the time that the API server waits for us");
}
