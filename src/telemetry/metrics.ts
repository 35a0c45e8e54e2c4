// The registry, and the figures that only this product has: kms_vault_operator_*. Label values are few and fixed; never
// a name, a path, a namespace or a message. docs/reference/metrics.md lists them all.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { requestSeconds } from "./buckets.ts";
import { createRuntimeMetrics } from "./runtime-metrics.ts";
import { createWebhookMetrics } from "./webhook-metrics.ts";

/** One registry per process (or per test): nothing is registered globally. */
export type Metrics = ReturnType<typeof createMetrics>;

/**
 * @param version of the product, for `kms_vault_operator_build_info`
 */
export function createMetrics({ version }: { readonly version: string }) {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: "kms_vault_operator_build_info",
    help: "Always 1; the version is the label.",
    labelNames: ["version"],
    registers: [registry],
  }).set({ version }, 1);
  return {
    /** All figures, in the text form that Prometheus scrapes, and its content type. */
    exposition: { contentType: registry.contentType, text: () => registry.metrics() },
    /** Every figure's name, type, meaning and labels, for the reference page and the checks of dashboards and alerts. */
    describe: () =>
      registry.getMetricsAsArray().map((metric) => ({
        name: metric.name,
        type: String(metric.type),
        help: metric.help,
        labels: "labelNames" in metric && Array.isArray(metric.labelNames) ? metric.labelNames.map(String) : [],
      })),
    /** What src/runtime reports (runtime/metrics.ts). */
    runtime: createRuntimeMetrics(registry),
    /** What the reconciler reports. */
    product: createReconcilerMetrics(registry),
    /** What the door to Vault reports (vault/transport.ts). */
    vault: createVaultMetrics(registry),
    /** What is reported of KMS (kms/metered.ts). */
    kms: createKmsMetrics(registry),
    /** What the webhook reports (webhook/admission.ts, webhook/server.ts). */
    webhook: createWebhookMetrics(registry),
    /** What is reported of the tenancy policy (policy/live-policy.ts). */
    policy: createPolicyMetrics(registry),
  };
}

function createReconcilerMetrics(registry: Registry) {
  const registers = [registry];
  const objects = new Gauge({
    name: "kms_vault_operator_objects",
    help: "KMSVaultSecrets by the reason of their Ready condition, but for deleted ones that are not gone yet.",
    labelNames: ["reason"],
    registers,
  });
  const blocked = new Gauge({
    name: "kms_vault_operator_deletions_blocked",
    help: "Deleted KMSVaultSecrets that cannot go because their data cannot be removed from Vault, by the code of the error.",
    labelNames: ["reason"],
    registers,
  });
  const writes = new Counter({
    name: "kms_vault_operator_vault_writes_total",
    help: "Secrets written to Vault.",
    labelNames: ["engine_version"],
    registers,
  });
  const repairs = new Counter({
    name: "kms_vault_operator_repairs_total",
    help: "Those of the writes that put right what somebody else did in Vault: the secret was missing, or was changed.",
    labelNames: ["cause"],
    registers,
  });
  for (const cause of ["missing", "changed"]) repairs.inc({ cause }, 0);
  const releasedUntouched = new Counter({
    name: "kms_vault_operator_released_untouched_total",
    help: "Deleted objects that were let go with their data left in Vault, because nobody could log in any more.",
    registers,
  });
  const statusForbidden = new Gauge({
    name: "kms_vault_operator_status_forbidden",
    help: "1 while the API server does not let us save statuses.",
    registers,
  });
  return {
    /**
     * @param object its `namespace/name`, which is not a label
     * @param reason of its Ready condition; undefined when the object is gone, or going
     */
    objectReady: countByReason(objects),
    /**
     * @param object its `namespace/name`, which is not a label
     * @param reason why its deletion is held up; undefined when it is not, or not any more
     */
    deletionBlocked: countByReason(blocked),
    /** A write to Vault. */
    wroteSecret(engineVersion: string): void {
      writes.inc({ engine_version: engineVersion });
    },
    /** A write that the object had not changed for: what stood in Vault was gone, or was other. */
    repairedSecret(cause: "missing" | "changed"): void {
      repairs.inc({ cause });
    },
    /** A deleted object was let go although its data could not be removed. */
    releasedUntouched(): void {
      releasedUntouched.inc();
    },
    /** Whether the API server refuses (403) to save statuses. */
    statusForbidden(forbidden: boolean): void {
      statusForbidden.set(forbidden ? 1 : 0);
    },
  };
}

/** Each object counts once, by the reason that was told of it last. */
function countByReason(gauge: Gauge<"reason">): (object: string, reason: string | undefined) => void {
  const reasons = new Map<string, string>();
  return (object, reason) => {
    const before = reasons.get(object);
    if (before === reason) return;
    if (before !== undefined) gauge.dec({ reason: before });
    if (reason === undefined) {
      reasons.delete(object);
      return;
    }
    gauge.inc({ reason });
    reasons.set(object, reason);
  };
}

function createVaultMetrics(registry: Registry) {
  const registers = [registry];
  const total = new Counter({
    name: "kms_vault_operator_vault_requests_total",
    help: "Requests to Vault by method and HTTP status; the word error in angle brackets when there was no answer.",
    labelNames: ["method", "code"],
    registers,
  });
  const duration = new Histogram({
    name: "kms_vault_operator_vault_request_duration_seconds",
    help: "How long requests to Vault took.",
    labelNames: ["method"],
    buckets: requestSeconds,
    registers,
  });
  const logins = new Counter({
    name: "kms_vault_operator_vault_logins_total",
    help: "Logins to Vault by method and outcome: ok, or the code of the error. With the method token: looks at the token that was given.",
    labelNames: ["method", "outcome"],
    registers,
  });
  const skipVerify = new Gauge({
    name: "kms_vault_operator_vault_tls_skip_verify",
    help: "1 while VAULT_SKIP_VERIFY makes us believe any certificate of Vault's.",
    registers,
  });
  return {
    /** Whether the server's certificate is not checked. */
    tlsSkipVerify(isSkipped: boolean): void {
      skipVerify.set(isSkipped ? 1 : 0);
    },
    /** One attempt; `code` is the HTTP status, or `<error>` when there was no answer. */
    requestDone(method: string, code: string, seconds: number): void {
      total.inc({ method, code });
      duration.observe({ method }, seconds);
    },
    /** One login; `outcome` is `ok`, or the code of the error. */
    loginDone(method: string, outcome: string): void {
      logins.inc({ method, outcome });
    },
  };
}

function createPolicyMetrics(registry: Registry) {
  const valid = new Gauge({
    name: "kms_vault_operator_policy_valid",
    help: "0 while the file of --policy is broken, so that the one before holds; else 1, without a policy too.",
    registers: [registry],
  });
  return {
    /** Whether the file says what holds. */
    valid(isValid: boolean): void {
      valid.set(isValid ? 1 : 0);
    },
  };
}

/** What KMS's throttling leaves us in one region and account. */
interface KmsLimit {
  readonly region: string;
  readonly account: string;
  readonly perSecond: number;
}

function createKmsMetrics(registry: Registry) {
  const registers = [registry];
  const total = new Counter({
    name: "kms_vault_operator_kms_requests_total",
    help: "Requests to KMS and the other key services, by operation and outcome: ok, or the code of the error.",
    labelNames: ["operation", "outcome"],
    registers,
  });
  const duration = new Histogram({
    name: "kms_vault_operator_kms_request_duration_seconds",
    help: "How long requests to KMS took.",
    labelNames: ["operation"],
    buckets: requestSeconds,
    registers,
  });
  let limits: () => readonly KmsLimit[] = () => [];
  const rateLimit = new Gauge({
    name: "kms_vault_operator_kms_rate_limit",
    help: "Requests to KMS per second that the operator keeps to because KMS throttles, by region and account (empty: the one of its own AWS identity); no series where KMS does not throttle.",
    labelNames: ["region", "account"],
    registers: [],
    collect() {
      this.reset();
      for (const { perSecond, ...labels } of limits()) this.set(labels, perSecond);
    },
  });
  registry.registerMetric(rateLimit);
  return {
    /** To be asked whenever the figures are. */
    watchLimits(current: () => readonly KmsLimit[]): void {
      limits = current;
    },
    /**
     * @param operation AWS's name of it
     * @param outcome `ok`, or the code of the error
     */
    requestDone(operation: string, outcome: string, seconds: number): void {
      total.inc({ operation, outcome });
      duration.observe({ operation }, seconds);
    },
  };
}
