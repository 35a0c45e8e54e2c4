// Half an hour of life in three minutes: edits, Partials, objects that come and go, secrets changed by others in Vault,
// while each link fails for a moment again and again. What happens is drawn from a seed, so a failure can be repeated.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, test } from "vitest";
import { survive } from "./fault.ts";
import { type ChaosWorld, startChaos } from "./world.ts";

const seed = 20_261_124;
const warmUpSeconds = 45;
const seconds = 150;
const changesPerSecond = 15;

let world: ChaosWorld;

beforeAll(async () => {
  world = await startChaos();
});
afterAll(() => world[Symbol.asyncDispose]());

test("half an hour of load with short failures of every link", async () => {
  // Memory must not grow with the length of the load: what it is compared with is a shorter one.
  const warmUp = new Load(world, seed - 2);
  warmUp.start();
  await sleep(warmUpSeconds * 1_000);
  await warmUp.stop();
  await world.rest();
  const load = new Load(world, seed);
  await survive(world, {
    name: `half an hour of load in ${seconds} s`,
    begin: async () => load.start(),
    end: () => load.stop(),
    seconds,
    load: () => load.counts,
    recoversWithin: 60,
  });
}, 400_000);

class Load {
  readonly counts = { changes: 0, outages: 1 };
  readonly #world: ChaosWorld;
  readonly #seed: number;
  readonly #abort = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  constructor(it: ChaosWorld, from: number) {
    this.#world = it;
    this.#seed = from;
  }

  start(): void {
    this.#running = Promise.all([this.#change(randomFrom(this.#seed)), this.#fail(randomFrom(this.#seed + 1))]);
  }

  /** @throws what went wrong with the load itself */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
    await this.#world.population.allGo();
  }

  async #change(random: () => number): Promise<void> {
    const { population } = this.#world;
    const anyone = () => Math.floor(random() * population.size);
    while (!this.#abort.signal.aborted) {
      const die = random();
      if (die < 0.75) await population.edit();
      else if (die < 0.85) await population.drift(anyone());
      else if (die < 0.95) await population.comeAndGo();
      else if (die < 0.98) await population.remake(anyone());
      else await this.#editPartial();
      this.counts.changes += 1;
      await sleep((1_000 / changesPerSecond) * 2 * random());
    }
  }

  /** One change for each object that includes it. */
  async #editPartial(): Promise<void> {
    await this.#world.population.editPartial();
    this.counts.changes += this.#world.population.size / 10;
  }

  async #fail(random: () => number): Promise<void> {
    const links = Object.values(this.#world.links);
    while (!this.#abort.signal.aborted) {
      await sleep(2_000 + 4_000 * random());
      const link = links[Math.floor(random() * links.length)];
      const ways = [
        () => link?.cut(),
        () => link?.reset(),
        () => link?.stall("upstream"),
        () => link?.stall("downstream"),
        () => link?.slow(300, 300),
      ];
      await ways[Math.floor(random() * ways.length)]?.();
      this.counts.outages += 1;
      await sleep(500 + 2_000 * random());
      await link?.restore();
    }
  }
}

/** mulberry32: numbers in [0, 1), the same for the same seed. */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
