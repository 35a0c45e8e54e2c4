import { describe, expect, test } from "vitest";
import { findCondition, removeCondition, setCondition } from "./conditions.ts";
import type { Condition } from "./kinds.ts";

const ready: Condition = {
  type: "Ready",
  status: "True",
  reason: "Synced",
  message: "",
  lastTransitionTime: "2026-01-01T00:00:00Z",
};
const reconciling: Condition = { ...ready, type: "Reconciling" };
const later = "2026-01-02T00:00:00Z";

describe("setCondition", () => {
  test("appends a condition of a new type", () => {
    expect(setCondition([ready], reconciling)).toEqual([ready, reconciling]);
  });

  test("keeps the transition time while the status stays, whatever else changes", () => {
    const next = { ...ready, reason: "Other", message: "other", lastTransitionTime: later };
    expect(setCondition([ready, reconciling], next)).toEqual([
      { ...next, lastTransitionTime: ready.lastTransitionTime },
      reconciling,
    ]);
  });

  test("moves the transition time when the status changes", () => {
    const next: Condition = { ...ready, status: "False", lastTransitionTime: later };
    expect(setCondition([reconciling, ready], next)).toEqual([reconciling, next]);
  });

  test("leaves the given list alone", () => {
    const given = Object.freeze([ready]);
    setCondition(given, { ...ready, status: "False" });
    expect(given).toEqual([ready]);
  });
});

test("removeCondition removes the type and nothing else", () => {
  expect(removeCondition([ready, reconciling], "Ready")).toEqual([reconciling]);
  expect(removeCondition([ready], "Reconciling")).toEqual([ready]);
});

test("findCondition finds by type", () => {
  expect(findCondition([ready, reconciling], "Reconciling")).toBe(reconciling);
  expect(findCondition([ready], "Reconciling")).toBeUndefined();
});
