// Signals: the first one asks for an orderly stop, the second one ends the process at once, for the person at the
// terminal who cannot wait.
import type { EventEmitter } from "node:events";
import { constants } from "node:os";

const stopSignals = ["SIGTERM", "SIGINT"] as const;

export interface StopHandlers {
  /** Called with the first signal. */
  readonly onStop: (signal: NodeJS.Signals) => void;
  /** Called with the second one and the exit code that shells expect: 128 and the signal's number. */
  readonly exit: (code: number) => void;
}

/**
 * @param signals emits signals by name; `process`
 * @returns aborts with the first signal
 */
export function stopOnSignals(signals: EventEmitter, { onStop, exit }: StopHandlers): AbortSignal {
  const stop = new AbortController();
  for (const signal of stopSignals) {
    signals.on(signal, () => {
      if (stop.signal.aborted) {
        exit(128 + constants.signals[signal]);
        return;
      }
      onStop(signal);
      stop.abort();
    });
  }
  return stop.signal;
}
