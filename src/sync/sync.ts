// The pipeline, readable as its own summary: resolve → observe → decrypt → plan → apply → outcome, for one object.
// It knows neither Kubernetes nor how Vault and KMS are reached; all it touches is handed in.
import { asOperatorError, OperatorError, triedAgain } from "../base/errors.ts";
import type { Destination, Observed } from "../vault/kv/engine.ts";
import { apply, unchanged } from "./apply.ts";
import { assertHolder, claimants } from "./claims.ts";
import { type Decrypted, decrypt } from "./decrypt.ts";
import { leaveFormer } from "./former.ts";
import { marked } from "./mark.ts";
import { mergeKeys } from "./merged-keys.ts";
import { completed, formerValues, isInSync, judgeByCasIndex, seenMetadata, withSharedData } from "./observe.ts";
import { notTried, type Outcome, type Superseded, type Synced } from "./outcome.ts";
import { standing } from "./ownership.ts";
import { describe, Pass, type Rival, type SyncInput, type SyncTools } from "./pass.ts";
import { plan, versionOf } from "./plan.ts";
import { placesOf } from "./record.ts";
import { resolve } from "./resolve.ts";

/** A CAS race re-reads and plans again; more often than this it is another writer that never stops. */
const maxAttempts = 3;

/**
 * Makes Vault equal to one object, or says why not. Never throws: what is not expected becomes `InternalError`.
 */
export async function sync(input: SyncInput, tools: SyncTools): Promise<Outcome | Superseded> {
  let destination: Destination | undefined;
  try {
    const resolved = resolve(input.secret, input.partials);
    const { path, kvSettings } = input.secret.spec;
    const place = await input.access.resolve(path, kvSettings?.engineVersion);
    destination = place;
    input.assertMayUse(place);
    const pass = new Pass(input, tools, resolved, place);
    const outcome = await tools.lock.hold(place, () => syncHeld(pass));
    // Not while the new place is held: of two objects that swap places each would wait for the other.
    return outcome.kind === "superseded" ? outcome : await leaveFormer(pass, outcome);
  } catch (error) {
    return notTried(asOperatorError(error), destination);
  }
}

/** With the destination to itself: who holds it is decided here, or another could have come between. */
async function syncHeld(pass: Pass): Promise<Outcome | Superseded> {
  const { input, tools, destination } = pass;
  const { secret } = input;
  // Before it is replaced: what was written where the object was before.
  for (const place of placesOf(input.note)) tools.own.add(place, pass.self.uid);
  const others = await claimants(destination, input.rivals(secret.spec.path, destination), input.access);
  pass.others = others;
  if (!input.isCurrent()) return { kind: "superseded" };
  const keys = new Set(pass.resolved.entries.map(({ key }) => key));
  const self: Rival = { secret, namespace: destination.namespace, keys };
  assertHolder(self, others, describe(destination));
  await input.prepare();
  const outcome = await syncDestination(pass);
  if (outcome.kind !== "superseded" && outcome.note !== undefined) tools.own.add(outcome.note, pass.self.uid);
  return outcome;
}

async function syncDestination(pass: Pass): Promise<Outcome | Superseded> {
  const { access } = pass.input;
  let decrypted: Decrypted | undefined;
  for (let attempt = 1; ; attempt += 1) {
    const observed = await withSharedData(pass, await access.observe(pass.destination));
    assertNotForeign(pass, observed);
    const settled = settledWithoutKms(pass, observed);
    if (settled !== undefined) return marked(pass, observed, settled);
    if (decrypted === undefined && !(await pass.input.isConfirmed())) return { kind: "superseded" };
    decrypted ??= await decrypt(pass.resolved.entries, pass.tools.decryptor, pass.decryptCall());
    // That may have taken long: nothing is written that nobody wants any more, or that may not be had any more.
    if (!pass.input.isCurrent()) return { kind: "superseded" };
    const current = await completed(pass, observed, decrypted);
    const next = plan({
      observed: current,
      decrypted,
      onDecryptError: pass.onDecryptError,
      mode: pass.mode,
      mayOverwrite: mayOverwrite(pass, current),
      ...mergeKeys(pass, current),
      where: describe(pass.destination),
      ...(pass.casIndex !== undefined && { casIndex: pass.casIndex }),
      ...(await formerValues(pass, decrypted)),
    });
    let outcome: Outcome;
    try {
      outcome = await apply(pass, next, { observed: current, decrypted });
    } catch (error) {
      const raced = error instanceof OperatorError && error.code === "CASConflict" && pass.casIndex === undefined;
      if (!raced) throw error;
      // Nobody has to change anything for the next attempt to succeed.
      if (attempt < maxAttempts) continue;
      throw triedAgain(error);
    }
    return marked(pass, current, outcome);
  }
}

/** @throws OperatorError `PathConflict` when another cluster's object has the secret, unless the user takes it over */
function assertNotForeign({ input, self, mode, destination }: Pass, observed: Observed): void {
  const custom = seenMetadata(observed)?.custom ?? {};
  if (input.adopt || standing(custom, self, mode) !== "foreign") return;
  throw new OperatorError(
    "PathConflict",
    `${describe(destination)} carries the mark of an object of another cluster; nothing was written; let only one of the two have the path, or take it over with the annotation k8s.patoarvizu.dev/adopt: "true" (if this cluster is that one built anew: start its operator with --cluster-id set to the value of cluster in the mark, before it has written anything)`,
  );
}

/** The outcome where the versions alone, or the record, tell that nothing is to be written. */
function settledWithoutKms(pass: Pass, observed: Observed): Synced | undefined {
  const { casIndex } = pass;
  if (casIndex === undefined) return isInSync(pass, observed) ? unchanged(pass, observed) : undefined;
  switch (judgeByCasIndex(pass, observed, casIndex)) {
    case "write":
      return undefined;
    case "in sync":
      return unchanged(pass, observed);
    case "in sync, not as the object says": {
      const version = versionOf(observed) ?? casIndex + 1;
      const message = `the object changed but is not written, because casIndex is ${casIndex} and Vault holds version ${version}: raise casIndex to ${version}`;
      return unchanged(pass, observed, [{ code: "CASConflict", message }]);
    }
  }
}

/**
 * Whether data that is not known to be this object's may be written over: the user says so, or an object of this
 * cluster wrote it, which has left the place to this one. A version that was only noted (casIndex) is not ours.
 */
function mayOverwrite(pass: Pass, observed: Observed): boolean {
  const { destination, note, input, tools, self, mode } = pass;
  const { adoption, own } = tools;
  if (input.adopt || adoption === "always") return true;
  const isOurs = note?.fingerprint !== undefined && (note.keys === undefined || isAllOurs(pass, observed));
  if (isOurs || mode === "Merge") return isOurs;
  if (destination.engineVersion === "v1") return adoption === "original";
  if (observed.state !== "present") return false;
  const { revision, data, metadata } = observed;
  if (standing(metadata?.custom ?? {}, self, mode) !== "unmarked" || own.has(destination, revision)) return true;
  return data !== undefined && own.wasAttempted(destination, pass.fingerprint(data));
}

/** Whether nothing stands there but the keys that were merged into it, as they were left. */
function isAllOurs(pass: Pass, observed: Observed): boolean {
  const data = observed.state === "present" ? observed.data : undefined;
  const { note } = pass;
  const keys = note?.keys;
  if (data === undefined || keys === undefined || [...data.keys()].some((key) => !keys.includes(key))) return false;
  return pass.fingerprint(data) === note?.fingerprint;
}
