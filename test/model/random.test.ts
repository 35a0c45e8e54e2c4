// Random sequences of everything that can happen to two objects and two places, on the real servers, held against the
// model (look.ts) each time that the operator has come to rest. A failure prints its seed and path; how to replay it is
// told in CONTRIBUTING.md.
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { scenarios } from "./moves.ts";
import { TooManyWorlds } from "./belief.ts";
import { play } from "./run.ts";
import { Servers } from "./servers.ts";

const runs = Number(process.env["MODEL_RUNS"] ?? 15);
/** In all, with making a failing sequence shorter, ms. What is left of the runs then is left out. */
const budgetMs = Number(process.env["MODEL_SECONDS"] ?? 100) * 1_000;

/** The same sequences each time, so that a change is judged by what it changed; others by MODEL_SEED. */
const usualSeed = "20261124";

let servers: Servers;
beforeAll(async () => {
  servers = await Servers.open();
});
afterAll(() => servers[Symbol.asyncDispose]());

test(
  "whatever happens, the operator comes to rest where the model says",
  async () => {
    const { MODEL_SEED: seed = usualSeed, MODEL_PATH: path } = process.env;
    let played = 0;
    const property = fc.asyncProperty(scenarios, async (scenario) => {
      try {
        await play(servers, scenario);
      } catch (error) {
        // Another sequence is drawn in its place.
        fc.pre(!(error instanceof TooManyWorlds));
        throw error;
      }
      played += 1;
    });
    await fc.assert(property, {
      numRuns: runs,
      interruptAfterTimeLimit: budgetMs,
      seed: Number(seed),
      ...(path !== undefined && { path, endOnFailure: true }),
    });
    process.stderr.write(`the model agreed with ${played} sequences\n`);
    expect(played, "sequences that were played to their end").toBeGreaterThan(0);
  },
  budgetMs + 60_000,
);
