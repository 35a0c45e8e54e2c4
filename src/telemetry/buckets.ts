// Bounds of histogram buckets, in seconds. The first two are controller-runtime's and client-go's own, so that existing
// dashboards show the same quantiles.

/** `controller_runtime_reconcile_time_seconds`. */
export const reconcileSeconds: number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 1.75, 2,
  2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
];

/** `workqueue_*_seconds`: powers of ten. */
export const workqueueSeconds: number[] = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100, 1_000];

/** Requests to Vault and KMS. */
export const requestSeconds: number[] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
