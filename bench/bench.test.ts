// The pure parts of the bench: what it reads of logs, metrics and profiles, and what it makes of lists of numbers.
import { describe, expect, test } from "vitest";
import { parseRequest } from "./audit-tail.ts";
import { burstsOf } from "./life.ts";
import { secondsWithChildren, shareOfOthers } from "./neighbours.ts";
import { topOf } from "./profile.ts";
import { sumOf } from "./prometheus.ts";
import { rounded, table, underNeighbours, verdict } from "./report.ts";
import { settingsOf } from "./settings.ts";
import { latencyOf, median, percentile } from "./stats.ts";
import { until } from "./time.ts";
import { usageByPs, usageOf } from "./usage.ts";

describe("numbers", () => {
  test("percentiles by nearest rank", () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect([0, 0.01, 0.5, 0.99, 1].map((share) => percentile(values, share))).toEqual([1, 1, 50, 99, 100]);
    expect([[3, 1, 2], [4, 1, 2, 9], [7]].map(median)).toEqual([2, 3, 7]);
    expect(latencyOf([5])).toEqual({ count: 1, p50: 5, p99: 5, max: 5 });
    expect(percentile([], 0.5)).toBeNaN();
  });

  test.each([
    [1234.5, "1235"],
    [12.345, "12.3"],
    [0.01234, "0.0123"],
    [7, "7"],
  ])("%d is told as %s", (value, text) => {
    expect(rounded(value)).toBe(text);
  });
});

test("a line of the audit log", () => {
  const line = {
    type: "response",
    time: "2026-01-01T00:00:00.0015Z",
    request: { operation: "update", path: "kv/data/a" },
  };
  expect(parseRequest(JSON.stringify(line))).toEqual({
    at: Date.UTC(2026, 0, 1) + 1.5,
    operation: "update",
    path: "kv/data/a",
    failed: false,
  });
  expect(parseRequest(JSON.stringify({ ...line, error: "permission denied" }))).toMatchObject({ failed: true });
});

test("looks at one place that are close to each other are one refresh", () => {
  const at = (path: string, ...times: number[]) => times.map((time) => ({ path, at: time }));
  expect(burstsOf([...at("a", 0, 1_000, 1_100), ...at("b", 1_050)], 500)).toBe(3);
});

test("a process group's memory and time, by ps", () => {
  const list = "  7  2048 00:01:02\n 70  9999 00:00:01\n  7  1024 1-00:00:00\n  7 0 0:00.50\n";
  expect(usageByPs(7, list)).toEqual({ rssMiB: 3, cpuSeconds: 86_462.5 });
});

test("nobody is in a group that nobody leads", () => {
  expect(usageOf(2 ** 30)).toMatchObject({ rssMiB: 0, cpuSeconds: 0 });
});

test("what others had of the processors", () => {
  const stat = `7 (a name) with) S ${Array.from({ length: 40 }, (_, index) => index + 4).join(" ")}`;
  expect(secondsWithChildren(stat)).toBe((14 + 15 + 16 + 17) / 100);
  expect(shareOfOthers({ all: 100, busy: 50, ours: 10 }, { all: 200, busy: 100, ours: 40 })).toBe(0.2);
});

test("waiting ends, and says what it waited for", async () => {
  let looks = 0;
  const third = async () => {
    looks += 1;
    return looks === 3 ? "seen" : undefined;
  };
  await expect(until("a third look", third, { everyMs: 1 })).resolves.toBe("seen");
  const never = until("a wonder", async () => undefined, { timeoutMs: 5, everyMs: 1 });
  await expect(never).rejects.toThrow("a wonder");
});

test("flags", () => {
  expect(settingsOf(["--help"])).toBeUndefined();
  expect(settingsOf(["--quick", "--objects", "7"])).toMatchObject({ objects: 7, largest: 1_000, rounds: 1 });
  expect(settingsOf(["--subject", "x"])?.scenarios.slice(-2)).toEqual(["ours", "subject"]);
  for (const args of [["--engine=v3"], ["--keys=0"], ["--objects=many"]]) {
    expect(() => settingsOf(args)).toThrow(String(args).slice(0, 6));
  }
});

test("samples of a metric are summed by their labels", () => {
  const text = `# TYPE calls counter\ncalls{verb="GET",code="200"} 3\ncalls{verb="GET",code="404"} 1\ncalls{verb="PUT"} 5\ncalls_bucket{verb="GET"} 9\n`;
  expect(sumOf(text, "calls", (labels) => labels.includes('verb="GET"'))).toBe(4);
});

test("the top of a profile is told by the functions' own time", () => {
  const frame = (functionName: string) => ({ functionName, url: "file:///x/main.js", lineNumber: 9 });
  const nodes = [
    { id: 1, callFrame: frame("sign") },
    { id: 2, callFrame: frame("") },
    { id: 3, callFrame: frame("sign") },
  ];
  const profile = { nodes, samples: [1, 2, 3, 1], timeDeltas: [1_000, 500, 2_000, 1_000] };
  expect(topOf(profile, 2)).toEqual([
    { name: "sign main.js:10", ms: 4 },
    { name: "(anonymous) main.js:10", ms: 0.5 },
  ]);
});

test("a figure stands next to its target", () => {
  const met = { name: "a", value: 1, unit: "ms", atMost: 1 };
  const missed = { name: "b", value: 1.1, unit: "ms", atMost: 1 };
  const told = { name: "c", value: 5, unit: "x", note: "as it is" };
  expect([met, missed, told].map(verdict)).toEqual(["ok", "MISSED", undefined]);
  const [time, calls] = [met, { ...met, unit: "" }];
  expect(underNeighbours([time, calls, told], 0.5).map(verdict)).toEqual(["disturbed", "ok", undefined]);
  expect(underNeighbours([time, calls, told], 0.01).map(verdict)).toEqual(["ok", "ok", undefined]);
  expect([0, 1, 2].map((value) => verdict({ ...told, value, exactly: 1 }))).toEqual(["MISSED", "ok", "MISSED"]);
  expect(table([met, missed, told]).split("\n").slice(1)).toEqual([
    "a       1 ms      at most 1  ok",
    "b       1.1 ms    at most 1  MISSED",
    "c       5 x                          as it is",
  ]);
});
