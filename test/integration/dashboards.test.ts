// The dashboards show something: each of their expressions, evaluated by Prometheus's own engine on the figures of a real
// operator and a real webhook, has an answer. A label with a value that nothing has would leave a panel empty for ever.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { asScraped, expectSamples, type Series } from "../env/promtool.ts";
import { openReviewScene } from "./review-scene.ts";
import { startWorld } from "./world.ts";

const directory = join(import.meta.dirname, "../../helm/kms-vault-operator/dashboards");
const target = 'namespace="n",pod="p",job="j"';

/** Every expression of a dashboard, with all namespaces, jobs and pods chosen, as Grafana fills its variables in. */
function expressionsOf(file: string): string[] {
  const { panels } = JSON.parse(readFileSync(join(directory, file), "utf8")) as {
    readonly panels: ReadonlyArray<{ readonly targets?: ReadonlyArray<{ readonly expr: string }> }>;
  };
  const expressions = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  expect(expressions.length).toBeGreaterThan(20);
  return expressions.map((expr) =>
    expr.replaceAll("$__rate_interval", "5m").replaceAll(/\$(namespace|job|pod)\b/g, ".*"),
  );
}

/** Fails unless all have an answer, but for those about these figures, which have none. */
async function expectAnswers(expressions: readonly string[], series: Series, without: RegExp): Promise<void> {
  const one = [{ labels: "{}", value: 1 }];
  const expectations = expressions.map((expr) => ({
    expr: `count(${expr}) > bool 0`,
    eval_time: "2h",
    exp_samples: without.test(expr) ? [] : one,
  }));
  await expectSamples(series, expectations);
}

test("of the operator", async () => {
  await using world = await startWorld({ args: ["--enable-leader-election"] });
  await world.sync("good", { path: `${world.v2}/data/good`, secrets: await world.entries({ k: "v" }) });
  await world.apply("bad", { path: world.v2, secrets: await world.entries({ k: "v" }) });
  await world.settled("bad", "InvalidPath");
  // One that is tried again, so that there are failed reconciles. No user's name and password are set.
  const spec = { path: `${world.v2}/data/waiting`, secrets: await world.entries({ k: "v" }) };
  await world.apply("waiting", { ...spec, vaultAuthMethod: "userpass" });
  await eventually(async () =>
    expect(await world.operator.metric("kms_vault_operator_reconcile_errors_total")).toBeGreaterThan(0),
  );
  const series = asScraped(await world.operator.metrics(), target);
  // Nothing of the kind has happened.
  await expectAnswers(expressionsOf("operator.json"), series, /kms_rate_limit|informer_failures|events_dropped/);
});

test("of the webhook", async () => {
  await using scene = await openReviewScene();
  expect(
    await scene.warnings(scene.secret("good", { path: "secret/x", secrets: [await scene.entry("k", "v")] })),
  ).toEqual([]);
  const series = asScraped(await scene.webhook.metrics(), target);
  await expectAnswers(expressionsOf("webhook.json"), series, /^$/);
});
