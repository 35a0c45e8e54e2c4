// Waiting for what the servers tell: until objects are written or looked at, until nothing happens any more.
import type { Asked } from "./audit-tail.ts";
import type { Calls, Cluster } from "./cluster.ts";
import type { Population } from "./population.ts";
import type { Subject } from "./subject.ts";
import { epochNow, until } from "./time.ts";

const writes = new Set(["create", "update", "patch"]);

/** Writes of objects' data since the last reset, without what Vault refused. */
export async function writesOf(cluster: Cluster, { place }: Population): Promise<readonly Asked[]> {
  const prefix = place.engine === "v2" ? `${place.mount}/data/` : `${place.mount}/`;
  return (await cluster.audit.requests(prefix)).filter(({ operation, failed }) => writes.has(operation) && !failed);
}

/** Looks at objects since the last reset, at data as well as at metadata. */
export async function readsOf(cluster: Cluster, population: Population): Promise<readonly Asked[]> {
  const asked = await cluster.audit.requests(`${population.place.mount}/`);
  return asked.filter(({ operation, path }) => operation === "read" && population.isOfObject(path));
}

/**
 * Waits until so many different places have been asked about.
 * @returns when the last one was reached for the first time, ms since the epoch
 */
export async function untilAll(
  subject: Subject,
  count: number,
  look: () => Promise<readonly Asked[]>,
): Promise<number> {
  const lookForAll = async () => {
    const first = new Map<string, number>();
    for (const { path, at } of await look()) if (!first.has(path)) first.set(path, at);
    if (first.size >= count) return Math.max(0, ...first.values());
    subject.assertAlive();
    return undefined;
  };
  return until(`${count} objects`, lookForAll, { timeoutMs: 300_000, everyMs: 100 });
}

/** All that was asked of KMS and of the API server since some moment. */
export interface Settled {
  readonly calls: Calls;
  /** When the last write to the API server was seen in its counters, ms since the epoch: up to 0.2 s late. */
  readonly lastKubeWriteAt: number;
}

/**
 * Waits until a second has passed in which nobody called KMS or Vault or wrote to the API server. Vault counts because a
 * look at all objects is nothing but reads of it.
 */
export async function settled(cluster: Cluster, before: Calls): Promise<Settled> {
  const askAll = async () => ({ ...(await cluster.calls()), vault: (await cluster.audit.requests("")).length });
  let last = await askAll();
  let [changedAt, lastKubeWriteAt] = [epochNow(), epochNow()];
  const look = async () => {
    const now = await askAll();
    if (now.kubeWrites !== last.kubeWrites) lastKubeWriteAt = epochNow();
    const isQuiet = now.kubeWrites === last.kubeWrites && now.kms === last.kms && now.vault === last.vault;
    if (!isQuiet) changedAt = epochNow();
    last = now;
    return epochNow() - changedAt > 1_000 ? differenceOf(now, before) : undefined;
  };
  const calls = await until("a quiet second", look, { timeoutMs: 120_000, everyMs: 100 });
  return { calls, lastKubeWriteAt };
}

/** What was asked between two moments. */
export function differenceOf(now: Calls, before: Calls): Calls {
  return {
    kms: now.kms - before.kms,
    kubeReads: now.kubeReads - before.kubeReads,
    kubeWrites: now.kubeWrites - before.kubeWrites,
  };
}
