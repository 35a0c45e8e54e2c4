// Fourth stage, pure: from what stands in Vault and what should, to what is to be done. Every rule that keeps data
// from being lost is a line here: unchanged data is never written, an empty map never is, no key goes while an entry
// fails, foreign data is not overwritten.
import { OperatorError } from "../base/errors.ts";
import { type PlainMap, samePlainMap } from "../base/plaintext.ts";
import type { Observed } from "../vault/kv/engine.ts";
import type { Decrypted } from "./decrypt.ts";
import type { WriteMode } from "./ownership.ts";

/** What to do with the destination. */
export type Plan =
  /** It holds what it should. `data` is what it holds. */
  | { readonly kind: "noop"; readonly data: PlainMap }
  /** Write `data`; `cas` is the version that must still be the latest (KV v2). */
  | {
      readonly kind: "create" | "update";
      readonly data: PlainMap;
      /** Names of the keys that are new, other or gone; absent when what stands there was not read. */
      readonly changed?: readonly string[];
      readonly cas?: number;
    }
  /** There is nothing that could be written: no entry could be decrypted. */
  | { readonly kind: "nothing" }
  /** Must not be written. */
  | { readonly kind: "conflict"; readonly error: OperatorError };

export type OnDecryptError = "Keep" | "Skip" | "Fail";

export interface PlanInput {
  /** With `data` where there is live data; without, when it is known to differ and to be ours. */
  readonly observed: Observed;
  readonly decrypted: Decrypted;
  readonly onDecryptError: OnDecryptError;
  readonly mode: WriteMode;
  /** Whether foreign data that differs may be overwritten: it is known to be ours, or the user said so. */
  readonly mayOverwrite: boolean;
  /** With `Merge`: the keys that are this object's already, and may be overwritten. */
  readonly ownKeys: ReadonlySet<string>;
  /** Those of them that it wrote itself: they go when they are no entry's any more. */
  readonly writtenKeys: ReadonlySet<string>;
  /** What stands at the location that the object was written to before its path changed, if it did. */
  readonly formerly?: PlainMap | "unreadable";
  /** The user's own check-and-set (`casIndex`): everything is written, with that version. */
  readonly casIndex?: number;
  readonly where: string;
}

export function plan(input: PlanInput): Plan {
  const { observed, decrypted, casIndex } = input;
  const existing = observed.state === "present" ? observed.data : undefined;
  const data = input.mode === "Merge" ? mergedData(input, existing) : desiredData(input, existing);
  if (data === undefined || data.size === 0) return { kind: "nothing" };
  if (casIndex !== undefined) return { kind: casIndex === 0 ? "create" : "update", data, cas: casIndex };
  if (existing !== undefined && samePlainMap(data, existing)) return { kind: "noop", data };
  if (isForeign(input, existing)) {
    if (decrypted.failures.length > 0) return { kind: "nothing" };
    return { kind: "conflict", error: adoptionRequired(input.where) };
  }
  const cas = versionOf(observed);
  return {
    kind: observed.state === "absent" ? "create" : "update",
    data,
    ...((existing !== undefined || observed.state === "absent") && { changed: changedKeys(data, existing) }),
    ...(cas !== undefined && { cas }),
  };
}

/** Whether what would be written over is someone else's. */
function isForeign(input: PlanInput, existing: PlainMap | undefined): boolean {
  const { observed, mode, mayOverwrite, ownKeys, decrypted } = input;
  if (mayOverwrite || observed.state !== "present") return false;
  if (mode === "Replace") return existing?.size !== 0;
  return [...decrypted.values].some(([key, value]) => {
    const found = existing?.get(key);
    return found !== undefined && !ownKeys.has(key) && !found.equals(value);
  });
}

/** The latest version (KV v2), 0 when there is none; undefined where versions do not exist or could not be read. */
export function versionOf(observed: Observed): number | undefined {
  if (observed.state === "absent") return 0;
  if (observed.state === "unreadable") return undefined;
  return observed.revision?.version;
}

/** What should stand in Vault, or undefined when nothing may be written. */
function desiredData(input: PlanInput, existing: PlainMap | undefined): PlainMap | undefined {
  const { decrypted, onDecryptError, observed, formerly } = input;
  if (decrypted.failures.length === 0 || onDecryptError === "Skip") return decrypted.values;
  const cannotKeep = observed.state === "unreadable" || formerly === "unreadable" || input.casIndex !== undefined;
  if (onDecryptError === "Fail" || cannotKeep) return undefined;
  // Keep: whatever Vault holds stays, the failed keys and also those that left the spec, until all entries decrypt.
  const kept = new Map(existing);
  for (const { key } of decrypted.failures) {
    const former = formerly?.get(key);
    if (former !== undefined && !kept.has(key)) kept.set(key, former);
  }
  return new Map([...kept, ...decrypted.values]);
}

/** With `Merge`: what stands there, with our keys as they should be; no key of ours goes while an entry fails. */
function mergedData(input: PlanInput, existing: PlainMap = new Map()): PlainMap | undefined {
  const { decrypted, onDecryptError, writtenKeys, formerly } = input;
  const failed = decrypted.failures.map(({ key }) => key);
  if (failed.length > 0 && (onDecryptError === "Fail" || formerly === "unreadable")) return undefined;
  const keepsAll = failed.length > 0 && onDecryptError === "Keep";
  const merged = new Map([...existing].filter(([key]) => keepsAll || !writtenKeys.has(key)));
  for (const key of failed) {
    const former = formerly instanceof Map ? formerly.get(key) : undefined;
    if (former !== undefined && !merged.has(key)) merged.set(key, former);
  }
  // Nothing of ours to write is nothing to do, even where something of ours would go.
  if (decrypted.values.size === 0 && failed.length > 0) return undefined;
  return new Map([...merged, ...decrypted.values]);
}

function changedKeys(data: PlainMap, existing: PlainMap | undefined): string[] {
  const changed = [...data].filter(([key, value]) => existing?.get(key)?.equals(value) !== true).map(([key]) => key);
  const removed = [...(existing?.keys() ?? [])].filter((key) => !data.has(key));
  return [...changed, ...removed];
}

function adoptionRequired(where: string): OperatorError {
  return new OperatorError(
    "AdoptionRequired",
    `${where} already holds other data that this object did not write; nothing was written; compare the two, then take it over with the annotation k8s.patoarvizu.dev/adopt: "true", or choose another path`,
  );
}
