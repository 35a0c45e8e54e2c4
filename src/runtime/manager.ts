// Starts and stops the parts in the right order. Informers run from the start, so that a follower is ready and takes
// over with full stores; controllers run once this process leads and the stores are complete. Stopping goes the other
// way: no new work, what is in flight finishes, events are written, and only then is the Lease given back.
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Controller } from "./controller.ts";
import type { EventRecorder } from "./events.ts";
import type { Election } from "./leader-election.ts";
import type { KubeObject } from "./objects.ts";
import type { Informer } from "./informer.ts";

/** What the manager needs of an informer, whatever it holds. */
export type ManagedInformer = Pick<
  Informer<KubeObject>,
  "resource" | "synced" | "run" | "hasSynced" | "problem" | "state"
>;

export interface ManagerOptions {
  readonly informers: readonly ManagedInformer[];
  readonly controllers: readonly Controller[];
  /** Absent: this process always leads. */
  readonly elector?: Election;
  /** Called when this process leads. @see LeadershipCallbacks */
  readonly onStartedLeading?: (tookOver: boolean) => void;
  readonly events?: EventRecorder;
  readonly logger: Logger;
  readonly clock: Clock;
  /** What is in flight at a stop may take so long, ms; 20,000. */
  readonly gracefulStopMs?: number;
  /** Called at most once, when the process cannot go on: leadership lost, or a part ended by a bug. It should end it. */
  readonly onFatal: (error: Error) => void;
}

/** For the readiness probe. */
export interface Readiness {
  readonly ready: boolean;
  /** Why not, for people. */
  readonly problems: readonly string[];
}

/** Events may take so long to be written at a stop, ms. */
const eventsFlushMs = 3_000;
/** Reconciles may take so long to end once their signal has aborted, ms. */
const abortedGraceMs = 1_000;

export class Manager {
  readonly #options: ManagerOptions;
  readonly #stopInformers = new AbortController();
  readonly #stopElector = new AbortController();
  readonly #stopping = Promise.withResolvers<void>();
  #informers: Promise<unknown> = Promise.resolve();
  #controllers: Promise<unknown> = Promise.resolve();
  #elector: Promise<void> = Promise.resolve();
  #started: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  #fatal = false;

  constructor(options: ManagerOptions) {
    this.#options = options;
  }

  /** Starts everything; resolves when the controllers run, or when it was stopped before. Never rejects. */
  start(): Promise<void> {
    this.#started ??= this.#start();
    return this.#started;
  }

  /** Stops everything in order; resolves when the Lease is released. Never rejects. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  /** Ready: every informer has synced and follows its resource. Leading or not makes no difference. */
  ready(): Readiness {
    const problems = this.#options.informers.flatMap((informer) => {
      const problem = informer.problem() ?? [];
      return informer.hasSynced() ? problem : [`${informer.resource.plural}: not listed yet`, problem].flat();
    });
    problems.push(...[this.#options.elector?.problem?.() ?? []].flat());
    if (this.#stopped !== undefined) problems.push("stopping");
    return { ready: problems.length === 0, problems };
  }

  /** What every part is at, for people. */
  state(): Readonly<Record<string, unknown>> {
    const { informers, controllers, elector } = this.#options;
    return {
      ...this.ready(),
      ...(elector && { election: elector.state() }),
      informers: informers.map((informer) => informer.state()),
      controllers: controllers.map(({ name, queue }) => ({ name, queue: queue.state() })),
    };
  }

  async #start(): Promise<void> {
    const { informers, controllers, events, elector, logger } = this.#options;
    events?.start();
    const signal = this.#stopInformers.signal;
    this.#informers = this.#watchOver(Promise.all(informers.map((informer) => informer.run(signal))));
    const leading = Promise.withResolvers<void>();
    if (elector === undefined) leading.resolve();
    else {
      const onStartedLeading = (tookOver: boolean): void => {
        this.#options.onStartedLeading?.(tookOver);
        leading.resolve();
      };
      const callbacks = { onStartedLeading, onLost: () => this.#lost() };
      this.#elector = this.#watchOver(elector.run(this.#stopElector.signal, callbacks));
    }
    const prepared = Promise.all([leading.promise, ...informers.map((informer) => informer.synced)]);
    await Promise.race([prepared, this.#stopping.promise]);
    if (this.#stopped !== undefined) return;
    this.#controllers = this.#watchOver(Promise.all(controllers.map((controller) => controller.run())));
    logger.info({ controllers: controllers.map(({ name }) => name) }, "controllers started");
  }

  async #stop(): Promise<void> {
    const { controllers, events, logger, gracefulStopMs = 20_000 } = this.#options;
    logger.info({}, "stopping: finishing what is in flight");
    this.#stopping.resolve();
    for (const controller of controllers) controller.stopIntake();
    this.#stopInformers.abort(new Error("the manager is stopping"));
    if (!(await this.#within(this.#controllers, gracefulStopMs))) {
      logger.warn({ gracefulStopMs }, "reconciles still running after the time for a graceful stop, aborting them");
      for (const controller of controllers) controller.abort();
      await this.#within(this.#controllers, abortedGraceMs);
    }
    await events?.stop(eventsFlushMs);
    await this.#within(this.#informers, abortedGraceMs);
    this.#stopElector.abort(new Error("the manager is stopping"));
    await this.#elector;
    logger.info({}, "stopped");
  }

  #lost(): void {
    for (const controller of this.#options.controllers) {
      controller.stopIntake();
      controller.abort();
    }
    this.#fail(new Error("leadership lost: another process may be writing now"));
  }

  /** A part that rejects has a bug: it must not go unnoticed, nor leave the others running without it. */
  async #watchOver(part: Promise<unknown>): Promise<void> {
    try {
      await part;
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #fail(error: Error): void {
    if (this.#fatal) return;
    this.#fatal = true;
    this.#options.logger.error({ error }, "cannot go on");
    this.#options.onFatal(error);
  }

  /** Whether a promise settles in time. */
  async #within(work: Promise<unknown>, ms: number): Promise<boolean> {
    const late = Promise.withResolvers<boolean>();
    const timer = this.#options.clock.after(ms, () => late.resolve(false));
    const inTime = await Promise.race([work.then(() => true), late.promise]);
    timer.cancel();
    return inTime;
  }
}
