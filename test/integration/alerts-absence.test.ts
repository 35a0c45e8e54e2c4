// Alerts on what is not there. The file for Prometheus can only miss what there was, each installation by itself; the
// chart knows what has to be there, and its alerts fire for as long as that is not.
import { describe, expect, test } from "vitest";
import { objectOf, renderChart, type Values } from "../env/helm.ts";
import { promtool, type Series } from "../env/promtool.ts";
import { expectFiring, type Firing } from "./firing.ts";
import { type TemporaryFiles, withFiles } from "./temporary-files.ts";

const operatorIn = (labels: string) => `informer_objects{${labels},pod="p",resource="kmsvaultsecrets"}`;
const webhookIn = (labels: string) =>
  `kms_vault_operator_webhook_certificate_expiry_timestamp_seconds{${labels},pod="w",source="files"}`;
/** Two days, and ten minutes. */
const always = "4000000000x2890";
const until9m = "4000000000x9 stale";
const absent = (labels: Firing["labels"]): Firing => ({ alert: "KMSVaultOperatorAbsent", labels });
const gone = (labels: Firing["labels"]): Firing => ({ alert: "KMSVaultWebhookGone", labels });

interface Case {
  readonly series: Series;
  /** Time → what fires. */
  readonly fires: Readonly<Record<string, readonly Firing[]>>;
}

describe("as the file for Prometheus has it", () => {
  test.each<[string, Case]>([
    [
      "one of two operators is missed for a day, whatever the other does",
      {
        series: { [operatorIn('namespace="a"')]: until9m, [operatorIn('namespace="b"')]: always },
        fires: { "19m": [], "20m": [absent({ namespace: "a" })], "1d": [absent({ namespace: "a" })], "1d1h": [] },
      },
    ],
    [
      "the same namespace in two clusters",
      {
        series: {
          [operatorIn('cluster="x",namespace="a"')]: until9m,
          [operatorIn('cluster="y",namespace="a"')]: always,
        },
        fires: { "20m": [absent({ cluster: "x", namespace: "a" })] },
      },
    ],
    [
      "the only operator is missed for ever",
      {
        series: { [operatorIn('namespace="a"')]: until9m },
        fires: {
          "20m": [absent({ namespace: "a" })],
          "1d1h": [absent({})],
          "2d": [absent({})],
        },
      },
    ],
    ["an operator that never came up is missed", { series: { up: always }, fires: { "9m": [], "10m": [absent({})] } }],
    [
      "a webhook that was taken away is missed for a day, whatever another does",
      {
        series: {
          [operatorIn('namespace="a"')]: always,
          [webhookIn('namespace="a"')]: until9m,
          [webhookIn('namespace="b"')]: always,
        },
        fires: { "19m": [], "20m": [gone({ namespace: "a" })], "1d": [gone({ namespace: "a" })], "1d1h": [] },
      },
    ],
    [
      "a webhook that never was is not missed",
      { series: { [operatorIn('namespace="a"')]: always }, fires: { "1h": [], "2d": [] } },
    ],
    [
      "no leader in one of two clusters",
      {
        series: {
          [operatorIn('cluster="x",namespace="a"')]: always,
          [operatorIn('cluster="y",namespace="a"')]: always,
          'leader_election_master_status{cluster="x",namespace="a",name="39a50047.patoarvizu.dev"}': "0x60",
          'leader_election_master_status{cluster="y",namespace="a",name="39a50047.patoarvizu.dev"}': "1x60",
        },
        fires: {
          "5m": [
            {
              alert: "KMSVaultOperatorNoLeader",
              labels: { cluster: "x", namespace: "a", name: "39a50047.patoarvizu.dev" },
            },
          ],
        },
      },
    ],
  ])("%s", async (_, { series, fires }) => {
    for (const [time, firing] of Object.entries(fires)) await expectFiring(series, time, firing);
  });
});

describe("as the chart makes a PrometheusRule of it", () => {
  const scraped = { global: { prometheusMonitoring: { enable: true } } };
  const webhook = { validatingWebhook: { enabled: true } };

  test.each<[string, Values, Case]>([
    [
      "an operator is missed that never came up, or went, as long as that lasts, whatever one elsewhere does",
      scraped,
      {
        series: { [operatorIn('namespace="b"')]: always },
        fires: {
          "9m": [],
          "10m": [absent({ namespace: "a", resource: "kmsvaultsecrets" })],
          "2d": [absent({ namespace: "a", resource: "kmsvaultsecrets" })],
        },
      },
    ],
    [
      "none that is there",
      { ...scraped, ...webhook },
      { series: { [operatorIn('namespace="a"')]: always, [webhookIn('namespace="a"')]: always }, fires: { "2d": [] } },
    ],
    [
      "a webhook is missed that never had a certificate",
      { ...scraped, ...webhook },
      {
        series: { [operatorIn('namespace="a"')]: always, [webhookIn('namespace="b"')]: always },
        fires: { "9m": [], "10m": [gone({ namespace: "a" })], "2d": [gone({ namespace: "a" })] },
      },
    ],
    [
      "a webhook is missed that went, as long as that lasts",
      { ...scraped, ...webhook },
      {
        series: { [operatorIn('namespace="a"')]: always, [webhookIn('namespace="a"')]: until9m },
        fires: { "19m": [], "20m": [gone({ namespace: "a" })], "2d": [gone({ namespace: "a" })] },
      },
    ],
    [
      "a webhook that the chart has nobody scrape is missed where it was seen",
      { prometheusMonitoring: { enable: true }, ...webhook },
      {
        series: { [operatorIn('namespace="a"')]: always, [webhookIn('namespace="b"')]: until9m },
        fires: { "9m": [], "20m": [gone({ namespace: "b" })], "2d": [] },
      },
    ],
    [
      "no webhook where there is to be none",
      scraped,
      {
        series: { [operatorIn('namespace="a"')]: always, [webhookIn('namespace="a"')]: until9m },
        fires: { "20m": [], "2d": [] },
      },
    ],
  ])("%s", async (_, values, { series, fires }) => {
    await using files = await rendered(values);
    const file = files.path("rules.json");
    expect(await promtool("check", "rules", "--lint=all", "--lint-fatal", file)).toContain("SUCCESS");
    for (const [time, firing] of Object.entries(fires)) await expectFiring(series, time, firing, { file });
  });
});

/** The rules of a release in the namespace `a`, in a file rules.json. */
async function rendered(values: Values): Promise<TemporaryFiles> {
  const manifests = await renderChart({ ...values, alerts: { enabled: true } }, { namespace: "a" });
  return withFiles({
    "rules.json": JSON.stringify(objectOf(manifests, "PrometheusRule", "kms-vault-operator")["spec"]),
  });
}
