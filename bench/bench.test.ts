// The pure parts of the bench: what it reads of logs, metrics and profiles, and what it makes of lists of numbers.
import { describe, expect, test } from "vitest";
import { parseRequest } from "./audit-tail.ts";
import { topOf } from "./profile.ts";
import { sumOf } from "./prometheus.ts";
import { rounded, table, verdict } from "./report.ts";
import { latencyOf, median, percentile } from "./stats.ts";

describe("numbers", () => {
  test("percentiles by nearest rank", () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect([0, 0.01, 0.5, 0.99, 1].map((share) => percentile(values, share))).toEqual([1, 1, 50, 99, 100]);
    expect(median([3, 1, 2])).toBe(2);
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
  });
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
  expect(table([met, missed, told]).split("\n").slice(1)).toEqual([
    "a       1 ms      at most 1  ok",
    "b       1.1 ms    at most 1  MISSED",
    "c       5 x                          as it is",
  ]);
});
