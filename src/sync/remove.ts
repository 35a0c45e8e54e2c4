// What the deletion of an object, or its move to another path, does to what it wrote. Only what the record shows to be
// ours is removed, looked at once more just before; in every other case the object is let go and Vault is left alone.
// Neither a Partial, nor KMS, nor a valid spec is needed.
import type { DeletionPolicy, Meta } from "../api/kinds.ts";
import { asOperatorError, OperatorError, triedAgain } from "../base/errors.ts";
import type { PlainMap } from "../base/plaintext.ts";
import type { Destination, Observed } from "../vault/kv/engine.ts";
import type { VaultAccess } from "../vault/vault.ts";
import { claimants, isNamed } from "./claims.ts";
import { seenMetadata } from "./observe.ts";
import type { Removal } from "./outcome.ts";
import { standing, unmarkChange } from "./ownership.ts";
import { describe, picked, type Rival, selfOf, type SyncTools } from "./pass.ts";
import { versionOf } from "./plan.ts";
import { type Place, sameRevision } from "./record.ts";

/** What is removed, and by which rule. */
export interface RemovePlaceInput {
  readonly metadata: Meta;
  readonly policy: Exclude<DeletionPolicy, "Retain">;
  /** Vault, as the identity that this object uses sees it in the place's namespace. */
  readonly access: VaultAccess;
  /** Other living objects whose path may lead where this one leads, and that may write to the destination. */
  readonly rivals: (path: string, destination: Destination) => readonly Rival[];
  /** Asked just before anything is removed: whether the object still is as it was when that was decided. */
  readonly isCurrent: () => boolean;
}

/** A place, and whether the original may have written it, of which there is no record. */
export type PlaceToRemove = Place & { readonly mayPredateUs?: boolean };

type Tools = Pick<SyncTools, "lock" | "records">;

/**
 * Removes what an object wrote at one place, as far as it is still ours. Never throws: what goes wrong is `blocked`, and
 * is tried again.
 * @param place as recorded, or where the object says when nothing is recorded
 */
export async function removePlace(place: PlaceToRemove, input: RemovePlaceInput, tools: Tools): Promise<Removal> {
  const { destination } = place;
  const { policy } = input;
  const where = describe(destination);
  if (policy === "SoftDelete" && destination.engineVersion === "v1" && place.keys === undefined) {
    return released(`${where} was left in place: on KV v1 nothing can be undeleted, so nothing was deleted`);
  }
  try {
    return await tools.lock.hold(destination, () => removeUpgraded(place, input, tools));
  } catch (error) {
    return { kind: "blocked", error: triedAgain(asOperatorError(error)) };
  }
}

/** Where the engine was upgraded in place since, the secret is found at its new address. */
async function removeUpgraded(place: PlaceToRemove, input: RemovePlaceInput, tools: Tools): Promise<Removal> {
  try {
    return await removeHeld(place, input, tools);
  } catch (error) {
    if (!(error instanceof OperatorError) || error.code !== "EngineMismatch") throw error;
    const { mount, path } = place.destination;
    const destination = await input.access.resolve(`${mount}/${path}`);
    return removeHeld({ ...place, destination }, input, tools);
  }
}

async function removeHeld(place: PlaceToRemove, input: RemovePlaceInput, tools: Tools): Promise<Removal> {
  const { destination } = place;
  const { access, policy } = input;
  const where = describe(destination);
  const rivals = input.rivals(`${destination.mount}/${destination.path}`, destination);
  const others = await claimants(destination, rivals, access);
  if (place.keys !== undefined) return removeKeys({ ...place, keys: place.keys }, others, { input, tools });
  if (others.length > 0) return released(`${where} was left alone: another object names it`);
  // A secret without a version on record was written before its engine had any: its data alone tells whose it is.
  const byData = place.fingerprint !== undefined && place.revision === undefined;
  const observed = await (byData ? access.read(destination) : access.observe(destination));
  const isGone = observed.state === "absent" || (observed.state === "deleted" && policy === "SoftDelete");
  if (isGone) return { kind: "removed", destination };
  if (!isOurs(place, observed, { input, tools })) return released(notOurs(place));
  if (!input.isCurrent()) return { kind: "postponed" };
  await (policy === "SoftDelete" ? access.softDelete(destination) : access.remove(destination));
  return { kind: "removed", destination };
}

/** With `Merge`: our keys go, unless another object has them too; others' stay, and with them earlier versions. */
async function removeKeys(
  place: Place & { readonly keys: readonly string[] },
  others: readonly Rival[],
  { input, tools }: { readonly input: RemovePlaceInput; readonly tools: Tools },
): Promise<Removal> {
  const { destination, keys, adopted = [] } = place;
  const { access } = input;
  const where = describe(destination);
  if (others.some(({ secret }) => secret.spec.writeMode !== "Merge")) {
    return released(`${where} was left alone: another object names it`);
  }
  const observed = await access.read(destination);
  if (observed.state === "absent" || observed.state === "deleted") return { kind: "removed", destination };
  if (observed.state === "unreadable" || observed.data === undefined) throw unseen(destination, "read");
  const leaving = keys.filter((key) => !adopted.includes(key) && !isNamed(key, others));
  if (!isOurs(place, observed, { input, tools })) {
    return released(`${where} was left alone: someone else has changed our keys since; remove them by hand`);
  }
  const rest = picked(
    observed.data,
    [...observed.data.keys()].filter((key) => !leaving.includes(key)),
  );
  if (!input.isCurrent()) return { kind: "postponed" };
  if (rest.size < observed.data.size) await writeRest(destination, rest, { observed, access });
  const custom = unmarkChange(observed.metadata?.custom ?? {}, selfOf(input.metadata, tools.records));
  if (destination.engineVersion === "v2" && Object.keys(custom).length > 0) {
    // Where it may not be changed, the mark of an object that is gone counts for nobody.
    await access.writeMetadata(destination, { custom }, observed.metadata);
  }
  return { kind: "removed", destination };
}

async function writeRest(
  destination: Destination,
  rest: PlainMap,
  { observed, access }: { readonly observed: Observed; readonly access: VaultAccess },
): Promise<void> {
  if (rest.size > 0) await access.write(destination, rest, versionOf(observed));
  // Earlier versions may hold what others had there.
  else if (destination.engineVersion === "v2") await access.softDelete(destination);
  else await access.remove(destination);
}

/**
 * Whether what stands there is this object's. The mark tells, where there is one; else the version, or on KV v1 the keyed
 * hash. Where KV v1 may not be read, as with policies made for the original, the record alone decides.
 */
function isOurs(
  place: PlaceToRemove,
  observed: Exclude<Observed, { state: "absent" }>,
  { input, tools }: { readonly input: RemovePlaceInput; readonly tools: Tools },
): boolean {
  const { destination, revision, fingerprint, keys } = place;
  if (destination.engineVersion === "v2") {
    if (observed.state === "unreadable") throw unseen(destination, observed.missingCapability);
    const mode = keys === undefined ? "Replace" : "Merge";
    const owner = standing(seenMetadata(observed)?.custom ?? {}, selfOf(input.metadata, tools.records), mode);
    if (owner !== "unmarked") return owner === "ours";
    if (place.mayPredateUs === true || sameRevision(revision, observed.revision)) return true;
    if (keys === undefined && revision !== undefined) return false;
  } else if (place.mayPredateUs === true) {
    return true;
  } else if (observed.state === "unreadable") {
    return fingerprint !== undefined;
  }
  if (observed.state !== "present" || observed.data === undefined) return false;
  const ours = keys === undefined ? observed.data : picked(observed.data, keys);
  return tools.records.fingerprint(ours, destination, input.metadata.uid) === fingerprint;
}

function unseen(destination: Destination, capability: string): OperatorError {
  return new OperatorError(
    "VaultPermissionDenied",
    `Vault lets us read neither the metadata nor the data of ${describe(destination)}, and what was not seen is not removed; grant ${capability}`,
  );
}

function notOurs({ destination, revision, fingerprint }: Place): string {
  const where = `${describe(destination)} was left alone`;
  return revision === undefined && fingerprint === undefined
    ? `${where}: there is no record that this object wrote anything there`
    : `${where}: someone else has written there since; remove it by hand if it shall go`;
}

/** Vault is not touched. */
export function released(message: string): Removal {
  return { kind: "released", message };
}
