import { expect, test } from "vitest";
import { parseDuration } from "./duration.ts";

// The vectors are what Go 1.26's time package answers.
test.each([
  ["60s", 60000],
  ["1m30s", 90000],
  ["1.5s", 1500],
  ["100ms", 100],
  ["5us", 0.005],
  ["5µs", 0.005],
  ["5μs", 0.005],
  ["100ns", 0.0001],
  ["1h", 3.6e6],
  ["0", 0],
  ["-5s", -5000],
  ["+5s", 5000],
  ["1", undefined],
  ["", undefined],
  ["s", undefined],
  ["1d", undefined],
  ["1.s", 1000],
  [".5s", 500],
  [".s", undefined],
  ["1h1h", 7.2e6],
  ["1s ", undefined],
  ["1 s", undefined],
  ["1S", undefined],
  ["1e3s", undefined],
  ["2m-3s", undefined],
])("parseDuration(%j)", (text, value) => {
  if (value === undefined) expect(parseDuration(text)).toBeUndefined();
  else expect(parseDuration(text)).toBeCloseTo(value, 9);
});

test.each(["1".repeat(200_000), `${"1".repeat(200_000)}x`, "1s".repeat(100_000), "1.".repeat(100_000)])(
  "a long text is read in one pass (%#)",
  (text) => {
    const { user } = process.cpuUsage();
    parseDuration(text);
    // With backtracking it is minutes.
    expect(process.cpuUsage().user - user).toBeLessThan(2_000_000);
  },
);
