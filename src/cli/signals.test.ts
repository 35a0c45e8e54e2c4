import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { stopOnSignals } from "./signals.ts";

function listening() {
  const signals = new EventEmitter();
  const happened: unknown[] = [];
  const stop = stopOnSignals(signals, {
    onStop: (signal) => happened.push(signal),
    exit: (code) => happened.push(code),
  });
  return { signals, happened, stop };
}

test.each(["SIGTERM", "SIGINT"])("%s asks for a stop", (signal) => {
  const { signals, happened, stop } = listening();
  expect(stop.aborted).toBe(false);
  signals.emit(signal);
  expect(stop.aborted).toBe(true);
  expect(happened).toEqual([signal]);
});

test.each([
  ["SIGTERM", 143],
  ["SIGINT", 130],
])("%s as the second signal ends the process with %i", (signal, code) => {
  const { signals, happened } = listening();
  signals.emit("SIGTERM");
  signals.emit(signal);
  expect(happened).toEqual(["SIGTERM", code]);
});
