import { expect, test } from "vitest";
import { findVersion, fits, formatVersion } from "./version.ts";

test.each([
  ["etcd Version: 3.6.14\nGit SHA: Not provided", "3.6.14"],
  ["Kubernetes v1.37.2", "1.37.2"],
  ["Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0", "1.32.4"],
  ["OpenBao v2.7.2 (9e0a0d3c3504), built 2026-10-26T20:32:27Z", "2.7.2"],
])("the version in %j is %s", (printed, version) => {
  const found = findVersion(printed);
  expect(found && formatVersion(found)).toBe(version);
});

test("what holds no version has none", () => {
  expect(findVersion("usage: moto_server [-h]")).toBeUndefined();
});

test.each([
  ["1.37.2", true],
  ["1.34.0", true],
  ["1.33.9", false],
  ["2.0.0", false],
  ["0.99.0", false],
])("%s fits 1.34.0 or newer: %s", (version, expected) => {
  const found = findVersion(version);
  expect(found && fits(found, { major: 1, minor: 34, patch: 0 })).toBe(expected);
});

test("patches count when major and minor are equal", () => {
  const least = { major: 1, minor: 2, patch: 3 };
  expect(fits({ major: 1, minor: 2, patch: 2 }, least)).toBe(false);
  expect(fits(least, least)).toBe(true);
});
