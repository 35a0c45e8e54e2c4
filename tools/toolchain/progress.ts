// One line per step with the time since the start, so that a person who waits for a build of minutes knows for what.

/** Prints one step. The text names the thing that is worked on first. */
export type Progress = (line: string) => void;

/** A Progress that writes `[  12.3s] text` lines. */
export function timedProgress(stream: { write(text: string): unknown }): Progress {
  const start = performance.now();
  return (line) => {
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    stream.write(`[${seconds.padStart(6)}s] ${line}\n`);
  };
}

/** Whole seconds, or minutes and seconds, since `startMs` (a reading of performance.now). */
export function elapsed(startMs: number): string {
  const seconds = Math.round((performance.now() - startMs) / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
