// What a PromQL expression asks for, as Prometheus's own grammar reads it, so that dashboards and alerts can be held
// against the figures that there are.
import { parser } from "@prometheus-io/lezer-promql";

/** What an expression names. */
export interface Asked {
  /** Each selector: the name of the series, and the labels that its matchers are about. */
  readonly selectors: ReadonlyArray<{ readonly name: string; readonly labels: readonly string[] }>;
  /** Labels of `by`, `without`, `on`, `ignoring`, `group_left` and `group_right`. */
  readonly groupings: readonly string[];
}

/** @throws Error with the place where it is no PromQL */
export function readPromql(expression: string): Asked {
  const tree = parser.parse(expression);
  const selectors: Array<{ name: string; labels: string[] }> = [];
  const groupings: string[] = [];
  const text = ({ from, to }: { readonly from: number; readonly to: number }) => expression.slice(from, to);
  let isGrouping = false;
  tree.iterate({
    enter(node) {
      if (node.type.isError) throw new Error(`no PromQL at character ${node.from + 1}: ${expression}`);
      if (node.name === "VectorSelector") selectors.push({ name: "", labels: [] });
      const selector = selectors.at(-1);
      if (node.name === "Identifier" && selector !== undefined) selector.name = text(node);
      if (node.name === "GroupingLabels") isGrouping = true;
      if (node.name !== "LabelName") return;
      if (isGrouping) groupings.push(text(node));
      else selector?.labels.push(text(node));
    },
    leave(node) {
      if (node.name === "GroupingLabels") isGrouping = false;
    },
  });
  return { selectors, groupings };
}
