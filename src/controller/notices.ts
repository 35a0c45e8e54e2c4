// The events of one reconcile, as data: one for what happened, none when nothing did. Texts and reasons of the three
// events that the original had are the contract's, because alerts match on them.
import type { Condition, Status } from "../api/kinds.ts";
import { findCondition } from "../api/conditions.ts";
import type { Outcome } from "../sync/outcome.ts";
import { describe } from "../sync/pass.ts";

export interface Notice {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

/** As far as events name an object. */
export interface Named {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly path: string };
}

/** What is worth telling: a write always, a failure or a remark only when it was not told already. */
export function noticesOf(secret: Named, outcome: Outcome, change: Change): readonly Notice[] {
  const notices: Notice[] = [];
  const { written, remarks, left = [] } = outcome;
  const kept = left.filter(({ fate }) => fate.kind === "kept").map(({ destination }) => describe(destination));
  const wasKept = kept.length === 0 ? "" : `${kept.join(", ")} was left in place`;
  if (written !== undefined && !written.again) {
    const message = `Wrote secret ${secret.metadata.name} to ${secret.spec.path}`;
    notices.push(normal("SecretCreated", wasKept === "" ? message : `${message}; ${wasKept}`));
  } else if (wasKept !== "") notices.push(normal("Released", wasKept));
  for (const { destination, fate } of left) {
    const where = describe(destination);
    if (fate.kind === "removed") notices.push(normal("SecretRemoved", `Removed ${where}, where the object was before`));
    if (fate.kind === "released") notices.push(normal("Released", fate.message));
  }
  if (isTold(change)) return notices;
  if (outcome.kind === "failed") notices.push(failureNotice(outcome));
  for (const { code, message } of remarks) notices.push({ type: "Warning", reason: code, message });
  if (outcome.pending !== undefined) {
    notices.push({ type: "Warning", reason: outcome.pending.code, message: outcome.pending.message });
  }
  return notices;
}

function normal(reason: string, message: string): Notice {
  return { type: "Normal", reason, message };
}

/** The status before and after a reconcile. */
export interface Change {
  readonly previous: Status | undefined;
  readonly next: Status;
}

function failureNotice({ error, failedKeys }: Extract<Outcome, { kind: "failed" }>): Notice {
  if (error.code === "Suspended") return normal(error.code, error.message);
  const verb = verbs[error.code];
  const [key, ...others] = failedKeys;
  if (verb === undefined || key === undefined) return { type: "Warning", reason: error.code, message: error.message };
  const more = others.length === 0 ? "" : ` (and ${others.length} more: ${others.slice(0, 10).join(", ")})`;
  return { type: "Warning", reason: error.code, message: `Error ${verb} key ${key}${more}` };
}

const verbs: Readonly<Record<string, string>> = { DecodingError: "decoding", DecryptingError: "decrypting" };

/** Whether the Ready condition said the same before, for the same generation. */
function isTold({ previous, next }: Change): boolean {
  const before = readyOf(previous);
  const after = readyOf(next);
  return (
    before !== undefined &&
    after !== undefined &&
    before.status === after.status &&
    before.reason === after.reason &&
    before.message === after.message &&
    before.observedGeneration === after.observedGeneration
  );
}

function readyOf(status: Status | undefined): Condition | undefined {
  return findCondition(status?.conditions ?? [], "Ready");
}
