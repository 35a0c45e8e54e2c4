// The file of alerts, and which of them fire on a made-up past or a real one.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { expectSamples, type Series } from "../env/promtool.ts";

/** The alerts, as a file for Prometheus. */
export const rulesFile = join(import.meta.dirname, "../../helm/kms-vault-operator/alerts/kms-vault-operator.yaml");
const { groups } = parse(readFileSync(rulesFile, "utf8")) as {
  readonly groups: ReadonlyArray<{
    readonly rules: ReadonlyArray<{ readonly alert: string; readonly labels: object }>;
  }>;
};
/** All of its alerts, with the labels that they themselves have. */
export const rules = groups.flatMap((group) => group.rules);

/** One alert that fires, by the labels that tell it from others. */
export interface Firing {
  readonly alert: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Fails unless exactly these alerts fire at a time.
 * @param only of all alerts, to look at: a regular expression
 * @param file of rules, where it is not the one that is shipped
 */
export async function expectFiring(
  series: Series,
  at: string,
  firing: readonly Firing[],
  { only = ".+", file = rulesFile }: { readonly only?: string; readonly file?: string } = {},
): Promise<void> {
  const expected = firing.map(({ alert, labels }) => {
    const own = rules.find((rule) => rule.alert === alert)?.labels;
    const all = { __name__: "ALERTS", alertname: alert, alertstate: "firing", ...own, ...labels };
    return { labels: asSeries(all), value: 1 };
  });
  const expr = `ALERTS{alertstate="firing", alertname=~"${only}"}`;
  await expectSamples(series, [{ expr, eval_time: at, exp_samples: expected }], [file]);
}

function asSeries({ __name__: name, ...labels }: Readonly<Record<string, string>>): string {
  const matchers = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return `${name}{${matchers.join(",")}}`;
}
