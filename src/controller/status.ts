// From an outcome to the status that the object shall have. Pure: given the same outcome and the same previous status
// it gives the same status, so that one that would not change is not patched.
import { removeCondition, setCondition } from "../api/conditions.ts";
import type { Condition, Status, SyncRecord } from "../api/kinds.ts";
import type { OperatorError } from "../base/errors.ts";
import { isInvalid } from "../runtime/kube-error.ts";
import type { Outcome } from "../sync/outcome.ts";

/** A condition's message is not cut by the API server before 32 KiB; far less is readable. */
const maxMessage = 2_000;

export interface StatusInput {
  /** `metadata.generation` of the object that was looked at. */
  readonly generation: number;
  /** `spec.includeSecrets`, where the spec could be read. */
  readonly includes?: readonly string[];
  /** The status as it was last known to be. */
  readonly previous: Status | undefined;
  readonly outcome: Outcome;
  /** The outcome's note, sealed; undefined keeps the previous record. */
  readonly record: SyncRecord | undefined;
  /** Wall clock, ms since the epoch. */
  readonly now: number;
}

/** The whole status after a reconcile. */
export function nextStatus({ generation, includes, previous, outcome, record, now }: StatusInput): Status {
  const time = rfc3339(now);
  const kept = record ?? previous?.record;
  const place = outcome.destination === undefined ? previous?.vault : placeOf(outcome.destination, outcome.revision);
  const lastSyncTime = outcome.written === undefined ? previous?.lastSyncTime : time;
  return {
    created: previous?.created === true || outcome.kind === "synced" || outcome.written !== undefined,
    observedGeneration: generation,
    conditions: conditionsAfter(previous?.conditions ?? [], outcome, { generation, time }),
    ...(place && { vault: place }),
    keys: keysAfter(previous, outcome),
    ...(lastSyncTime !== undefined && { lastSyncTime }),
    ...(includes !== undefined && includes.length > 0 && { includes: [...includes] }),
    ...(kept && { record: kept }),
  };
}

/** The status of an object whose deletion is held up. */
export function blockedStatus(
  previous: Status | undefined,
  error: OperatorError,
  { generation, now }: { readonly generation: number; readonly now: number },
): Status {
  const conditions = setCondition(previous?.conditions ?? [], {
    type: "DeletionBlocked",
    status: "True",
    reason: error.code,
    message: cut(`${blockedAt(error)}, trying again: ${error.message}`),
    observedGeneration: generation,
    lastTransitionTime: rfc3339(now),
  });
  return { ...previous, conditions };
}

/** What was to be done next: the data leaves Vault first, then the object's finalizer. */
function blockedAt(error: OperatorError): string {
  if (isInvalid(error)) return "the API server does not take the finalizer off; correct what it finds in spec";
  return error.code === "KubernetesError" ? "nothing was removed" : "the data could not be removed from Vault";
}

/** RFC 3339 in UTC, to the second, as Kubernetes writes times. */
function rfc3339(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

function conditionsAfter(
  before: readonly Condition[],
  outcome: Outcome,
  { generation, time }: { readonly generation: number; readonly time: string },
): Condition[] {
  const { pending } = outcome;
  const told = [...outcome.remarks, ...(pending === undefined ? [] : [pending])];
  const remarks = told.map(({ code, message }) => `${code}: ${message}`);
  const main = outcome.kind === "synced" ? syncedMessage(outcome.keys) : outcome.error.message;
  const ready = setCondition(before, {
    type: "Ready",
    status: outcome.kind === "synced" ? "True" : "False",
    reason: outcome.kind === "synced" ? "Synced" : outcome.error.code,
    message: cut([main, ...remarks].join("; ")),
    observedGeneration: generation,
    lastTransitionTime: time,
  });
  const settled = removeCondition(ready, "DeletionBlocked");
  const awaited = [outcome.kind === "failed" ? outcome.error : undefined, pending].find(
    (error) => error?.retry === "backoff",
  );
  if (awaited === undefined) return removeCondition(settled, "Reconciling");
  return setCondition(settled, {
    type: "Reconciling",
    status: "True",
    reason: awaited.code,
    message: "tried again by itself, with growing delays of up to 5 minutes",
    observedGeneration: generation,
    lastTransitionTime: time,
  });
}

function syncedMessage(keys: number): string {
  return keys === 1 ? "1 key is in Vault" : `${keys} keys are in Vault`;
}

function keysAfter(previous: Status | undefined, outcome: Outcome): NonNullable<Status["keys"]> {
  if (outcome.kind === "synced") return { synced: outcome.keys };
  const synced = outcome.keys ?? previous?.keys?.synced ?? 0;
  return outcome.failedKeys.length === 0 ? { synced } : { synced, failed: [...outcome.failedKeys] };
}

function placeOf(
  destination: NonNullable<Outcome["destination"]>,
  revision: Outcome["revision"],
): NonNullable<Status["vault"]> {
  const { namespace, mount, path, engineVersion } = destination;
  return {
    ...(namespace !== "" && { namespace }),
    mount,
    path,
    engineVersion,
    ...(revision && { version: revision.version }),
  };
}

function cut(message: string): string {
  return message.length <= maxMessage ? message : `${message.slice(0, maxMessage - 1)}…`;
}
