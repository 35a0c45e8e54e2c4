// What the webhook reports: reviews, what it let through unchecked, requests that it did not look at, and the certificate
// that it serves.
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { errorCodes } from "../base/errors.ts";
import { requestSeconds } from "./buckets.ts";

/** Figures of the webhook, in a registry. */
export function createWebhookMetrics(registry: Registry) {
  const registers = [registry];
  const reviews = new Counter({
    name: "kms_vault_operator_webhook_reviews_total",
    help: "Reviews by the webhook, by kind, operation and outcome: allowed, warned, denied, malformed, error.",
    labelNames: ["kind", "operation", "outcome"],
    registers,
  });
  // Alerts and dashboards ask for growth, which a counter that appears only with its first value does not show. Other kinds
  // and operations are not looked into, so none of them is denied or fails.
  for (const kind of ["KMSVaultSecret", "PartialKMSVaultSecret"]) {
    for (const operation of ["CREATE", "UPDATE"]) {
      for (const outcome of ["denied", "error"]) reviews.inc({ kind, operation, outcome }, 0);
    }
  }
  const duration = new Histogram({
    name: "kms_vault_operator_webhook_review_duration_seconds",
    help: "How long reviews took, KMS included.",
    labelNames: ["kind", "operation"],
    buckets: requestSeconds,
    registers,
  });
  const unchecked = new Counter({
    name: "kms_vault_operator_webhook_unchecked_values_total",
    help: "Values that the webhook let through without having decrypted them, by the code of the error.",
    labelNames: ["code"],
    registers,
  });
  // As above; all that may pass by itself says nothing of the value (webhook/values.ts).
  for (const [code, retry] of Object.entries(errorCodes)) if (retry === "backoff") unchecked.inc({ code }, 0);
  const inFlight = new Gauge({
    name: "kms_vault_operator_webhook_requests_in_flight",
    help: "Requests that the webhook has not answered yet.",
    registers,
  });
  const refused = new Counter({
    name: "kms_vault_operator_webhook_refused_requests_total",
    help: "Requests that the webhook refused without looking at the object, by HTTP status: 503 because too much was under way, 413 because the request was too large, others because it was no review.",
    labelNames: ["code"],
    registers,
  });
  refused.inc({ code: 503 }, 0);
  const expiry = new Gauge({
    name: "kms_vault_operator_webhook_certificate_expiry_timestamp_seconds",
    help: "When the certificate that the webhook serves ends, in seconds since 1970, by where it comes from: files or self-signed.",
    labelNames: ["source"],
    registers,
  });
  return {
    /** A request has begun to come in. */
    requestBegun(): void {
      inFlight.inc();
    },
    /** It was answered, or its connection broke. */
    requestEnded(): void {
      inFlight.dec();
    },
    /** It was not looked at. */
    requestRefused(status: number): void {
      refused.inc({ code: status });
    },
    /**
     * A certificate is served from now on.
     * @param at its end, ms since the epoch
     */
    certificateExpires(source: "files" | "self-signed", at: number): void {
      expiry.set({ source }, at / 1_000);
    },
    /**
     * One review.
     * @param kind of the object, or `other`
     * @param operation of the API server, or `other`
     */
    reviewed(kind: string, operation: string, outcome: string, seconds: number): void {
      reviews.inc({ kind, operation, outcome });
      duration.observe({ kind, operation }, seconds);
    },
    /** A value that could not be checked. */
    uncheckedValue(code: string): void {
      unchecked.inc({ code });
    },
  };
}
