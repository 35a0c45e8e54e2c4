// What certificates of files and those of our own making have in common: a look every little while, a first pair that
// is waited for, later pairs that are passed on, and trouble that is told once and never ends the process.
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { ServingCertificate, ServingPair } from "./serving-certificate.ts";

/** Told by a look: this is the pair to serve. The one that is served already is passed over. */
export type Offer = (pair: ServingPair) => void;

export interface PairLoopOptions {
  /**
   * Looks for the pair to serve. What it throws is logged, once as long as the message stays the same, and it is called
   * again.
   * @returns ms until the next look
   */
  readonly look: (offer: Offer, signal: AbortSignal) => Promise<number>;
  /** ms until the next look after one that threw. */
  readonly retryMs: number;
  /** The constant message of the log line about a look that threw. */
  readonly trouble: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Looks from the first call of `first` on, until it is closed. */
export class PairLoop implements ServingCertificate {
  readonly #options: PairLoopOptions;
  readonly #closing = new AbortController();
  readonly #first = Promise.withResolvers<ServingPair>();
  readonly #listeners: Array<(pair: ServingPair) => void> = [];
  #current: ServingPair | undefined;
  /** What `first` has answered. */
  #handedOut: ServingPair | undefined;
  #running: Promise<void> | undefined;
  #problem: string | undefined;

  constructor(options: PairLoopOptions) {
    this.#options = options;
  }

  async first(signal: AbortSignal): Promise<ServingPair> {
    this.#running ??= this.#run(this.#closing.signal);
    const either = AbortSignal.any([signal, this.#closing.signal]);
    const ended = Promise.withResolvers<never>();
    const end = () => ended.reject(either.reason);
    either.addEventListener("abort", end, { once: true });
    if (either.aborted) end();
    try {
      const first = await Promise.race([this.#first.promise, ended.promise]);
      this.#handedOut = this.#current ?? first;
      return this.#handedOut;
    } finally {
      either.removeEventListener("abort", end);
    }
  }

  onChange(listener: (pair: ServingPair) => void): void {
    this.#listeners.push(listener);
    // It may have changed between the end of `first` and now.
    if (this.#current !== undefined && this.#current !== this.#handedOut) listener(this.#current);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, look, retryMs } = this.#options;
    while (!signal.aborted) {
      let pauseMs = retryMs;
      try {
        pauseMs = await look((pair) => this.#offer(pair), signal);
        this.#recovered();
      } catch (error) {
        if (!signal.aborted) this.#tell(error);
      }
      await clock.sleep(pauseMs, signal);
    }
  }

  #offer({ cert, key }: ServingPair): void {
    const last = this.#current;
    if (last?.cert === cert && last.key === key) return;
    const pair = { cert, key };
    // Before it counts as served: what a listener cannot use is offered again.
    for (const listener of last === undefined ? [] : this.#listeners) listener(pair);
    this.#current = pair;
    this.#first.resolve(pair);
  }

  #tell(error: unknown): void {
    const problem = error instanceof Error ? error.message : String(error);
    if (problem !== this.#problem) {
      this.#options.logger.warn({ error, isServing: this.#current !== undefined }, this.#options.trouble);
    }
    this.#problem = problem;
  }

  #recovered(): void {
    if (this.#problem !== undefined) this.#options.logger.info({}, "the webhook's certificate is in order again");
    this.#problem = undefined;
  }
}
