import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type CacheEntry, cached, cacheRoot, platform } from "./cache.ts";

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "cache-test-"));
});
afterEach(() => rmSync(root, { recursive: true }));

function entry(fill: (directory: string) => Promise<void>): CacheEntry {
  return { root, name: "thing-1", isComplete: (directory) => existsSync(join(directory, "thing")), fill };
}

const make = async (directory: string) => writeFileSync(join(directory, "thing"), "");
const silent = () => {};

test("two runs at once make a thing once", async () => {
  let made = 0;
  const counted = entry(async (directory) => {
    made += 1;
    await make(directory);
  });
  const paths = await Promise.all([cached(counted, silent), cached(counted, silent)]);
  expect(paths).toEqual([join(root, "thing-1"), join(root, "thing-1")]);
  expect(made).toBe(1);
  expect(readdirSync(root)).toEqual(["thing-1"]);
});

test("what could not be finished is not there, and is made at the next run", async () => {
  const broken = entry(async (directory) => {
    writeFileSync(join(directory, "half"), "");
    throw new Error("no space left");
  });
  await expect(cached(broken, silent)).rejects.toThrow("no space left");
  expect(readdirSync(root)).toEqual([]);
  await expect(
    cached(
      entry(async () => {}),
      silent,
    ),
  ).rejects.toThrow("does not hold what it should");
  await cached(entry(make), silent);
  expect(readdirSync(join(root, "thing-1"))).toEqual(["thing"]);
});

test("leftovers of killed runs are removed, and nothing else", async () => {
  mkdirSync(join(root, "thing-1.7f1c"));
  mkdirSync(join(root, "thing-10"));
  await cached(entry(make), silent);
  expect(readdirSync(root).toSorted()).toEqual(["thing-1", "thing-10"]);
});

test("the cache is where the user keeps caches", () => {
  expect(cacheRoot({ XDG_CACHE_HOME: "/cache" })).toBe("/cache/kms-vault-operator/toolchain");
  expect(cacheRoot({ XDG_CACHE_HOME: "" })).toBe(join(homedir(), ".cache/kms-vault-operator/toolchain"));
});

test.each([
  ["linux", "x64", "linux-amd64"],
  ["darwin", "arm64", "darwin-arm64"],
])("%s on %s is %s", (os, cpu, expected) => {
  expect(platform(os, cpu)).toBe(expected);
});
