// What the controller runtime reports, under the names that controller-runtime and client-go gave these figures, so
// that the dashboards and alerts made for the original keep working. It satisfies the interface in runtime/metrics.ts by
// its shape; operator.ts joins the two.
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { reconcileSeconds, requestSeconds, workqueueSeconds } from "./buckets.ts";

export function createRuntimeMetrics(registry: Registry) {
  return { ...controllerMetrics(registry), ...workqueueMetrics(registry), ...clientMetrics(registry) };
}

function controllerMetrics(registry: Registry) {
  const registers = [registry];
  const labelNames = ["controller"] as const;
  const total = new Counter({
    name: "controller_runtime_reconcile_total",
    help: "Reconciles by controller and result.",
    labelNames: ["controller", "result"],
    registers,
  });
  const seconds = new Histogram({
    name: "controller_runtime_reconcile_time_seconds",
    help: "How long reconciles took.",
    labelNames,
    buckets: reconcileSeconds,
    registers,
  });
  const errors = new Counter({
    name: "controller_runtime_reconcile_errors_total",
    help: "Reconciles that failed.",
    labelNames,
    registers,
  });
  const terminalErrors = new Counter({
    name: "controller_runtime_terminal_reconcile_errors_total",
    help: "Reconciles that failed and are not tried again by themselves.",
    labelNames,
    registers,
  });
  const errorsByCode = new Counter({
    name: "kms_vault_operator_reconcile_errors_total",
    help: "Reconciles that failed, by the code that is also the condition's reason.",
    labelNames: ["controller", "code"],
    registers,
  });
  const active = new Gauge({
    name: "controller_runtime_active_workers",
    help: "Reconciles under way.",
    labelNames,
    registers,
  });
  const most = new Gauge({
    name: "controller_runtime_max_concurrent_reconciles",
    help: "How many reconciles may be under way.",
    labelNames,
    registers,
  });
  return {
    reconciled(controller: string, result: string, duration: number): void {
      total.inc({ controller, result });
      seconds.observe({ controller }, duration);
    },
    reconcileFailed(controller: string, code: string, terminal: boolean): void {
      errors.inc({ controller });
      errorsByCode.inc({ controller, code });
      if (terminal) terminalErrors.inc({ controller });
    },
    activeWorkers(controller: string, count: number): void {
      active.set({ controller }, count);
    },
    maxConcurrentReconciles(controller: string, count: number): void {
      most.set({ controller }, count);
      // As controller-runtime does: a counter that appears only with its first error shows no rate for it.
      for (const result of ["success", "requeue_after", "error"]) total.inc({ controller, result }, 0);
      errors.inc({ controller }, 0);
      terminalErrors.inc({ controller }, 0);
    },
  };
}

function workqueueMetrics(registry: Registry) {
  const registers = [registry];
  const labelNames = ["name"] as const;
  const depth = new Gauge({
    name: "workqueue_depth",
    help: "Keys that wait for a worker.",
    labelNames: ["name", "priority"],
    registers,
  });
  const adds = new Counter({ name: "workqueue_adds_total", help: "Keys added.", labelNames, registers });
  const retries = new Counter({ name: "workqueue_retries_total", help: "Keys tried again.", labelNames, registers });
  const latency = new Histogram({
    name: "workqueue_queue_duration_seconds",
    help: "How long keys waited for a worker.",
    labelNames,
    buckets: workqueueSeconds,
    registers,
  });
  const work = new Histogram({
    name: "workqueue_work_duration_seconds",
    help: "How long a worker had a key.",
    labelNames,
    buckets: workqueueSeconds,
    registers,
  });
  const watched = new Map<string, () => readonly number[]>();
  const perQueue = (name: string, help: string, tell: (seconds: readonly number[]) => number) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        for (const [queue, processing] of watched) this.set({ name: queue }, tell(processing()));
      },
    });
  perQueue("workqueue_unfinished_work_seconds", "How long the keys under way have been so, together.", (seconds) =>
    seconds.reduce((sum, each) => sum + each, 0),
  );
  perQueue("workqueue_longest_running_processor_seconds", "The same of the one that is so for longest.", (seconds) =>
    Math.max(0, ...seconds),
  );
  return {
    queueOpened(name: string, processing: () => readonly number[]): void {
      watched.set(name, processing);
    },
    queueDepth(name: string, priority: string, count: number): void {
      depth.set({ name, priority }, count);
    },
    queueAdded(name: string): void {
      adds.inc({ name });
    },
    queueRetried(name: string): void {
      retries.inc({ name });
    },
    queueLatency(name: string, seconds: number): void {
      latency.observe({ name }, seconds);
    },
    queueWorked(name: string, seconds: number): void {
      work.observe({ name }, seconds);
    },
  };
}

function clientMetrics(registry: Registry) {
  const registers = [registry];
  const requests = new Counter({
    name: "rest_client_requests_total",
    help: "Requests to the API server, by HTTP status and method.",
    labelNames: ["code", "method"],
    registers,
  });
  const heldBack = new Histogram({
    name: "rest_client_rate_limiter_duration_seconds",
    help: "How long requests to the API server were held back by --kube-api-qps.",
    labelNames: ["verb"],
    buckets: requestSeconds,
    registers,
  });
  const watches = new Counter({
    name: "informer_watches_total",
    help: "Watches opened.",
    labelNames: ["resource"],
    registers,
  });
  const failures = new Counter({
    name: "informer_failures_total",
    help: "Lists and watches that failed.",
    labelNames: ["resource", "reason"],
    registers,
  });
  const handlerErrors = new Counter({
    name: "informer_handler_errors_total",
    help: "Handlers, transforms and index functions that threw: bugs.",
    labelNames: ["resource"],
    registers,
  });
  const stored = new Gauge({ name: "informer_objects", help: "Objects known.", labelNames: ["resource"], registers });
  const dropped = new Counter({
    name: "events_dropped_total",
    help: "Events that never reached the API server.",
    labelNames: ["reason"],
    registers,
  });
  const leader = new Gauge({
    name: "leader_election_master_status",
    help: "1 while this process leads.",
    labelNames: ["name"],
    registers,
  });
  return {
    requestHeldBack(verb: string, seconds: number): void {
      heldBack.observe({ verb }, seconds);
    },
    requestDone(method: string, code: string): void {
      requests.inc({ method, code });
    },
    watchOpened(resource: string): void {
      watches.inc({ resource });
    },
    informerFailed(resource: string, reason: string): void {
      failures.inc({ resource, reason });
    },
    handlerFailed(resource: string): void {
      handlerErrors.inc({ resource });
    },
    storeSize(resource: string, count: number): void {
      stored.set({ resource }, count);
    },
    eventDropped(reason: string): void {
      dropped.inc({ reason });
    },
    leading(name: string, leading: boolean): void {
      leader.set({ name }, leading ? 1 : 0);
    },
  };
}
