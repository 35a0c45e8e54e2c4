// Workers between a queue and a reconciler. The reconciler gets a name, never an event or an object, and says only
// whether and when it wants to be called again; what it throws is logged, counted and tried again with backoff.
import type { Clock } from "../base/clock.ts";
import { asOperatorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { noMetrics, type Priority, type RuntimeMetrics } from "./metrics.ts";
import { type Request, requestOf } from "./objects.ts";
import type { WorkQueue } from "./workqueue.ts";

/** What a reconciler wants next. Without `requeueAfterMs` it awaits a change. */
export interface Result {
  readonly requeueAfterMs?: number;
  /** Of that requeue; `low` when absent. */
  readonly priority?: Priority;
}

/**
 * Brings one object to its desired state. Called for an object that is gone, too.
 * A thrown error is retried with the key's backoff, unless it is an OperatorError whose `retry` is `terminal`: that one
 * waits for a change, so a reconciler that also wants its resync catches it and returns `requeueAfterMs`.
 * @param signal aborts when a stop can wait no longer
 */
export type Reconcile = (request: Request, signal: AbortSignal) => Promise<Result>;

export interface ControllerOptions {
  readonly name: string;
  readonly queue: WorkQueue;
  readonly reconcile: Reconcile;
  /** 16. Never two for one key. */
  readonly maxConcurrentReconciles?: number;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly metrics?: RuntimeMetrics;
}

export class Controller {
  readonly name: string;
  readonly #options: ControllerOptions;
  readonly #metrics: RuntimeMetrics;
  readonly #abort = new AbortController();
  #active = 0;

  constructor(options: ControllerOptions) {
    this.name = options.name;
    this.#options = options;
    this.#metrics = options.metrics ?? noMetrics;
  }

  get queue(): WorkQueue {
    return this.#options.queue;
  }

  /** Works until `stopIntake`; resolves when the last reconcile has ended. */
  async run(): Promise<void> {
    const workers = this.#options.maxConcurrentReconciles ?? 16;
    this.#metrics.maxConcurrentReconciles(this.name, workers);
    await Promise.all(Array.from({ length: workers }, () => this.#work()));
  }

  /** Starts no reconcile any more; the running ones go on. */
  stopIntake(): void {
    this.#options.queue.shutDown();
  }

  /** Aborts the signal of the running reconciles. */
  abort(): void {
    this.#abort.abort(new Error("the controller is stopping"));
  }

  async #work(): Promise<void> {
    const { queue } = this.#options;
    for (let key = await queue.get(); key !== undefined; key = await queue.get()) {
      this.#setActive(1);
      try {
        await this.#reconcile(key);
      } finally {
        queue.done(key);
        this.#setActive(-1);
      }
    }
  }

  async #reconcile(key: string): Promise<void> {
    const { queue, reconcile, clock } = this.#options;
    const startedAt = clock.monotonic();
    const seconds = () => (clock.monotonic() - startedAt) / 1000;
    try {
      const { requeueAfterMs, priority = "low" } = await reconcile(requestOf(key), this.#abort.signal);
      queue.forget(key);
      if (requeueAfterMs !== undefined) queue.addAfter(key, requeueAfterMs, { priority });
      this.#metrics.reconciled(this.name, requeueAfterMs === undefined ? "success" : "requeue_after", seconds());
    } catch (error) {
      this.#failed(key, error);
      this.#metrics.reconciled(this.name, "error", seconds());
    }
  }

  #failed(key: string, error: unknown): void {
    const { queue, logger } = this.#options;
    const { code, retry } = asOperatorError(error);
    const terminal = retry === "terminal";
    this.#metrics.reconcileFailed(this.name, code, terminal);
    const fields = { controller: this.name, object: key, code, error };
    if (this.#abort.signal.aborted) {
      logger.info(fields, "reconcile aborted by the stop");
    } else if (terminal) {
      queue.forget(key);
      logger.error(fields, "reconcile failed, waiting for a change");
    } else {
      // Refused so that others go first; so it does not go before them here either.
      const retryInMs = Math.round(queue.addRateLimited(key, { lower: code === "KMSThrottled" }));
      logger.error({ ...fields, retryInMs }, "reconcile failed, trying again");
    }
  }

  #setActive(change: 1 | -1): void {
    this.#active += change;
    this.#metrics.activeWorkers(this.name, this.#active);
  }
}
