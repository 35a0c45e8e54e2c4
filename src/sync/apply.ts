// Last stages: from the plan to Vault, and from what was done to the outcome.
import type { PlainMap } from "../base/plaintext.ts";
import type { Observed } from "../vault/kv/engine.ts";
import { combineFailures, type Decrypted } from "./decrypt.ts";
import type { Outcome, Remark, Repaired, Synced } from "./outcome.ts";
import { keysAfter } from "./merged-keys.ts";
import { describe, type Pass } from "./pass.ts";
import type { Plan } from "./plan.ts";
import { type Note, sameRevision } from "./record.ts";

/**
 * Does what the plan says. A write goes with check-and-set on KV v2.
 * @throws OperatorError the plan's conflict, or what Vault answered
 */
export async function apply(
  pass: Pass,
  next: Plan,
  { observed, decrypted }: { observed: Observed; decrypted: Decrypted },
): Promise<Outcome> {
  const { destination } = pass;
  switch (next.kind) {
    case "conflict":
      throw next.error;
    case "nothing":
      return report(pass, decrypted, { observed });
    case "noop": {
      const revision = observed.state === "present" ? observed.revision : undefined;
      return report(pass, decrypted, { observed, data: next.data, ...(revision && { revision }) });
    }
    case "create":
    case "update": {
      const revision = await write(pass, next);
      const repaired = repairedBy(pass, observed);
      return report(pass, decrypted, {
        observed,
        data: next.data,
        ...(revision && { revision }),
        ...(observed.state === "unreadable" && { blind: observed.missingCapability }),
        written: {
          destination,
          again: observed.state === "unreadable" && pass.note?.digest === pass.digest,
          ...(next.changed && { changed: next.changed }),
          ...(repaired && { repaired }),
        },
      });
    }
  }
}

/** Undefined when it was the object that changed. */
function repairedBy({ note, digest }: Pass, observed: Observed): Repaired | undefined {
  if (note?.digest !== digest || observed.state === "unreadable") return undefined;
  return observed.state === "present" ? "changed" : "missing";
}

async function write(pass: Pass, { data, cas }: Extract<Plan, { readonly kind: "create" | "update" }>) {
  const { destination, input, tools } = pass;
  try {
    return await input.access.write(destination, data, cas);
  } catch (error) {
    if (pass.mode === "Replace") tools.own.attempted(destination, pass.fingerprint(data));
    throw error;
  }
}

interface Applied {
  /** What stood there before. */
  readonly observed: Observed;
  /** What stands in Vault now, when that is known. */
  readonly data?: PlainMap;
  readonly revision?: NonNullable<Note["revision"]>;
  readonly written?: NonNullable<Synced["written"]>;
  /** The capability without which each resync has to write. */
  readonly blind?: string;
}

/** The outcome after decryption, whole or in part. */
function report(pass: Pass, { failures, values }: Decrypted, applied: Applied): Outcome {
  const { destination } = pass;
  const { data, revision, written } = applied;
  const remarks = pass.remarks();
  if (applied.blind !== undefined) {
    remarks.push({
      code: "VaultPermissionDenied",
      message: `written at each resync, because ${describe(destination)} may not be read; the capability ${applied.blind} would save that`,
    });
  }
  const [first, ...others] = failures;
  // What was kept because an entry failed is only ours when we wrote it: otherwise a KMS outage would make us the owner
  // of whatever stands there.
  const isOurs = first === undefined || written !== undefined || pass.note?.fingerprint !== undefined;
  const merged =
    data === undefined || pass.mode === "Replace"
      ? undefined
      : keysAfter(pass, applied.observed, { data, values, written: written?.changed ?? [] });
  const note: Note | undefined =
    data === undefined || !isOurs
      ? undefined
      : {
          destination,
          ...(revision && { revision }),
          ...(first === undefined && { digest: pass.digest }),
          fingerprint: pass.fingerprint(data, merged?.keys),
          ...merged,
        };
  const common = {
    remarks,
    destination,
    ...(note && { note }),
    ...(revision && { revision }),
    ...(written && { written }),
  };
  if (first === undefined) return { kind: "synced", ...common, destination, keys: values.size };
  return {
    kind: "failed",
    ...common,
    error: combineFailures([first, ...others]),
    failedKeys: failures.map(({ key }) => key),
    ...(data && { keys: values.size }),
  };
}

/** The outcome where nothing is to be done, and nothing was decrypted. */
export function unchanged(pass: Pass, observed: Observed, remarks: readonly Remark[] = []): Synced {
  const { destination, note } = pass;
  const revision = observed.state === "present" || observed.state === "deleted" ? observed.revision : undefined;
  const isNoted = note !== undefined && (destination.engineVersion === "v1" || sameRevision(note.revision, revision));
  // Others have written beside the keys that are ours.
  const isShared = note?.keys !== undefined && pass.mode === "Merge";
  return {
    kind: "synced",
    destination,
    keys: pass.resolved.entries.length,
    remarks: [...pass.remarks(), ...remarks],
    // With casIndex a version may be in sync that we never wrote: its place and version are noted, its digest is not.
    note: isNoted ? note : { ...(isShared && note), destination, ...(revision && { revision }) },
    ...(revision && { revision }),
  };
}
