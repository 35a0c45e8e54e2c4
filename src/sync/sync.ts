// The pipeline, readable as its own summary: resolve → observe → decrypt → plan → apply → outcome, for one object.
// It knows neither Kubernetes nor how Vault and KMS are reached; all it touches is handed in.
import { asOperatorError, OperatorError } from "../base/errors.ts";
import type { Destination, Observed } from "../vault/kv/engine.ts";
import { apply, unchanged } from "./apply.ts";
import { assertHolder, claimants } from "./claims.ts";
import { type Decrypted, decrypt } from "./decrypt.ts";
import { completed, formerValues, isInSync, judgeByCasIndex } from "./observe.ts";
import type { Outcome, Superseded, Synced } from "./outcome.ts";
import { describe, Pass, type SyncInput, type SyncTools } from "./pass.ts";
import { plan, versionOf } from "./plan.ts";
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
    return await tools.lock.hold(place, () => syncHeld(new Pass(input, tools, resolved, place)));
  } catch (error) {
    const common = { remarks: [], failedKeys: [], ...(destination && { destination }) };
    return { kind: "failed", error: asOperatorError(error), ...common };
  }
}

/** With the destination to itself: who holds it is decided here, or another could have come between. */
async function syncHeld(pass: Pass): Promise<Outcome | Superseded> {
  const { input, tools, destination } = pass;
  // Before it is replaced: what was written where the object was before.
  if (input.note !== undefined) tools.own.add(input.note);
  const others = await claimants(destination, input.rivals(), input.access);
  if (!input.isCurrent()) return { kind: "superseded" };
  assertHolder(input.secret, others, describe(destination));
  const outcome = await syncDestination(pass);
  if (outcome.kind !== "superseded" && outcome.note !== undefined) tools.own.add(outcome.note);
  return outcome;
}

async function syncDestination(pass: Pass): Promise<Outcome | Superseded> {
  const { access, signal } = pass.input;
  let decrypted: Decrypted | undefined;
  for (let attempt = 1; ; attempt += 1) {
    const observed = await access.observe(pass.destination);
    const settled = settledWithoutKms(pass, observed);
    if (settled !== undefined) return settled;
    if (decrypted === undefined && !(await pass.input.isConfirmed())) return { kind: "superseded" };
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
      if (!raced) throw error;
      // Nobody has to change anything for the next attempt to succeed.
      if (attempt === maxAttempts) {
        throw new OperatorError("CASConflict", error.message, { cause: error, retry: "backoff" });
      }
    }
  }
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
 * KV v1 is overwritten as the original did. KV v2 where we wrote what stands there, for whatever object, or the user says
 * so. A version that was only noted (casIndex) is not ours.
 */
function mayOverwrite(pass: Pass, observed: Observed): boolean {
  const { destination, note, input, tools } = pass;
  if (destination.engineVersion === "v1" || note?.fingerprint !== undefined || input.adopt) return true;
  if (observed.state !== "present") return false;
  const { revision, data } = observed;
  if (tools.own.has(destination, revision)) return true;
  return data !== undefined && tools.own.wasAttempted(destination, pass.fingerprint(data));
}
