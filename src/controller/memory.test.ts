import { expect, test } from "vitest";
import type { Status } from "../api/kinds.ts";
import { Memory } from "./memory.ts";

const ours: Status = { created: true };
const stored: Status = { created: false };

test.each([
  ["99", "100", ours],
  ["100", "100", stored],
  ["101", "100", stored],
  ["1000", "999", stored],
])("the store at %s, our patch saved as %s", (resourceVersion, savedAs, expected) => {
  const memory = new Memory();
  memory.remember("uid", ours, savedAs);
  expect(memory.latest("uid", resourceVersion, stored)).toBe(expected);
});

test("once the store has caught up, what it says counts again", () => {
  const memory = new Memory();
  memory.remember("uid", ours, "100");
  expect(memory.latest("uid", "100", stored)).toBe(stored);
  expect(memory.latest("uid", "99", stored)).toBe(stored);
});

test("a status that could not be saved is remembered until the object goes", () => {
  const memory = new Memory();
  memory.remember("uid", ours, undefined);
  expect(memory.latest("uid", "101", undefined)).toBe(ours);
  expect(memory.latest("another uid", "101", undefined)).toBeUndefined();
  memory.forget("uid");
  expect(memory.latest("uid", "101", undefined)).toBeUndefined();
});
