// The alerts, evaluated by Prometheus's own engine: each fires when what it is about has lasted for so long, and not a
// minute earlier; and on the figures of a real operator they fire for what is wrong with it, and for nothing else.
import { describe, expect, test } from "vitest";
import { errorCodes } from "../../src/base/errors.ts";
import { createMetrics, type Metrics } from "../../src/telemetry/metrics.ts";
import { asScraped, asScrapedTwice, promtool, type Series } from "../env/promtool.ts";
import { testEnv } from "../env/context.ts";
import { eventually } from "../env/eventually.ts";
import { installServiceAccount } from "../env/service-account.ts";
import { expectFiring, type Firing, rules, rulesFile } from "./firing.ts";
import { openWorld, startWorld } from "./world.ts";

const namespace = "kms-vault-operator";
const at = `namespace="${namespace}",pod="p",job="kms-vault-operator-metrics"`;
const objects = (reason: string) => `kms_vault_operator_objects{${at},reason="${reason}"}`;
const lease = "39a50047.patoarvizu.dev";
const expiry = `kms_vault_operator_webhook_certificate_expiry_timestamp_seconds{${at},source="files"}`;
const days = (count: number) => count * 24 * 3_600;

test("Prometheus takes the file, templates and all", async () => {
  expect(await promtool("check", "rules", "--lint=all", "--lint-fatal", rulesFile)).toMatch(/SUCCESS: 16 rules/);
});

interface Case {
  readonly series: Series;
  /** Not yet then, and then. */
  readonly between: readonly [string, string];
  readonly labels: Readonly<Record<string, string>>;
}

const cases: ReadonlyArray<readonly [string, Case]> = [
  [
    "KMSVaultOperatorAbsent",
    {
      series: { [`informer_objects{${at},resource="kmsvaultsecrets"}`]: "3x9 stale" },
      between: ["19m", "20m"],
      labels: { namespace },
    },
  ],
  [
    "KMSVaultOperatorNoLeader",
    {
      series: {
        [`leader_election_master_status{${at},name="${lease}"}`]: "0x60",
        [`leader_election_master_status{namespace="${namespace}",pod="q",name="${lease}"}`]: "1x9 0x50",
        [`leader_election_master_status{${at},name="somebody-elses"}`]: "0x60",
      },
      between: ["14m", "15m"],
      labels: { namespace, name: lease },
    },
  ],
  [
    "KMSVaultOperatorVaultUnavailable",
    {
      series: { [objects("VaultSealed")]: "2x60" },
      between: ["9m", "10m"],
      labels: { namespace, reason: "VaultSealed" },
    },
  ],
  [
    "KMSVaultOperatorVaultLoginFailing",
    {
      // Every five minutes, as the last of a backoff.
      series: {
        [`kms_vault_operator_vault_logins_total{${at},method="k8s",outcome="VaultLoginFailed"}`]:
          "0 0 0 0 0 1 1 1 1 1 2 2 2 2 2 3 3 3 3 3 4 4 4 4 4 5 5 5 5 5 6 6 6 6 6 7 7 7 7 7",
      },
      between: ["24m", "25m"],
      labels: { namespace, method: "k8s" },
    },
  ],
  [
    "KMSVaultOperatorKMSFailing",
    {
      series: { [objects("KMSAccessDenied")]: "1x60" },
      between: ["14m", "15m"],
      labels: { namespace, reason: "KMSAccessDenied" },
    },
  ],
  [
    "KMSVaultSecretsNotReady",
    {
      series: { [objects("PathConflict")]: "1x60", [objects("Suspended")]: "4x60", [objects("Synced")]: "9x60" },
      between: ["14m", "15m"],
      labels: { namespace, reason: "PathConflict" },
    },
  ],
  [
    "KMSVaultSecretDeletionBlocked",
    {
      series: { [`kms_vault_operator_deletions_blocked{${at},reason="VaultPermissionDenied"}`]: "1x60" },
      between: ["14m", "15m"],
      labels: { namespace, reason: "VaultPermissionDenied" },
    },
  ],
  [
    "KMSVaultOperatorRepairing",
    {
      // Every two minutes, as two writers do who each have a resync.
      series: { [`kms_vault_operator_repairs_total{${at},cause="changed"}`]: "0+0.5x200" },
      between: ["1h2m", "1h10m"],
      labels: { namespace, cause: "changed" },
    },
  ],
  [
    "KMSVaultOperatorBehind",
    {
      series: {
        [`workqueue_depth{${at},name="kmsvaultsecret",priority="high"}`]: "0x9 5x60",
        [`controller_runtime_max_concurrent_reconciles{${at},controller="kmsvaultsecret"}`]: "16x70",
      },
      between: ["28m", "29m"],
      labels: { namespace, pod: "p" },
    },
  ],
  [
    "KMSVaultOperatorStuck",
    {
      series: { [`workqueue_longest_running_processor_seconds{${at},name="kmsvaultsecret"}`]: "0+60x60" },
      between: ["15m", "16m"],
      labels: { namespace, pod: "p" },
    },
  ],
  [
    "KMSVaultOperatorStatusNotSaved",
    {
      series: { [`kms_vault_operator_status_forbidden{${at}}`]: "1x60" },
      between: ["14m", "15m"],
      labels: { namespace, pod: "p" },
    },
  ],
  [
    "KMSVaultOperatorPolicyBroken",
    {
      series: { [`kms_vault_operator_policy_valid{${at}}`]: "0x60" },
      between: ["4m", "5m"],
      labels: { namespace, pod: "p" },
    },
  ],
  ["KMSVaultWebhookGone", { series: { [expiry]: "1x9 stale" }, between: ["19m", "20m"], labels: { namespace } }],
  [
    "KMSVaultWebhookCertificateExpiring",
    {
      series: { [expiry]: `${days(7)}x60` },
      // At the beginning it is not less than seven days.
      between: ["15m", "16m"],
      labels: { namespace, source: "files" },
    },
  ],
  [
    "KMSVaultWebhookUncheckedValues",
    {
      series: {
        [`kms_vault_operator_webhook_unchecked_values_total{${at},code="KMSThrottled"}`]: "0x9 1x60",
        [`kms_vault_operator_webhook_unchecked_values_total{${at},code="KMSUnavailable"}`]: "7x60",
      },
      between: ["9m", "10m"],
      labels: { namespace, code: "KMSThrottled" },
    },
  ],
  [
    "KMSVaultWebhookFailing",
    {
      series: {
        [`kms_vault_operator_webhook_refused_requests_total{${at},code="503"}`]: "0x9 2x60",
        [`kms_vault_operator_webhook_refused_requests_total{${at},code="400"}`]: "0+9x60",
      },
      between: ["14m", "15m"],
      labels: { namespace },
    },
  ],
];

describe("each fires once it has lasted, and not before", () => {
  test.each(cases)("%s", async (alert, { series, between: [before, then], labels }) => {
    await expectFiring(series, before, [], { only: alert });
    await expectFiring(series, then, [{ alert, labels }], { only: alert });
  });

  test("none is left out", () => {
    expect(cases.map(([alert]) => alert)).toEqual(rules.map(({ alert }) => alert));
  });
});

describe("what happens once in a process's life is enough, where it is to be", () => {
  const reviews = ["KMSVaultSecret", "PartialKMSVaultSecret"].flatMap((kind) =>
    ["CREATE", "UPDATE"].map((operation) => ({ kind, operation })),
  );
  const unchecked = Object.entries(errorCodes).flatMap(([code, retry]) => (retry === "backoff" ? [code] : []));
  const events: ReadonlyArray<readonly [string, (metrics: Metrics) => void, Firing]> = [
    ...reviews.map(({ kind, operation }): (typeof events)[number] => [
      `a bug at ${operation} of ${kind}`,
      ({ webhook }) => webhook.reviewed(kind, operation, "error", 0.1),
      { alert: "KMSVaultWebhookFailing", labels: { namespace } },
    ]),
    [
      "a request too much",
      ({ webhook }) => webhook.requestRefused(503),
      { alert: "KMSVaultWebhookFailing", labels: { namespace } },
    ],
    ...unchecked.map((code): (typeof events)[number] => [
      `a value unchecked for ${code}`,
      ({ webhook }) => webhook.uncheckedValue(code),
      { alert: "KMSVaultWebhookUncheckedValues", labels: { namespace, code } },
    ]),
  ];

  test.each(events)("%s", async (_, happen, firing) => {
    const metrics = createMetrics({ version: "1" });
    const before = await metrics.exposition.text();
    happen(metrics);
    const series = asScrapedTwice(before, await metrics.exposition.text(), at);
    await expectFiring(series, "9m", [], { only: firing.alert });
    await expectFiring(series, "16m", [firing], { only: firing.alert });
    await expectFiring(series, "1h", [], { only: firing.alert });
  });
});

test("logins that have failed ever since the process began, whose series is new, are seen", async () => {
  const logins = `kms_vault_operator_vault_logins_total{${at},method="k8s",outcome="VaultLoginFailed"}`;
  await expectFiring(
    { [logins]: "_x4 1x4 2x4 3x4 4x4 5x4 6x4 7x4" },
    "35m",
    [{ alert: "KMSVaultOperatorVaultLoginFailing", labels: { namespace, method: "k8s" } }],
    { only: "KMSVaultOperatorVaultLoginFailing" },
  );
});

test("a restore of Vault, repaired within a resync, is no reason for an alert", async () => {
  const repairs = { [`kms_vault_operator_repairs_total{${at},cause="missing"}`]: "0x9 400x180" };
  for (const time of ["30m", "1h", "1h30m", "2h30m"]) {
    await expectFiring(repairs, time, [], { only: "KMSVaultOperatorRepairing" });
  }
});

test("a real operator: none fires while all is well, and the one for the reason of what is not", async () => {
  await using world = await startWorld();
  await world.sync("good", { path: `${world.v2}/data/good`, secrets: await world.entries({ k: "v" }) });
  await expectFiring(asScraped(await world.operator.metrics(), at), "2h", []);
  await world.apply("bad", { path: world.v2, secrets: await world.entries({ k: "v" }) });
  await world.settled("bad", "InvalidPath");
  await expectFiring(asScraped(await world.operator.metrics(), at), "2h", [
    { alert: "KMSVaultSecretsNotReady", labels: { namespace, reason: "InvalidPath" } },
  ]);
});

test("of two replicas the one that waits has edits in its queue for as long, which is no reason for an alert", async () => {
  const env = testEnv();
  const serviceAccount = await installServiceAccount(env.kube, await env.freshNamespace());
  await using world = await openWorld({ serviceAccount, args: ["--enable-leader-election"] });
  await using leader = await world.start();
  await world.sync("led", { path: `${world.v2}/data/led`, secrets: await world.entries({ k: "1" }) });
  await using follower = await world.start();
  await world.apply("led", { path: `${world.v2}/data/led`, secrets: await world.entries({ k: "2" }) });
  await eventually(async () => expect(await world.atV2("led")).toEqual({ k: "2" }));
  await eventually(async () => expect(await follower.metric("workqueue_depth", { priority: "high" })).toBe(1));
  const pods = {
    ...asScraped(await leader.metrics(), at),
    ...asScraped(await follower.metrics(), at.replace('"p"', '"q"')),
  };
  await expectFiring(pods, "2h", []);
});
