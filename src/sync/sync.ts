// The pipeline, readable as its own summary: resolve → observe → decrypt → plan → apply → outcome, for one object.
// It knows neither Kubernetes nor how Vault and KMS are reached; all it touches is handed in.
import type { KMSVaultSecret, PartialKMSVaultSecret } from "../api/kinds.ts";
import { asOperatorError, OperatorError } from "../base/errors.ts";
import type { PlainMap } from "../base/plaintext.ts";
import type { Decryptor } from "../kms/cipher.ts";
import type { Destination, Observed } from "../vault/kv/engine.ts";
import type { VaultAccess } from "../vault/vault.ts";
import { assertHolder, claimants } from "./claims.ts";
import { combineFailures, type Decrypted, decrypt } from "./decrypt.ts";
import type { DestinationLock } from "./destination-lock.ts";
import { sourceDigest } from "./digest.ts";
import type { Failed, Outcome, Remark, Synced } from "./outcome.ts";
import type { OwnRevisions } from "./own-revisions.ts";
import { type OnDecryptError, type Plan, type PlanInput, plan, versionOf } from "./plan.ts";
import { type Note, type RecordKeeper, sameDestination, sameRevision } from "./record.ts";
import { type Resolved, resolve } from "./resolve.ts";

/** Everything the pipeline works with. */
export interface SyncTools {
  readonly decryptor: Decryptor;
  readonly records: RecordKeeper;
  readonly lock: DestinationLock;
  readonly own: OwnRevisions;
}

/** One object and its surroundings at the time of the reconcile. */
export interface SyncInput {
  readonly secret: KMSVaultSecret;
  readonly partials: (name: string) => PartialKMSVaultSecret | undefined;
  /** Other living objects whose path may lead to the same destination. */
  readonly rivals: readonly KMSVaultSecret[];
  /** What was recorded of this object last, already authenticated. */
  readonly note: Note | undefined;
  /** Vault, as the identity that this object uses sees it. */
  readonly access: VaultAccess;
  /** The user allowed that foreign data at the path is taken over. */
  readonly adopt: boolean;
  readonly signal: AbortSignal;
}

/** A CAS race re-reads and plans again; more often than this it is another writer that never stops. */
const maxAttempts = 3;

/**
 * Makes Vault equal to one object, or says why not. Never throws: what is not expected becomes `InternalError`.
 */
export async function sync(input: SyncInput, tools: SyncTools): Promise<Outcome> {
  let destination: Destination | undefined;
  if (input.note !== undefined) tools.own.add(input.note);
  try {
    const resolved = resolve(input.secret, input.partials);
    const { path, kvSettings } = input.secret.spec;
    const place = await input.access.resolve(path, kvSettings?.engineVersion);
    destination = place;
    assertHolder(input.secret, await claimants(place, input.rivals, input.access), describe(place));
    return await tools.lock.hold(place, async () => {
      const outcome = await syncDestination(new Pass(input, tools, resolved, place));
      if (outcome.note !== undefined) tools.own.add(outcome.note);
      return outcome;
    });
  } catch (error) {
    return failed(asOperatorError(error), { remarks: [], ...(destination && { destination }) });
  }
}

/** How a destination is named to people: as the API path. */
export function describe({ namespace, mount, path, engineVersion }: Destination): string {
  const shown = engineVersion === "v2" ? `${mount}/data/${path}` : `${mount}/${path}`;
  return namespace === "" ? shown : `${shown} (namespace ${namespace})`;
}

/** What is fixed for one pass over one destination. */
class Pass {
  readonly input: SyncInput;
  readonly tools: SyncTools;
  readonly resolved: Resolved;
  readonly destination: Destination;
  readonly digest: string;
  readonly onDecryptError: OnDecryptError;
  /** The user's own check-and-set; on KV v1 it means nothing. */
  readonly casIndex: number | undefined;

  constructor(input: SyncInput, tools: SyncTools, resolved: Resolved, destination: Destination) {
    const { spec } = input.secret;
    this.input = input;
    this.tools = tools;
    this.resolved = resolved;
    this.destination = destination;
    this.onDecryptError = spec.onDecryptError ?? "Keep";
    this.casIndex = destination.engineVersion === "v2" ? spec.kvSettings?.casIndex : undefined;
    this.digest = sourceDigest({ entries: resolved.entries, destination, onDecryptError: this.onDecryptError });
  }

  /** The record, as far as it is about this destination. */
  get note(): Note | undefined {
    const { note } = this.input;
    return note !== undefined && sameDestination(note.destination, this.destination) ? note : undefined;
  }

  fingerprint(data: PlainMap): string {
    return this.tools.records.fingerprint(data, this.destination, this.input.secret.metadata.uid);
  }

  remarks(): Remark[] {
    const remarks: Remark[] = this.resolved.duplicates.map(({ key, winner }) => ({
      code: "DuplicateKey",
      message: `key ${key} stands in more than one place, the one of ${winner} counts`,
    }));
    if (this.destination.engineVersion === "v1" && this.input.secret.spec.kvSettings?.casIndex !== undefined) {
      remarks.push({ code: "EngineMismatch", message: "casIndex means nothing on KV v1 and is ignored" });
    }
    return remarks;
  }
}

async function syncDestination(pass: Pass): Promise<Outcome> {
  const { access, signal } = pass.input;
  let decrypted: Decrypted | undefined;
  for (let attempt = 1; ; attempt += 1) {
    const observed = await access.observe(pass.destination);
    if (pass.casIndex !== undefined) {
      const settled = settledByCasIndex(pass, observed, pass.casIndex);
      if (settled !== undefined) return settled;
    } else if (isInSync(pass, observed)) {
      return unchanged(pass, observed);
    }
    decrypted ??= await decrypt(pass.resolved.entries, pass.tools.decryptor, signal);
    const current = await completed(pass, observed, decrypted);
    const next = plan({
      observed: current,
      decrypted,
      onDecryptError: pass.onDecryptError,
      mayOverwrite: mayOverwrite(pass, current),
      where: describe(pass.destination),
      ...(pass.casIndex !== undefined && { casIndex: pass.casIndex }),
      ...(await formerValues(pass, decrypted)),
    });
    try {
      return await apply(pass, next, { observed: current, decrypted });
    } catch (error) {
      const raced = error instanceof OperatorError && error.code === "CASConflict" && pass.casIndex === undefined;
      if (!raced || attempt === maxAttempts) throw error;
    }
  }
}

/** In sync: the source is the recorded one and the destination is what was written. No value is needed to tell. */
function isInSync(pass: Pass, observed: Observed): boolean {
  const { note, digest } = pass;
  if (note === undefined || note.digest !== digest || observed.state !== "present") return false;
  if (pass.destination.engineVersion === "v2") return sameRevision(note.revision, observed.revision);
  return observed.data !== undefined && pass.fingerprint(observed.data) === note.fingerprint;
}

/**
 * What the contract says of `casIndex` where no write follows: a later version than casIndex + 1 is a conflict, that
 * very version is in sync whatever the data, an earlier one than casIndex can only be refused by Vault.
 */
function settledByCasIndex(pass: Pass, observed: Observed, casIndex: number): Outcome | undefined {
  const version = versionOf(observed);
  if (version === undefined) return undefined;
  if (version === casIndex + 1) {
    const changed = pass.note?.digest !== undefined && pass.note.digest !== pass.digest;
    const remark: Remark = {
      code: "CASConflict",
      message: `the object changed but is not written, because casIndex is ${casIndex} and Vault holds version ${version}: raise casIndex to ${version}`,
    };
    return unchanged(pass, observed, changed ? [remark] : []);
  }
  if (version === casIndex) return undefined;
  const relation = version > casIndex ? "lower" : "higher";
  throw new OperatorError(
    "CASConflict",
    `CAS index is ${relation} than the latest version: casIndex is ${casIndex}, ${describe(pass.destination)} holds version ${version}; nothing was written; set casIndex to ${version} to write`,
  );
}

/** KV v1 is overwritten as the original did; KV v2 where we wrote ourselves, for whatever object, or the user says so. */
function mayOverwrite({ destination, note, input, tools }: Pass, observed: Observed): boolean {
  if (destination.engineVersion === "v1" || note !== undefined || input.adopt) return true;
  return observed.state === "present" && tools.own.has(destination, observed.revision);
}

/** The destination with its data, where a decision needs it; the fewest reads that do. */
async function completed(pass: Pass, observed: Observed, decrypted: Decrypted): Promise<Observed> {
  if (observed.state === "unreadable" && pass.destination.engineVersion === "v2") {
    throw new OperatorError(
      "VaultPermissionDenied",
      `Vault lets us read neither the metadata nor the data of ${describe(pass.destination)}, and KV v2 is never written blindly; grant ${observed.missingCapability}`,
    );
  }
  if (observed.state !== "present" || observed.data !== undefined || pass.casIndex !== undefined) return observed;
  const untouched = sameRevision(pass.note?.revision, observed.revision) && decrypted.failures.length === 0;
  // What we wrote ourselves, untouched since, is told apart from the new data by its keyed hash alone.
  if (untouched && pass.note?.fingerprint !== undefined) {
    const same = pass.fingerprint(decrypted.values) === pass.note.fingerprint;
    return same ? { ...observed, data: decrypted.values } : observed;
  }
  return pass.input.access.read(pass.destination);
}

/** After a change of path, what stands at the recorded old location: failed keys are carried over, not lost. */
async function formerValues(pass: Pass, decrypted: Decrypted): Promise<Pick<PlanInput, "formerly">> {
  const { note } = pass.input;
  const needed = decrypted.failures.length > 0 && pass.onDecryptError === "Keep";
  if (!needed || note === undefined || pass.note !== undefined) return {};
  const former = await pass.input.access.read(note.destination);
  if (former.state === "unreadable") return { formerly: "unreadable" };
  return former.state === "present" && former.data !== undefined ? { formerly: former.data } : {};
}

async function apply(
  pass: Pass,
  next: Plan,
  { observed, decrypted }: { observed: Observed; decrypted: Decrypted },
): Promise<Outcome> {
  const { destination } = pass;
  switch (next.kind) {
    case "conflict":
      throw next.error;
    case "nothing":
      return report(pass, decrypted, {});
    case "noop": {
      const revision = observed.state === "present" ? observed.revision : undefined;
      return report(pass, decrypted, { data: next.data, ...(revision && { revision }) });
    }
    case "create":
    case "update": {
      const revision = await pass.input.access.write(destination, next.data, next.cas);
      const { note } = pass.input;
      const moved = note !== undefined && pass.note === undefined;
      return report(pass, decrypted, {
        data: next.data,
        ...(revision && { revision }),
        ...(observed.state === "unreadable" && { blind: observed.missingCapability }),
        written: {
          destination,
          again: observed.state === "unreadable" && pass.note?.digest === pass.digest,
          ...(next.changed && { changed: next.changed }),
          ...(moved && { leftBehind: note.destination }),
        },
      });
    }
  }
}

interface Applied {
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
  const note: Note | undefined = data && {
    destination,
    ...(revision && { revision }),
    ...(first === undefined && { digest: pass.digest }),
    fingerprint: pass.fingerprint(data),
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
    ...failed(combineFailures([first, ...others]), common),
    failedKeys: failures.map(({ key }) => key),
    ...(data && { keys: values.size }),
  };
}

/** The outcome without decryption: nothing was to be done. */
function unchanged(pass: Pass, observed: Observed, remarks: readonly Remark[] = []): Synced {
  const { destination, note } = pass;
  const revision = observed.state === "present" || observed.state === "deleted" ? observed.revision : undefined;
  const isNoted = note !== undefined && (destination.engineVersion === "v1" || sameRevision(note.revision, revision));
  return {
    kind: "synced",
    destination,
    keys: pass.resolved.entries.length,
    remarks: [...pass.remarks(), ...remarks],
    // With casIndex a version may be in sync that we never wrote: its place and version are noted, its digest is not.
    note: isNoted ? note : { destination, ...(revision && { revision }) },
    ...(revision && { revision }),
  };
}

function failed(error: OperatorError, common: Omit<Failed, "kind" | "error" | "failedKeys">): Failed {
  return { kind: "failed", error, failedKeys: [], ...common };
}
