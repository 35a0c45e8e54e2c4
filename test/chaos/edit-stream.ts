// The steady stream of edits under which every fault happens, sent to the API server directly.
import { setTimeout as sleep } from "node:timers/promises";
import type { ChaosWorld } from "./world.ts";

/** At most; while the API server is away, the one edit that is under way is tried again and again. */
export const editsPerSecond = 4;

/** Edits at an even pace, one at a time, until they are stopped. */
export class EditStream implements AsyncDisposable {
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;

  constructor(world: ChaosWorld) {
    this.#running = this.#run(world);
  }

  /** Lets edits happen for so long; fails when they do. */
  async during(ms: number, then: "stop" | "go on" = "go on"): Promise<void> {
    await Promise.race([sleep(ms), this.#running]);
    if (then === "stop") await this.stop();
  }

  /** Resolves when the last edit has been accepted. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #run({ population }: ChaosWorld): Promise<void> {
    while (!this.#abort.signal.aborted) {
      await population.edit();
      await sleep(1_000 / editsPerSecond);
    }
  }
}
