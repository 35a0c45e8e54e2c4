// What a run found, as lines for people and as data for programs.

/** Of others, from which on times are not believed: a quiet machine has less than 0.01. */
const bearableShare = 0.1;
/** Of figures that are times, or come from times. */
const timedUnits = new Set(["ms", "x"]);

/** One figure. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it should be at most; a figure without a target is told for information. */
  readonly atMost?: number;
  /** What it should be, no more and no less. */
  readonly exactly?: number;
  /** What belongs to it, in words. */
  readonly note?: string;
  /** A time that was taken while other programs had the processors. */
  readonly isDisturbed?: boolean;
}

export type Verdict = "ok" | "MISSED" | "disturbed";

/** Whether a figure is what it should be; undefined when nothing is asked of it. */
export function verdict({ value, atMost, exactly, isDisturbed }: Figure): Verdict | undefined {
  if (atMost === undefined && exactly === undefined) return undefined;
  if (isDisturbed === true) return "disturbed";
  const isMet = exactly === undefined ? value <= (atMost ?? value) : value === exactly;
  return isMet ? "ok" : "MISSED";
}

/** The figures of a scenario during which other programs had this share of the processors; counts stay what they are. */
export function underNeighbours(figures: readonly Figure[], share: number): readonly Figure[] {
  if (share <= bearableShare) return figures;
  return figures.map((figure) => (timedUnits.has(figure.unit) ? { ...figure, isDisturbed: true } : figure));
}

function targetOf({ atMost, exactly }: Figure): string {
  if (exactly !== undefined) return `exactly ${rounded(exactly)}`;
  return atMost === undefined ? "" : `at most ${rounded(atMost)}`;
}

/** A table with a line per figure. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => [
    figure.name,
    `${rounded(figure.value)} ${figure.unit}`.trim(),
    targetOf(figure),
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
