// Waiting for what the servers tell: until objects are written or looked at, until nothing happens any more.
import type { Asked } from "./audit-tail.ts";
import { type Calls, type Cluster, pause } from "./cluster.ts";
import type { Population } from "./population.ts";
import type { Subject } from "./subject.ts";

const writes = new Set(["create", "update", "patch"]);

/** Writes of objects' data since the last reset. */
export async function writesOf(cluster: Cluster, { place }: Population): Promise<readonly Asked[]> {
  const prefix = place.engine === "v2" ? `${place.mount}/data/` : `${place.mount}/`;
  return (await cluster.audit.requests(prefix)).filter(({ operation }) => writes.has(operation));
}

/** Looks at objects since the last reset. */
export async function readsOf(cluster: Cluster, { place }: Population): Promise<readonly Asked[]> {
  return (await cluster.audit.requests(`${place.mount}/`)).filter(({ operation }) => operation === "read");
}

/**
 * Waits until so many different places have been asked about.
 * @returns when the last one was reached for the first time, ms since the epoch
 */
export async function untilAll(
  subject: Subject,
  count: number,
  look: () => Promise<readonly Asked[]>,
  timeoutMs = 180_000,
): Promise<number> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const first = new Map<string, number>();
    for (const { path, at } of await look()) if (!first.has(path)) first.set(path, at);
    if (first.size >= count) return Math.max(0, ...first.values());
    subject.assertAlive();
    if (performance.now() > until) throw new Error(`only ${first.size} of ${count} objects were reached in time`);
    await pause(100);
  }
}

/** Waits until no server is asked anything any more; returns all that was asked since `before`. */
export async function settled(cluster: Cluster, before: Calls): Promise<Calls> {
  for (let last = await cluster.calls(); ; ) {
    await pause(1_000);
    const now = await cluster.calls();
    if (now.kms === last.kms && now.kubeWrites === last.kubeWrites) {
      return {
        kms: now.kms - before.kms,
        kubeReads: now.kubeReads - before.kubeReads,
        kubeWrites: now.kubeWrites - before.kubeWrites,
      };
    }
    last = now;
  }
}
