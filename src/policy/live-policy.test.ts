import { appendFileSync } from "node:fs";
import { mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FakeClock } from "../../test/gen/fake-clock.ts";
import { type LivePolicy, openPolicy } from "./live-policy.ts";
import { loadPolicy } from "./policy-file.ts";

const strict = "rules: [{name: strict, vaultPaths: []}]";
const open = "rules: [{name: open, vaultPaths: ['**']}]";
let directory: string;
let file: string;
let clock: FakeClock;
let policy: LivePolicy;
let lines: string[];
let validity: boolean[];
let changed: number;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "live-policy-"));
  file = join(directory, "policy.yaml");
  await writeFile(file, strict);
  clock = new FakeClock();
  [lines, validity, changed] = [[], [], 0];
  const loaded = await loadPolicy(file);
  if ("problems" in loaded) throw new Error(loaded.problems.join());
  const log = (_: unknown, message: string) => lines.push(message);
  policy = openPolicy({
    loaded,
    clock,
    logger: { debug: log, info: log, warn: log, error: log },
    reportValid: (isValid) => validity.push(isValid),
    labelsOf: () => undefined,
    ownNamespace: "",
    defaultMethod: "token",
    mayNameNamespace: false,
  });
  policy.onChange(() => {
    changed += 1;
  });
  await quiet();
});
afterEach(async () => {
  await policy.close();
  await rm(directory, { recursive: true });
});

/** Lets the file be looked at so many times. */
async function looks(times: number): Promise<void> {
  for (let look = 0; look < times; look += 1) {
    // Looking is real I/O: it has ended once the next look is due.
    await vi.waitFor(() => expect(clock.timers).toBe(1), { interval: 1 });
    await clock.advance(500);
  }
  await vi.waitFor(() => expect(clock.timers).toBe(1), { interval: 1 });
}

/** Lets pass what a file has to stand still for. */
function quiet(): Promise<void> {
  return looks(11);
}

function isAllowed(): boolean {
  return policy.refusals({ namespace: "any", spec: { path: "kv/x" } }).length === 0;
}

test("unchanged, nothing is said", () => {
  expect([lines, validity, changed]).toEqual([[], [true], 0]);
  expect(isAllowed()).toBe(false);
});

test("another file is in force after it stood still for five seconds, and listeners hear of it once", async () => {
  await writeFile(file, open);
  await quiet();
  expect(isAllowed()).toBe(true);
  expect([lines, changed]).toEqual([["policy changed, used from now on"], 1]);
  await looks(3);
  expect(changed).toBe(1);
});

test("what does not stand still yet is not read", async () => {
  await writeFile(file, open);
  await looks(10);
  await writeFile(file, `${open}\n# more is to come`);
  await looks(10);
  expect(isAllowed()).toBe(false);
  await looks(1);
  expect(isAllowed()).toBe(true);
});

test("a link, as a ConfigMap is mounted, is followed at once: what it leads to is written as a whole", async () => {
  const swap = async (text: string): Promise<void> => {
    await writeFile(`${file}.${text.length}`, text);
    await symlink(`${file}.${text.length}`, `${file}.link`);
    await rename(`${file}.link`, file);
  };
  await swap(`${strict} `);
  await looks(2);
  expect(isAllowed()).toBe(false);
  await swap(open);
  await looks(2);
  expect(isAllowed()).toBe(true);
});

test("the same text in another file changes nothing", async () => {
  await writeFile(`${file}.new`, strict);
  await rm(file);
  await writeFile(file, strict);
  await quiet();
  expect([lines, changed]).toEqual([[], 0]);
});

describe("keeps the last good one while the file", () => {
  test.each<[what: string, breakIt: () => Promise<void>]>([
    ["is empty", () => writeFile(file, "")],
    ["is no policy", () => writeFile(file, "rules: [{}]")],
    ["is not there", () => rm(file)],
    ["is too large", () => writeFile(file, `${open}\n# ${"x".repeat(3 * 1024 * 1024)}`)],
  ])("%s", async (_, breakIt) => {
    await breakIt();
    await quiet();
    expect(isAllowed()).toBe(false);
    expect(validity).toEqual([true, false]);
    expect(lines).toEqual(["policy file unusable, keeping the last good one"]);
    await writeFile(file, open);
    await quiet();
    expect(validity.at(-1)).toBe(true);
    expect(isAllowed()).toBe(true);
    expect(lines.slice(1)).toEqual(["policy file is in order again", "policy changed, used from now on"]);
  });

  test("the same problem once, another one again", async () => {
    for (const text of ["", "# touched", "rules: 3"]) {
      await writeFile(file, text);
      await quiet();
    }
    expect(lines).toHaveLength(2);
    await writeFile(file, strict);
    await quiet();
    expect(lines.slice(2)).toEqual(["policy file is in order again"]);
    expect(changed).toBe(0);
  });
});

test("closed, it looks no more", async () => {
  await policy.close();
  expect(clock.timers).toBe(0);
});

test("at the start: a file that changes while it is read is not taken for what it says", async () => {
  await writeFile(file, open);
  const loading = loadPolicy(file);
  const turn = () => new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)));
  while ((await Promise.race([loading, turn()])) === undefined) appendFileSync(file, "#");
  expect(await loading).toEqual({ problems: ["changes while it is read"] });
});

test.each([
  ["missing", (): string => join(directory, "none"), "cannot be read (ENOENT)"],
  ["a directory", (): string => directory, "is not a file"],
])("at the start: %s", async (_, path, problem) => {
  expect(await loadPolicy(path())).toEqual({ problems: [problem] });
});
