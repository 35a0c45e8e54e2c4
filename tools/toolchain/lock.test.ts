import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { withLock } from "./lock.ts";

const times = { signMs: 20, staleMs: 10_000, pollMs: 5 };
const never = () => {
  throw new Error("nobody else holds the lock");
};

let directory = "";
let file = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "lock-test-"));
  file = join(directory, "thing.lock");
});
afterEach(() => rmSync(directory, { recursive: true }));

test("of two holders the second waits for the first, and says so once", async () => {
  const events: string[] = [];
  let finish = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const first = withLock(file, () => finished.then(() => events.push("first")), never, times);
  await expect.poll(() => readdirSync(directory)).toEqual(["thing.lock"]);
  const waits: number[] = [];
  const second = withLock(
    file,
    async () => events.push("second"),
    (pid) => {
      waits.push(pid);
      finish();
    },
    times,
  );
  await Promise.all([first, second]);
  expect(events).toEqual(["first", "second"]);
  expect(waits).toEqual([process.pid]);
  expect(readdirSync(directory)).toEqual([]);
});

test("the lock of a dead process is taken over", async () => {
  const { pid } = spawnSync("true");
  writeFileSync(file, `${pid} left behind\n`);
  expect(await withLock(file, async () => readFileSync(file, "utf8"), never, times)).toMatch(`${process.pid} `);
  expect(readdirSync(directory)).toEqual([]);
});

test("so is one without a sign of life, whoever has its process id now", async () => {
  writeFileSync(file, `${process.pid} long ago\n`);
  utimesSync(file, 0, 0);
  expect(await withLock(file, async () => "done", never, times)).toBe("done");
});

test("and one that names no process", async () => {
  writeFileSync(file, "");
  expect(await withLock(file, async () => "done", never, times)).toBe("done");
});

test("the lock goes when the work fails", async () => {
  await expect(withLock(file, () => Promise.reject(new Error("no")), never, times)).rejects.toThrow("no");
  expect(readdirSync(directory)).toEqual([]);
});

test("a lock that was taken over is left to its new holder", async () => {
  await withLock(file, async () => writeFileSync(file, "1 somebody else\n"), never, times);
  expect(readFileSync(file, "utf8")).toBe("1 somebody else\n");
});
