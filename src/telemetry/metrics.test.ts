import { expect, test } from "vitest";
import { createMetrics } from "./metrics.ts";

/** Value lines of the metrics whose names begin so. */
async function lines(metrics: ReturnType<typeof createMetrics>, prefix: string): Promise<string[]> {
  const text = await metrics.exposition.text();
  return text.split("\n").filter((line) => line.startsWith(prefix));
}

test("reconcile figures have controller-runtime's names and labels, and are there from the start", async () => {
  const metrics = createMetrics({ version: "1" });
  metrics.runtime.maxConcurrentReconciles("kmsvaultsecret", 16);
  expect(await lines(metrics, "controller_runtime_reconcile_total")).toEqual([
    'controller_runtime_reconcile_total{controller="kmsvaultsecret",result="success"} 0',
    'controller_runtime_reconcile_total{controller="kmsvaultsecret",result="requeue_after"} 0',
    'controller_runtime_reconcile_total{controller="kmsvaultsecret",result="error"} 0',
  ]);
  metrics.runtime.reconciled("kmsvaultsecret", "error", 0.02);
  metrics.runtime.reconcileFailed("kmsvaultsecret", "VaultSealed", false);
  metrics.runtime.reconcileFailed("kmsvaultsecret", "InvalidSpec", true);
  expect(await lines(metrics, "controller_runtime_")).toEqual(
    expect.arrayContaining([
      'controller_runtime_max_concurrent_reconciles{controller="kmsvaultsecret"} 16',
      'controller_runtime_reconcile_total{controller="kmsvaultsecret",result="error"} 1',
      'controller_runtime_reconcile_errors_total{controller="kmsvaultsecret"} 2',
      'controller_runtime_terminal_reconcile_errors_total{controller="kmsvaultsecret"} 1',
      'controller_runtime_reconcile_time_seconds_bucket{le="0.025",controller="kmsvaultsecret"} 1',
    ]),
  );
  expect(await lines(metrics, "kms_vault_operator_reconcile_errors_total")).toEqual([
    'kms_vault_operator_reconcile_errors_total{controller="kmsvaultsecret",code="VaultSealed"} 1',
    'kms_vault_operator_reconcile_errors_total{controller="kmsvaultsecret",code="InvalidSpec"} 1',
  ]);
});

test("workqueue figures have client-go's names", async () => {
  const metrics = createMetrics({ version: "1" });
  metrics.runtime.queueOpened("q", () => [2, 0.5]);
  metrics.runtime.queueAdded("q");
  metrics.runtime.queueDepth("q", "high", 3);
  metrics.runtime.queueRetried("q");
  metrics.runtime.queueLatency("q", 0.5);
  metrics.runtime.queueWorked("q", 0.5);
  expect(await lines(metrics, "workqueue_")).toEqual(
    expect.arrayContaining([
      'workqueue_depth{name="q",priority="high"} 3',
      'workqueue_adds_total{name="q"} 1',
      'workqueue_unfinished_work_seconds{name="q"} 2.5',
      'workqueue_longest_running_processor_seconds{name="q"} 2',
      'workqueue_retries_total{name="q"} 1',
      'workqueue_queue_duration_seconds_count{name="q"} 1',
      'workqueue_work_duration_seconds_sum{name="q"} 0.5',
    ]),
  );
});

test("objects are counted by the reason they have now", async () => {
  const { product, ...metrics } = createMetrics({ version: "1" });
  product.objectReady("a/1", "Synced");
  product.objectReady("a/2", "Synced");
  product.objectReady("a/2", "Synced");
  product.objectReady("a/1", "VaultSealed");
  product.objectReady("a/3", undefined);
  expect(await lines({ product, ...metrics }, "kms_vault_operator_objects")).toEqual([
    'kms_vault_operator_objects{reason="Synced"} 1',
    'kms_vault_operator_objects{reason="VaultSealed"} 1',
  ]);
  product.objectReady("a/2", undefined);
  expect(await lines({ product, ...metrics }, "kms_vault_operator_objects")).toContain(
    'kms_vault_operator_objects{reason="Synced"} 0',
  );
});

test("the product's own figures", async () => {
  const metrics = createMetrics({ version: "1.2.3" });
  metrics.product.wroteSecret("v2");
  metrics.product.statusForbidden(true);
  metrics.vault.requestDone("GET", "200", 0.1);
  metrics.kms.requestDone("Decrypt", "KMSThrottled", 0.1);
  metrics.runtime.leading("lease", true);
  metrics.product.objectReady("a/1", "Synced");
  metrics.product.deletionBlocked("a/1", "VaultSealed");
  metrics.vault.loginDone("k8s", "VaultLoginFailed");
  metrics.webhook.certificateExpires("files", 1_800_000_000_000);
  metrics.webhook.requestBegun();
  metrics.webhook.requestRefused(413);
  expect(await lines(metrics, "")).toEqual(
    expect.arrayContaining([
      'kms_vault_operator_build_info{version="1.2.3"} 1',
      'kms_vault_operator_vault_writes_total{engine_version="v2"} 1',
      "kms_vault_operator_status_forbidden 1",
      'kms_vault_operator_vault_requests_total{method="GET",code="200"} 1',
      'kms_vault_operator_kms_requests_total{operation="Decrypt",outcome="KMSThrottled"} 1',
      'leader_election_master_status{name="lease"} 1',
      'kms_vault_operator_objects{reason="Synced"} 1',
      'kms_vault_operator_deletions_blocked{reason="VaultSealed"} 1',
      'kms_vault_operator_vault_logins_total{method="k8s",outcome="VaultLoginFailed"} 1',
      'kms_vault_operator_webhook_certificate_expiry_timestamp_seconds{source="files"} 1800000000',
      "kms_vault_operator_webhook_requests_in_flight 1",
      'kms_vault_operator_webhook_refused_requests_total{code="413"} 1',
      expect.stringMatching(/^process_cpu_seconds_total \d/),
    ]),
  );
});

test("every figure is described, and counters are named as such", () => {
  const described = createMetrics({ version: "1" }).describe();
  expect(described).toContainEqual({
    name: "workqueue_adds_total",
    help: "Keys added.",
    type: "counter",
    labels: ["name"],
  });
  const ours = described.filter((metric) => /^(kms_vault_operator|workqueue|controller)_/.test(metric.name));
  for (const { name, type } of ours) expect(name.endsWith("_total")).toBe(type === "counter");
});

test("two registries share nothing", async () => {
  const [one, other] = [createMetrics({ version: "1" }), createMetrics({ version: "1" })];
  one.product.wroteSecret("v1");
  expect(await lines(other, "kms_vault_operator_vault_writes_total{")).toEqual([]);
});
