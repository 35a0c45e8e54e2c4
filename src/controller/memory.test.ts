import { expect, test } from "vitest";
import type { Status } from "../api/kinds.ts";
import { Memory } from "./memory.ts";

const ours: Status = { created: true };
const stored: Status = { created: false };

/** An object as it was looked at. */
const metadata = { uid: "uid", name: "n", resourceVersion: "90", creationTimestamp: "2026-01-01T00:00:00Z" };
const object = { apiVersion: "v1", kind: "X", metadata };

/** A memory with a status that was saved under a resourceVersion; undefined: that could not be saved. */
async function withSaved(savedAs: string | undefined): Promise<Memory> {
  const memory = new Memory();
  await memory.save(object, ours, async () => savedAs);
  return memory;
}

test.each([
  ["99", "100", ours],
  ["100", "100", stored],
  ["101", "100", stored],
  ["1000", "999", stored],
])("the store at %s, our patch saved as %s", async (resourceVersion, savedAs, expected) => {
  const memory = await withSaved(savedAs);
  expect(memory.latest("uid", resourceVersion, stored)).toBe(expected);
});

test("once the store has caught up, what it says counts again", async () => {
  const memory = await withSaved("100");
  expect(memory.latest("uid", "99", stored)).toBe(ours);
  memory.storeHas("uid", "100");
  expect(memory.latest("uid", "99", stored)).toBe(stored);
});

test("so also when the watch is faster than the answer, and when nothing changed", async () => {
  const memory = new Memory();
  await memory.save(object, ours, async () => {
    memory.storeHas("uid", "100");
    return "100";
  });
  expect(memory.latest("uid", "99", stored)).toBe(stored);
  await memory.save(object, ours, async () => "90");
  expect(memory.latest("uid", "89", stored)).toBe(stored);
});

test("while it is being saved, and when saving fails, the record of a write is not lost", async () => {
  const memory = new Memory();
  const saving = memory.save(object, ours, async () => {
    expect(memory.latest("uid", "100", stored)).toBe(ours);
    throw new Error("no answer");
  });
  await expect(saving).rejects.toThrow("no answer");
  expect(memory.latest("uid", "100", stored)).toBe(ours);
});

test("a status that could not be saved is remembered until the object goes", async () => {
  const memory = await withSaved(undefined);
  memory.storeHas("uid", "101");
  expect(memory.latest("uid", "101", undefined)).toBe(ours);
  expect(memory.latest("another uid", "101", undefined)).toBeUndefined();
  memory.forget("uid");
  expect(memory.latest("uid", "101", undefined)).toBeUndefined();
});

test("nothing is held of an object that went while its status was being saved", async () => {
  const memory = new Memory();
  await memory.save(object, ours, async () => {
    memory.forget("uid");
    return "100";
  });
  expect(memory.latest("uid", "99", stored)).toBe(stored);
});
