// What the runtime reports about itself, as an interface: the runtime knows no metrics library and telemetry knows no
// runtime (it satisfies this shape structurally). The names in the comments are those of controller-runtime and
// client-go, so that existing dashboards and alerts keep working. Label values are few and fixed: never a key,
// a namespace or a message.

/** Label `result` of `controller_runtime_reconcile_total`. */
type ReconcileResult = "success" | "requeue_after" | "error";

/** Values of the label `priority` of `workqueue_depth`, the first first. */
export const priorities = ["high", "normal", "low"] as const;
/** What is worked on before what. */
export type Priority = (typeof priorities)[number];

export interface RuntimeMetrics {
  /** `controller_runtime_reconcile_total{controller,result}` and `controller_runtime_reconcile_time_seconds`. */
  reconciled(controller: string, result: ReconcileResult, seconds: number): void;
  /**
   * `controller_runtime_reconcile_errors_total{controller}`; a terminal one (not retried) also counts in
   * `controller_runtime_terminal_reconcile_errors_total`. `code` is the error's code, of a closed list.
   */
  reconcileFailed(controller: string, code: string, terminal: boolean): void;
  /** `controller_runtime_active_workers{controller}`. */
  activeWorkers(controller: string, count: number): void;
  /** `controller_runtime_max_concurrent_reconciles{controller}`. */
  maxConcurrentReconciles(controller: string, count: number): void;

  /**
   * `workqueue_unfinished_work_seconds{name}` and `workqueue_longest_running_processor_seconds{name}`.
   * @param processing asked at each scrape: for how many seconds each key under way has been so
   */
  queueOpened(queue: string, processing: () => readonly number[]): void;
  /** `workqueue_depth{name,priority}`: keys that wait for a worker. */
  queueDepth(queue: string, priority: Priority, depth: number): void;
  /** `workqueue_adds_total{name}`. */
  queueAdded(queue: string): void;
  /** `workqueue_retries_total{name}`. */
  queueRetried(queue: string): void;
  /** `workqueue_queue_duration_seconds{name}`: from add to get. */
  queueLatency(queue: string, seconds: number): void;
  /** `workqueue_work_duration_seconds{name}`: from get to done. */
  queueWorked(queue: string, seconds: number): void;

  /** `rest_client_requests_total{code,method}`; `code` is the HTTP status, or `<error>` when there was no answer. */
  requestDone(method: string, code: string): void;

  /** `rest_client_rate_limiter_duration_seconds{verb}`: how long a call was held back by the client's own limit. */
  requestHeldBack(method: string, seconds: number): void;

  /** `informer_watches_total{resource}`: watches opened. */
  watchOpened(resource: string): void;
  /** `informer_failures_total{resource,reason}`: lists and watches that failed; `reason` as in KubeError. */
  informerFailed(resource: string, reason: string): void;
  /** `informer_handler_errors_total{resource}`: handlers, transforms and index functions that threw. */
  handlerFailed(resource: string): void;
  /** `informer_objects{resource}`: objects in the store. */
  storeSize(resource: string, count: number): void;

  /** `events_dropped_total{reason}`: events that never reached the API server. */
  eventDropped(reason: string): void;
  /** `leader_election_master_status{name}`: 1 while this process leads. */
  leading(lease: string, leading: boolean): void;
}

/** Counts nothing: for tests and for programs that serve no metrics. */
export const noMetrics: RuntimeMetrics = {
  reconciled() {},
  reconcileFailed() {},
  activeWorkers() {},
  maxConcurrentReconciles() {},
  queueOpened() {},
  queueDepth() {},
  queueAdded() {},
  queueRetried() {},
  queueLatency() {},
  queueWorked() {},
  requestDone() {},
  requestHeldBack() {},
  watchOpened() {},
  informerFailed() {},
  handlerFailed() {},
  storeSize() {},
  eventDropped() {},
  leading() {},
};
