// What one account may ask of KMS in one region, and who may ask next. Urgent calls go before others. Nobody waits long
// for a key service that is slow to let calls in or gives no answer: the workers who would wait are needed by the
// objects of other regions and other key services.
import type { Clock } from "../base/clock.ts";
import { OperatorError } from "../base/errors.ts";
import { AdaptiveRate } from "./adaptive-rate.ts";
import type { DecryptCall } from "./cipher.ts";
import { FairQueue } from "./fair-queue.ts";

/**
 * What came of an attempt. `silent`: no answer. `unsent`: it never got as far as KMS, of which it shows nothing: it was
 * aborted, or there were no credentials for it.
 */
export type Result = "ok" | "refused" | "throttled" | "silent" | "unsent";

/** One attempt under way. */
export interface Turn {
  /** Monotonic, ms. */
  readonly sentAt: number;
  readonly isProbe: boolean;
}

export interface BudgetOptions {
  /** Attempts under way at once. */
  readonly maxInFlight: number;
  /** Attempts per second at most; Infinity: as many as KMS lets through. */
  readonly perSecond: number;
  readonly clock: Clock;
}

/**
 * Longer than this nobody shall wait, ms: an ordinary call for its first turn, an urgent one behind a full line. With so
 * little, those who wait are few, and most workers find their next object, which may be an edit, at once.
 */
const longestWaitMs = 250;
/** So many objects make a line of their kind full: with two kinds, half of the workers that there are by default. */
const fullLine = 4;
/** A full line that has come to take so long, because KMS got slow, is shortened, ms. */
const longestLineMs = 1_000;
/** Share of the newest answer in what is taken for the time that KMS needs. */
const newestShare = 1 / 16;
/** Throttled for so long without a break, nothing gets through, ms. */
const blockedMs = 2_000;

/**
 * `open`: up to `maxInFlight` attempts at once. `suspect`: one got no answer, and none has been heard since; a single
 * attempt (the probe) shows whether the others may go on, and they wait for it. `down`: nor did the probe, or all was
 * throttled; one call at a time is let in to try, the others fail at once. Any answer opens.
 */
type State = "open" | "suspect" | "down";

interface Waiter {
  readonly go: (turn: Turn) => void;
  readonly fail: (error: OperatorError) => void;
}

export class Budget {
  readonly #options: BudgetOptions;
  readonly #rate: AdaptiveRate;
  readonly #urgent = new FairQueue<DecryptCall, Waiter>();
  readonly #ordinary = new FairQueue<DecryptCall, Waiter>();
  /** Calls of which one entry was let in: the others are, too, however long it takes, unless the line is shortened. */
  readonly #letIn = new WeakSet<DecryptCall>();
  #state: State = "open";
  /** Why it is down: the last probe got no answer, or else was throttled. */
  #isSilent = false;
  #isProbing = false;
  /** While down: whose attempt is the probe. */
  #prober: DecryptCall | undefined;
  #inFlight = 0;
  /** How long an answer takes; undefined: none has come yet. */
  #answerMs: number | undefined;
  #answeredAt = Number.NEGATIVE_INFINITY;
  #throttledSince = Number.NEGATIVE_INFINITY;
  #throttledAt = Number.NEGATIVE_INFINITY;
  /** Whether it wakes up by itself when the next turn is due. */
  #isTimed = false;

  constructor(options: BudgetOptions) {
    this.#options = options;
    this.#rate = new AdaptiveRate(options.perSecond);
  }

  /** Attempts per second that KMS's throttling has taught us; undefined while it does not throttle. */
  get learntLimit(): number | undefined {
    const now = this.#options.clock.monotonic();
    return this.#rate.isLowered(now) ? this.#rate.limit(now) : undefined;
  }

  /**
   * Waits for a turn. Whoever gets one gives it back by `leave`.
   * @param call the same for everything that belongs together
   * @param isRetry of an attempt that failed: before those that have not been tried
   * @throws OperatorError `KMSThrottled` or `KMSUnavailable` when there is none to be had soon
   */
  enter(call: DecryptCall, isRetry = false): Turn | Promise<Turn> {
    const refusal = this.#refusal(call, isRetry);
    if (refusal !== undefined) throw refusal;
    if (this.#waiting === 0 && this.#nextInMs() === 0) return this.#start();
    return this.#wait(call, isRetry);
  }

  /** The attempt has ended. */
  leave(turn: Turn, result: Result): void {
    const now = this.#options.clock.monotonic();
    this.#inFlight -= 1;
    if (turn.isProbe) this.#isProbing = false;
    if (result === "silent") this.#heardNothing(turn);
    else if (result === "throttled") this.#wasThrottled(turn, now);
    else if (result !== "unsent") this.#heard(result, now);
    if (result !== "silent" && result !== "unsent") this.#timed(now - turn.sentAt);
    this.#shorten(this.#urgent, 0);
    this.#shorten(this.#ordinary, this.#urgent.size);
    if (!this.#isProbing && this.#waiting === 0) this.#prober = undefined;
    this.#dispatch();
  }

  get #waiting(): number {
    return this.#urgent.size + this.#ordinary.size;
  }

  #refusal(call: DecryptCall, isRetry: boolean): OperatorError | undefined {
    const isDown = this.#state === "down";
    if (isDown && (isRetry || (this.#prober !== undefined && this.#prober !== call))) return this.#trouble();
    if (!this.#letIn.has(call)) {
      if (this.#isTooLong(call.isUrgent === true)) return busy();
      this.#letIn.add(call);
    }
    if (isDown) this.#prober = call;
    return undefined;
  }

  /** Whether somebody new would wait too long, or would have others wait: workers, whom edits of other keys need. */
  #isTooLong(isUrgent: boolean): boolean {
    const [urgent, ordinary] = [this.#urgent, this.#ordinary];
    if (!isUrgent && this.#waitMs(urgent.size + ordinary.owners) > longestWaitMs) return true;
    const isFull = (isUrgent ? urgent : ordinary).owners >= fullLine;
    return isFull && this.#waitMs(isUrgent ? urgent.size : this.#waiting) > longestWaitMs;
  }

  /** Until a turn comes up, with so many entries before it, ms. */
  #waitMs(ahead: number): number {
    const { maxInFlight, clock } = this.#options;
    const isFree = this.#inFlight + ahead < maxInFlight;
    const untilAnsweredMs = isFree ? 0 : ((this.#answerMs ?? 0) * (ahead + 1)) / maxInFlight;
    return Math.max(untilAnsweredMs, this.#rate.waitMs(clock.monotonic(), ahead));
  }

  #timed(ms: number): void {
    this.#answerMs = this.#answerMs === undefined ? ms : this.#answerMs + (ms - this.#answerMs) * newestShare;
  }

  /** @param before entries that go before those of the line */
  #shorten(line: FairQueue<DecryptCall, Waiter>, before: number): void {
    if (line.owners <= fullLine || this.#waitMs(before + line.size) <= longestLineMs) return;
    for (const { owner, entries } of line.cut(fullLine)) {
      this.#letIn.delete(owner);
      for (const { fail } of entries) fail(busy());
    }
  }

  #heard(result: "ok" | "refused", now: number): void {
    this.#answeredAt = now;
    this.#state = "open";
    if (result === "ok") {
      this.#rate.passed(now);
      this.#throttledAt = Number.NEGATIVE_INFINITY;
    }
  }

  #wasThrottled({ sentAt }: Turn, now: number): void {
    this.#answeredAt = now;
    this.#rate.throttled(sentAt, now);
    if (now - this.#throttledAt > blockedMs) this.#throttledSince = now;
    this.#throttledAt = now;
    if (this.#state === "down" || now - this.#throttledSince >= blockedMs) this.#goDown(false);
    else this.#state = "open";
  }

  #heardNothing({ sentAt, isProbe }: Turn): void {
    // Others have been answered since it went: its connection was lost, no more.
    if (sentAt < this.#answeredAt) return;
    if (isProbe && this.#state !== "open") this.#goDown(true);
    else if (this.#state === "open") this.#state = "suspect";
  }

  /** Everybody who waits fails. */
  #goDown(isSilent: boolean): void {
    this.#state = "down";
    this.#isSilent = isSilent;
    const waiting = [...this.#urgent.drain(), ...this.#ordinary.drain()];
    for (const { fail } of waiting) fail(this.#trouble());
  }

  /** For those who pay for what others met: not in the words of those, which name what is not theirs. */
  #trouble(): OperatorError {
    return this.#isSilent ? silent() : busy();
  }

  /** Until the next may go, ms; undefined: when an attempt has ended. */
  #nextInMs(): number | undefined {
    const { maxInFlight, clock } = this.#options;
    const isFree = this.#state === "open" ? this.#inFlight < maxInFlight : !this.#isProbing;
    return isFree ? this.#rate.waitMs(clock.monotonic()) : undefined;
  }

  #start(): Turn {
    this.#rate.take();
    this.#inFlight += 1;
    const isProbe = this.#state !== "open";
    if (isProbe) this.#isProbing = true;
    return { sentAt: this.#options.clock.monotonic(), isProbe };
  }

  #wait(call: DecryptCall, isRetry: boolean): Promise<Turn> {
    return new Promise((resolve, reject) => {
      const { signal, isUrgent = false } = call;
      const lane = isUrgent ? this.#urgent : this.#ordinary;
      const settled = () => signal?.removeEventListener("abort", abort);
      const waiter: Waiter = {
        go: (turn) => {
          settled();
          resolve(turn);
        },
        fail: (error) => {
          settled();
          reject(error);
        },
      };
      const abort = () => {
        lane.remove(call, waiter);
        if (!this.#isProbing && this.#waiting === 0) this.#prober = undefined;
        reject(new OperatorError("KMSUnavailable", "the wait for KMS was cancelled; it is tried again by itself"));
      };
      signal?.addEventListener("abort", abort, { once: true });
      lane.add(call, waiter, isRetry);
      this.#dispatch();
    });
  }

  #dispatch(): void {
    while (this.#waiting > 0) {
      const nextInMs = this.#nextInMs();
      if (nextInMs === 0) {
        const waiter = this.#urgent.shift() ?? this.#ordinary.shift();
        waiter?.go(this.#start());
      } else {
        if (nextInMs !== undefined && !this.#isTimed) void this.#wakeUp(nextInMs);
        return;
      }
    }
  }

  async #wakeUp(inMs: number): Promise<void> {
    this.#isTimed = true;
    // Timers have no finer steps; and one that is due within the same instant would go off without end.
    await this.#options.clock.sleep(Math.ceil(inMs));
    this.#isTimed = false;
    this.#dispatch();
  }
}

function silent(): OperatorError {
  return new OperatorError(
    "KMSUnavailable",
    "KMS, or the service that gives AWS credentials, did not answer others just now, so it was not asked; it is tried again by itself; check network, region and endpoint",
  );
}

/** The text is always the same: it stands in a status, which is not to change with the length of the queue. */
function busy(): OperatorError {
  return new OperatorError(
    "KMSThrottled",
    "KMS is asked as much as its throttling, its speed, or --kms-qps, allows; it is tried again by itself; raise the KMS request quota if it stays so",
  );
}
