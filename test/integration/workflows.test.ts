// The workflows are what GitHub takes for workflows, by the checker that knows its syntax and the actions' inputs.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { timedProgress } from "../../tools/toolchain/progress.ts";
import { resolveToolchain } from "../../tools/toolchain/resolve.ts";
import { run } from "../../tools/toolchain/run.ts";

const directory = join(import.meta.dirname, "..", "..", ".github", "workflows");

test("actionlint finds nothing in the workflows", async () => {
  const { actionlint } = await resolveToolchain(["actionlint"], timedProgress(process.stderr));
  const files = readdirSync(directory).map((name) => join(directory, name));
  // What it would ask shellcheck and pyflakes depends on the machine.
  const { output } = await run(actionlint, ["-shellcheck=", "-pyflakes=", "-no-color", ...files], {
    timeoutMs: 60_000,
  });
  expect(output).toBe("");
});
