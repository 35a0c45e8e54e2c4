// The text format of metrics, as far as the bench reads it: sums of counters by their labels.

/**
 * The sum over all samples of a metric whose labels fit.
 * @param text an exposition (Prometheus text format 0.0.4)
 * @param fits told the labels as they stand, `verb="PATCH",resource="events"`
 */
export function sumOf(text: string, name: string, fits: (labels: string) => boolean): number {
  let sum = 0;
  for (const line of text.split("\n")) {
    if (!line.startsWith(`${name}{`)) continue;
    const end = line.lastIndexOf("}");
    if (fits(line.slice(name.length + 1, end)))
      sum += Number(
        line
          .slice(end + 1)
          .trim()
          .split(" ")[0],
      );
  }
  return sum;
}
