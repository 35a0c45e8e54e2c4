// Random sequences of everything that can happen to two objects and two places, on the real servers, held against the
// model (look.ts) each time that the operator has come to rest. A failure prints its seed and path; how to replay it is
// told in CONTRIBUTING.md.
import * as fc from "fast-check";
import { afterAll, beforeAll, test } from "vitest";
import { scenarios } from "./moves.ts";
import { play } from "./run.ts";
import { Servers } from "./servers.ts";

const runs = Number(process.env["MODEL_RUNS"] ?? 25);
/** ms; a machine under load is slow, not broken. */
const perRun = 20_000;

let servers: Servers;
beforeAll(async () => {
  servers = await Servers.open();
});
afterAll(() => servers[Symbol.asyncDispose]());

test(
  "whatever happens, the operator comes to rest where the model says",
  async () => {
    const seed = process.env["MODEL_SEED"];
    const path = process.env["MODEL_PATH"];
    await fc.assert(
      fc.asyncProperty(scenarios, (scenario) => play(servers, scenario)),
      {
        numRuns: runs,
        // Each attempt to make a failing sequence shorter costs seconds.
        interruptAfterTimeLimit: runs * perRun,
        markInterruptAsFailure: false,
        ...(seed !== undefined && { seed: Number(seed) }),
        ...(path !== undefined && { path, endOnFailure: true }),
      },
    );
  },
  runs * perRun + 300_000,
);
