// What has to be asked of the API server before the first object can be looked at: the key of the records, the cluster,
// and which namespaces can be followed.
import type { Clock } from "../base/clock.ts";
import { OperatorError } from "../base/errors.ts";
import { backoffDelay } from "../base/retry.ts";
import { isForbidden, isNotFound } from "../runtime/kube-error.ts";
import type { KubeObject, Resource } from "../runtime/objects.ts";
import { RecordKeeper } from "../sync/record.ts";
import { type Asking, loadClusterId, loadRecordKey } from "./record-key.ts";

/** What is asked for. */
export interface SurveyOptions extends Asking {
  readonly clock: Clock;
  /** The KMSVaultSecrets. */
  readonly resource: Resource;
  /** The operator's own namespace. */
  readonly ownNamespace: string;
  /** What stands for the cluster in marks and records; absent: the uid of kube-system. */
  readonly clusterId?: string | undefined;
  /** Namespaces to reconcile; empty: all. */
  readonly watchNamespaces: readonly string[];
}

export interface Surveyed {
  readonly records: RecordKeeper;
  /** Since when there is a record key, ms since the epoch. */
  readonly installedAt: number | undefined;
  /** Namespaces that the informers follow; empty: all. */
  readonly informedNamespaces: readonly string[];
}

/** Asks until there is an answer: the API server being down never ends the process. Undefined once it shall stop. */
export async function survey(options: SurveyOptions): Promise<Surveyed | undefined> {
  const { logger, signal, clock } = options;
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      return await ask(options);
    } catch (error) {
      if (signal.aborted) return undefined;
      if (!(error instanceof OperatorError)) throw error;
      const retryInMs = Math.round(backoffDelay(attempt, { baseMs: 1_000, maxMs: 30_000 }));
      logger.error({ error, retryInMs }, "cannot start yet, trying again");
      await clock.sleep(retryInMs, signal);
    }
  }
  return undefined;
}

async function ask(options: SurveyOptions): Promise<Surveyed> {
  const [{ key, since }, clusterId, informedNamespaces] = await Promise.all([
    loadRecordKey(options, options.ownNamespace),
    options.clusterId ?? loadClusterId(options),
    informedNamespacesOf(options),
  ]);
  return { records: new RecordKeeper(key, clusterId), installedAt: since, informedNamespaces };
}

/** Objects of unwatched namespaces hold their places in Vault too, so they are followed where they may be listed. */
async function informedNamespacesOf(options: SurveyOptions): Promise<readonly string[]> {
  const { client, signal, resource, watchNamespaces: watched } = options;
  if (watched.length === 0) return [];
  try {
    await client.list<KubeObject>(resource, { limit: 1, signal });
    return [];
  } catch (error) {
    if (isForbidden(error) || isNotFound(error)) return watched;
    throw error;
  }
}
