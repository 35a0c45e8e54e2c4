// The table of a chaos run. Each test leaves its rows in its own metadata (vitest carries it over from the worker), so
// one table can be printed for all files.

/** What one fault did. */
export interface FaultRow {
  readonly fault: string;
  /** From its beginning to the first sign of it in metrics or readiness, s; undefined: none, nothing failed. */
  readonly noticeSeconds: number | undefined;
  /** From its end until every object was Ready and in Vault, s. */
  readonly recoverSeconds: number;
  readonly lost: number;
  readonly inversions: number;
  /** Edits accepted while it lasted, and the longest way of one of them to Vault. */
  readonly edits: number;
  readonly worstEditSeconds: number | undefined;
  /** Memory after it, over that before. */
  readonly memory: number;
}

declare module "vitest" {
  interface TaskMeta {
    chaos?: readonly FaultRow[];
  }
}

const columns: readonly { readonly title: string; readonly cell: (row: FaultRow) => string }[] = [
  { title: "fault", cell: ({ fault }) => fault },
  { title: "notice", cell: ({ noticeSeconds }) => seconds(noticeSeconds) },
  { title: "recover", cell: ({ recoverSeconds }) => seconds(recoverSeconds) },
  { title: "lost", cell: ({ lost }) => String(lost) },
  { title: "inverted", cell: ({ inversions }) => String(inversions) },
  { title: "edits", cell: ({ edits }) => String(edits) },
  { title: "worst edit", cell: ({ worstEditSeconds }) => seconds(worstEditSeconds) },
  { title: "memory", cell: ({ memory }) => `${(memory * 100).toFixed(0)} %` },
];

/** The rows as text, with a heading. */
export function renderTable(rows: readonly FaultRow[]): string {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => columns.map(({ cell }) => cell(row)))];
  const widths = columns.map((_, column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  return cells
    .map((line) =>
      line
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("  "),
    )
    .join("\n");
}

function seconds(value: number | undefined): string {
  return value === undefined ? "-" : `${value.toFixed(1)} s`;
}
