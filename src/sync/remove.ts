// What the deletion of an object does to Vault. Only what the record shows to be ours is removed, looked at once more
// just before; in every other case the object is let go and Vault is left alone. Neither a Partial, nor KMS, nor a
// valid spec is needed.
import { deletionAnnotation, type KMSVaultSecret, type Meta } from "../api/kinds.ts";
import { asOperatorError, OperatorError } from "../base/errors.ts";
import type { Destination, Observed } from "../vault/kv/engine.ts";
import type { VaultAccess } from "../vault/vault.ts";
import { claimants } from "./claims.ts";
import type { Removal } from "./outcome.ts";
import { type Note, sameRevision } from "./record.ts";
import { describe, type SyncInput, type SyncTools } from "./pass.ts";

export type RemoveInput = Pick<SyncInput, "note" | "access"> & {
  readonly metadata: Meta;
  /** `spec.path` and `spec.kvSettings.engineVersion`, as far as they can be read. */
  readonly named?: { readonly path: string; readonly engineVersion?: "v1" | "v2" };
  /** Whether the object may have been written by the original and never been looked at by us. */
  readonly mayPredateUs: boolean;
  /** Whether somebody is deleting the CRD, and with it every object: that is no order to delete what is in Vault. */
  readonly isKindGoing: () => Promise<boolean>;
  /** Other living objects, given a destination, whose path may lead there. */
  readonly rivals: (destination: Destination) => readonly KMSVaultSecret[];
};

/**
 * Removes the data of a deleted object that has the contract's finalizer: the path on KV v1, all versions and the
 * metadata on KV v2. Never throws: what goes wrong is `blocked`, and is tried again.
 */
export async function remove(input: RemoveInput, tools: SyncTools): Promise<Removal> {
  try {
    if (input.metadata.annotations?.[deletionAnnotation] === "orphan") {
      return released(`Vault was left alone, as the annotation ${deletionAnnotation}: orphan asks`);
    }
    const destination = input.note?.destination ?? (await contractDestination(input));
    if (destination === undefined) {
      return released("Vault was left alone: there is no record that this object wrote anything there");
    }
    if (await input.isKindGoing()) throw kindIsGoing();
    return await tools.lock.hold(destination, () => removeFrom(destination, input, tools));
  } catch (error) {
    return { kind: "blocked", error: asOperatorError(error) };
  }
}

/** Where an object that we never wrote a status to was written by the original: where its spec says. */
async function contractDestination({ mayPredateUs, named, access }: RemoveInput): Promise<Destination | undefined> {
  if (!mayPredateUs || named === undefined) return undefined;
  try {
    return await resolveAnyEngine(access, named);
  } catch (error) {
    // A path that leads to no KV engine holds nothing of ours.
    if (error instanceof OperatorError && (error.code === "InvalidPath" || error.code === "NotKV")) return undefined;
    throw error;
  }
}

async function resolveAnyEngine(
  access: VaultAccess,
  { path, engineVersion }: { readonly path: string; readonly engineVersion?: "v1" | "v2" },
): Promise<Destination> {
  try {
    return await access.resolve(path, engineVersion);
  } catch (error) {
    if (error instanceof OperatorError && error.code === "EngineMismatch") return access.resolve(path);
    throw error;
  }
}

async function removeFrom(destination: Destination, input: RemoveInput, tools: SyncTools): Promise<Removal> {
  const { access, note } = input;
  const where = describe(destination);
  const others = await claimants(destination, input.rivals(destination), access);
  if (others.length > 0) return released(`${where} was left alone: another object names it`);
  const observed = await access.observe(destination);
  if (observed.state === "absent") return { kind: "removed", destination };
  if (note !== undefined && !isOurs(note, observed, { input, tools })) {
    return released(`${where} was left alone: someone else has written there since; remove it by hand if it shall go`);
  }
  await access.remove(destination);
  return { kind: "removed", destination };
}

/**
 * Whether what stands there is what we wrote. Where KV v1 may not be read, as with policies made for the original, the
 * record alone decides.
 */
function isOurs(
  note: Note,
  observed: Exclude<Observed, { state: "absent" }>,
  { input, tools }: { input: RemoveInput; tools: SyncTools },
): boolean {
  if (note.destination.engineVersion === "v2") {
    if (observed.state === "unreadable") throw unseen(note.destination, observed.missingCapability);
    return sameRevision(note.revision, observed.revision);
  }
  if (observed.state === "unreadable") return true;
  if (observed.state !== "present" || observed.data === undefined) return false;
  const found = tools.records.fingerprint(observed.data, note.destination, input.metadata.uid);
  return found === note.fingerprint;
}

function unseen(destination: Destination, capability: string): OperatorError {
  return new OperatorError(
    "VaultPermissionDenied",
    `Vault lets us read neither the metadata nor the data of ${describe(destination)}, and what was not seen is not removed; grant ${capability}`,
  );
}

function kindIsGoing(): OperatorError {
  return new OperatorError(
    "KubernetesError",
    `the CustomResourceDefinition is being deleted, which is no order to delete secrets, so Vault was left alone; annotate the object with ${deletionAnnotation}: orphan to let it go`,
  );
}

function released(message: string): Removal {
  return { kind: "released", message };
}
