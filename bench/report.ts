// What a run found, as lines for people and as data for programs.

/** One figure. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it should be at most; a figure without one is told for information. */
  readonly atMost?: number;
  /** What belongs to it, in words. */
  readonly note?: string;
}

/** Whether a figure is what it should be; undefined when nothing is asked of it. */
export function verdict({ value, atMost }: Figure): "ok" | "MISSED" | undefined {
  if (atMost === undefined) return undefined;
  return value <= atMost ? "ok" : "MISSED";
}

/** A table with a line per figure. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.name,
    `${rounded(figure.value)} ${figure.unit}`.trim(),
    figure.atMost === undefined ? "" : `at most ${rounded(figure.atMost)}`,
    verdict(figure) ?? "",
    figure.note ?? "",
  ]);
  const all = [["figure", "measured", "target", "", ""], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Three digits that count, whole numbers as they are. */
export function rounded(value: number): string {
  if (!Number.isFinite(value) || Number.isInteger(value) || value >= 100) return String(Math.round(value));
  return String(Number(value.toPrecision(3)));
}
