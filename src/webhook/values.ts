// Whether values can be decrypted. Only those are asked about that an edit changes; a value is dropped as soon as it is
// there. What a key service cannot say now is no fault of the value: it counts as unchecked.
import { isDeepStrictEqual } from "node:util";
import { type ErrorCode, OperatorError } from "../base/errors.ts";
import type { DecryptCall, Decryptor } from "../kms/cipher.ts";
import type { TenancyPolicy } from "../policy/policy.ts";
import { decrypt, type EntryFailure, keyChoiceOf } from "../sync/decrypt.ts";
import { includedSource, type ResolvedEntry, resolveSource } from "../sync/resolve.ts";
import { type Includers, maxIncluders } from "./includers.ts";
import { ownEntries, type Subject } from "./subject.ts";

export interface ValueTools {
  readonly decryptor: Decryptor;
  readonly includers: Includers;
  readonly policy: TenancyPolicy;
}

/** One look at the values of one object. */
export interface ValueCheck {
  readonly subject: Subject;
  /** The object before the edit. */
  readonly old: Subject | undefined;
  /** Keys of entries that need no look. */
  readonly except: ReadonlySet<string>;
  readonly signal: AbortSignal;
}

/** In list order each. */
export interface CheckedValues {
  /** Entries that will not decrypt. */
  readonly failed: readonly EntryFailure[];
  /** Entries of which nobody could say now. */
  readonly unchecked: readonly EntryFailure[];
}

/** Of one edit, that are decrypted: more would neither be answered in time nor leave anything to others. */
const mostValues = 2_000;
/** Troubles that may come of what a Partial alone does not say: context, binding, key, role. */
const ofMissingWords: readonly ErrorCode[] = ["DecryptingError", "KeyNotAllowed", "KMSAccessDenied"];

/** @throws only what is a bug */
export async function checkValues(check: ValueCheck, tools: ValueTools): Promise<CheckedValues> {
  const { subject, old, except, signal } = check;
  const entries = changedEntries(subject, old).filter(({ key }) => !except.has(key));
  if (entries.length === 0) return { failed: [], unchecked: [] };
  const call = callOf(subject, tools, signal);
  if (call instanceof OperatorError) return sorted(entries.map(({ key }) => ({ key, error: call })));
  const left = leftOut(entries.slice(mostValues));
  const { failures } = await decrypt(entries.slice(0, mostValues), tools.decryptor, call);
  if (subject.kind === "KMSVaultSecret" || failures.length === 0) return sorted([...failures, ...left]);
  return sorted([...(await retriedAsIncluded(failures, check, tools, call)), ...left]);
}

function leftOut(entries: readonly ResolvedEntry[]): EntryFailure[] {
  if (entries.length === 0) return [];
  const text = `of one edit the webhook decrypts ${mostValues} values at most; the operator checks them all`;
  const error = new OperatorError("KMSThrottled", text);
  return entries.map(({ key }) => ({ key, error }));
}

/** Those that have a ciphertext and differ, in what is decrypted or how, from the old object's. */
function changedEntries(subject: Subject, old: Subject | undefined): ResolvedEntry[] {
  const sameChoice = old !== undefined && isDeepStrictEqual(keyChoiceOf(subject.spec), keyChoiceOf(old.spec));
  const former = new Map(sameChoice ? ownEntries(old).map((entry) => [entry.key, entry]) : []);
  return ownEntries(subject).filter((entry) => !entry.empty && !isDeepStrictEqual(entry, former.get(entry.key)));
}

function callOf(subject: Subject, { policy }: ValueTools, signal: AbortSignal): DecryptCall | OperatorError {
  try {
    const allowedKeys = policy.grants(subject.namespace).allowedKeys;
    return { signal, ...keyChoiceOf(subject.spec), ...(allowedKeys !== undefined && { allowedKeys }) };
  } catch (error) {
    if (error instanceof OperatorError) return error;
    throw error;
  }
}

/**
 * What a Partial does not say of its values, the objects that include it do: an encryption context, a binding, a key.
 * A value that decrypts for one of them is good.
 */
async function retriedAsIncluded(
  failures: readonly EntryFailure[],
  { subject, signal }: ValueCheck,
  tools: ValueTools,
  call: DecryptCall,
): Promise<readonly EntryFailure[]> {
  let open = new Set(failures.filter(({ error }) => ofMissingWords.includes(error.code)).map(({ key }) => key));
  if (open.size === 0) return failures;
  const includers = await tools.includers.of(subject, signal);
  if (includers instanceof OperatorError) {
    return failures.map((failure) => (open.has(failure.key) ? { key: failure.key, error: includers } : failure));
  }
  const left = new Map(failures.map(({ key, error }) => [key, error]));
  const doubts = new Map<string, OperatorError>();
  for (const includer of includers) {
    if (open.size === 0) break;
    const entries = resolveSource(includedSource(subject.spec, includer.spec), {
      metadata: includer,
      spec: includer.spec,
    }).filter(({ key }) => open.has(key));
    const again = await decrypt(entries, tools.decryptor, { ...call, ...keyChoiceOf(includer.spec) });
    for (const { key, error } of again.failures) if (isDoubt(error)) doubts.set(key, error);
    for (const key of open) if (again.values.has(key)) left.delete(key);
    open = new Set(again.failures.map(({ key }) => key));
  }
  return [...left].map(([key, error]) => {
    if (!open.has(key) || isDoubt(error)) return { key, error };
    return { key, error: doubts.get(key) ?? explained(error, includers.length) };
  });
}

function explained(error: OperatorError, count: number): OperatorError {
  const tried = count < maxIncluders ? count : `the first ${count}`;
  const why =
    count === 0
      ? "; no KMSVaultSecret includes this Partial yet: if it lacks that one's secretContext, bindContext or kmsKeyId, create that one first"
      : `; nor does it decrypt with what the including KMSVaultSecrets add (${tried} tried)`;
  return new OperatorError(error.code, error.message + why, { cause: error, retry: error.retry });
}

function sorted(failures: readonly EntryFailure[]): CheckedValues {
  return {
    failed: failures.filter(({ error }) => !isDoubt(error)),
    unchecked: failures.filter(({ error }) => isDoubt(error)),
  };
}

/** Somebody else's trouble, which may pass by itself: it says nothing of the value. */
function isDoubt({ code, retry }: OperatorError): boolean {
  // That somebody may bring the key of a value makes it none that decrypts.
  return retry === "backoff" && code !== "DecryptingError";
}
