// One replica of a webhook, as a process of its own: told what to do by a message, tells its port, each certificate that
// it serves and, when asked, how many reviews it has answered.
import { systemClock } from "../../src/base/clock.ts";
import { KubeClient } from "../../src/runtime/client.ts";
import type { KubeConnection } from "../../src/runtime/connection.ts";
import type { Periods } from "../../src/webhook/rotation.ts";
import { keepingLogger, replicaCertificate, startHook } from "../integration/webhook-scene.ts";

/** What a replica is told. */
export interface ReplicaJob {
  readonly connection: KubeConnection;
  readonly namespace: string;
  readonly configuration: string;
  readonly periods: Partial<Periods>;
}

/** What a replica tells. */
export interface ReplicaReport {
  readonly port: number;
  readonly served: readonly string[];
  readonly answered: number;
  /** What went wrong meanwhile. */
  readonly log: readonly string[];
}

async function run({ connection, ...job }: ReplicaJob): Promise<void> {
  const logger = keepingLogger();
  const client = new KubeClient({ connection, logger, clock: systemClock, userAgent: "webhook-replica" });
  const hook = await startHook(replicaCertificate({ client, logger, ...job }));
  const report = (): ReplicaReport => ({
    port: hook.port,
    served: hook.served,
    answered: hook.answered(),
    log: logger.lines,
  });
  // Any message is a question.
  process.on("message", () => process.send?.(report()));
  process.send?.(report());
}

process.once("message", (job: ReplicaJob) => void run(job));
process.once("disconnect", () => process.exit(0));
