// Dashboards and alerts ask for figures that there are, by labels that these have, and can be read. Whether alerts fire
// when they should is the matter of test/integration/alerts.test.ts.
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { createMetrics } from "../src/telemetry/metrics.ts";
import { readPromql } from "./promql.ts";

const root = join(import.meta.dirname, "..");
const chart = join(root, "helm", "kms-vault-operator");

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly datasource?: unknown;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
  readonly targets?: ReadonlyArray<{ readonly refId: string; readonly expr: string; readonly legendFormat: string }>;
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: {
    readonly list: ReadonlyArray<{ readonly name: string; readonly type: string; readonly query: unknown }>;
  };
}

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string; readonly runbook_url: string };
}

const boards = globSync("dashboards/*.json", { cwd: chart }).map((file): [string, Dashboard] => [
  basename(file),
  JSON.parse(readFileSync(join(chart, file), "utf8")),
]);
const { groups } = parse(readFileSync(join(chart, "alerts", "kms-vault-operator.yaml"), "utf8")) as {
  readonly groups: ReadonlyArray<{ readonly name: string; readonly rules: readonly Rule[] }>;
};
const rules = groups.flatMap((group) => group.rules);
const runbooks = readFileSync(join(root, "docs", "runbooks.md"), "utf8");

/** Labels that Prometheus gives what it scrapes from pods. */
const ofTarget = ["namespace", "pod", "job"];
/** What else figures may be grouped by: a label that a Prometheus of several clusters has. */
const ofClusters = [...ofTarget, "cluster"];
const labelsOf = new Map(
  createMetrics({ version: "" })
    .describe()
    .flatMap(({ name, type, labels }) =>
      type === "histogram"
        ? ["_bucket", "_sum", "_count"].map(
            (part) => [name + part, part === "_bucket" ? [...labels, "le"] : labels] as const,
          )
        : [[name, labels] as const],
    ),
);

/** What is wrong with an expression: figures and labels that there are not. */
function problemsOf(expression: string): string[] {
  // Grafana puts them in before Prometheus sees the expression.
  const { selectors, groupings } = readPromql(expression.replaceAll(/\$__(rate_interval|range)/g, "5m"));
  if (selectors.length === 0) return [`no figure in ${expression}`];
  const all = selectors.flatMap(({ name }) => labelsOf.get(name) ?? []);
  return [
    ...selectors.filter(({ name }) => !labelsOf.has(name)).map(({ name }) => `there is no ${name}`),
    ...selectors.flatMap(({ name, labels }) =>
      labels
        .filter((label) => ![...ofTarget, ...(labelsOf.get(name) ?? [])].includes(label))
        .map((label) => `${name} has no ${label}`),
    ),
    ...groupings
      .filter((label) => ![...ofClusters, ...all].includes(label))
      .map((label) => `nothing there has ${label}`),
  ];
}

test("an expression that names what there is not is found out", () => {
  expect(problemsOf("sum by (code, x) (rate(kms_vault_operator_nothing[5m]))")).toEqual([
    "there is no kms_vault_operator_nothing",
    "nothing there has code",
    "nothing there has x",
  ]);
  expect(problemsOf('kms_vault_operator_objects{code="a"}')).toEqual(["kms_vault_operator_objects has no code"]);
  expect(() => problemsOf("sum(workqueue_depth")).toThrow("no PromQL");
});

describe.each(boards)("dashboard %s", (_, board) => {
  const panels = board.panels.filter(({ type }) => type !== "row");
  const targets = panels.flatMap((panel) => (panel.targets ?? []).map((target) => ({ panel, ...target })));

  test("its expressions ask for what there is, of the pods that were chosen", () => {
    expect(targets.length).toBeGreaterThan(15);
    for (const { expr } of targets) {
      expect(problemsOf(expr), expr).toEqual([]);
      for (const { labels } of readPromql(expr.replaceAll("$__rate_interval", "5m")).selectors) {
        expect(labels, expr).toEqual(expect.arrayContaining(ofTarget));
      }
    }
  });

  test("legends name labels that are left", () => {
    for (const { expr, legendFormat } of targets) {
      const named = [...legendFormat.matchAll(/{{(\w+)}}/g)].map(([, label = ""]) => label);
      const { groupings, selectors } = readPromql(expr.replaceAll("$__rate_interval", "5m"));
      const isAggregated = /\b(sum|min|max|count)\b/.test(expr);
      const left = isAggregated ? groupings : [...ofTarget, ...(labelsOf.get(selectors[0]?.name ?? "") ?? [])];
      expect(
        named.filter((label) => !left.includes(label)),
        expr,
      ).toEqual([]);
    }
  });

  test("panels have titles, units, a data source that can be chosen, and ids and places of their own", () => {
    for (const panel of panels) {
      expect(panel, panel.title).toMatchObject({
        title: expect.stringMatching(/\w/),
        datasource: { type: "prometheus", uid: "${datasource}" },
        fieldConfig: { defaults: { unit: expect.stringMatching(/\w/) } },
      });
    }
    expect(new Set(board.panels.map(({ id }) => id)).size).toBe(board.panels.length);
    const cells = board.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_cell, index) => `${x + (index % w)}:${y + Math.floor(index / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(Math.max(...cells.map((cell) => Number.parseInt(cell, 10)))).toBe(23);
  });

  test("Grafana 10 can load it, and each variable asks for what there is", () => {
    expect(board.schemaVersion).toBeGreaterThanOrEqual(38);
    const { list } = board.templating;
    expect(list.map(({ name }) => name)).toEqual(["datasource", "namespace", "job", "pod"]);
    for (const { query } of list.slice(1)) {
      const { query: text } = query as { readonly query: string };
      const [, selector = "", label] = /^label_values\((.*), (\w+)\)$/.exec(text) ?? [];
      expect(problemsOf(selector)).toEqual([]);
      expect(ofTarget).toContain(label);
    }
  });
});

test("dashboards are told apart", () => {
  expect(boards.length).toBe(2);
  expect(new Set(boards.flatMap(([, { uid, title }]) => [uid, title])).size).toBe(4);
});

describe.each(rules.map((rule): [string, Rule] => [rule.alert, rule]))("alert %s", (name, rule) => {
  test("asks for what there is", () => {
    expect(problemsOf(rule.expr)).toEqual([]);
  });

  test("says what is wrong, and leads to its section of docs/runbooks.md", () => {
    const { summary, description, runbook_url: url } = rule.annotations;
    for (const text of [summary, description]) expect(text).toMatch(/^.*\w.*[.]$/);
    expect(url).toBe(
      `https://github.com/patoarvizu/kms-vault-operator/blob/HEAD/docs/runbooks.md#${name.toLowerCase()}`,
    );
    expect(runbooks).toContain(`\n## ${name}\n`);
  });

  test("is in the page's table with its severity and its time", () => {
    const row = runbooks.split("\n").find((line) => line.startsWith(`| [${name}](#${name.toLowerCase()}) |`));
    expect(row).toContain(`| ${rule.labels.severity} | ${rule.for ?? "at once"} |`);
  });
});

test("the page has no section on an alert that there is not", () => {
  const sections = [...runbooks.matchAll(/^## (KMS\w+)$/gm)].map(([, name]) => name);
  expect(sections).toEqual(rules.map(({ alert }) => alert));
});
