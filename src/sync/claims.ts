// One object writes to a destination, or several that merge keys of their own into it. Among the living objects that
// name it, the oldest holds it, then the smaller uid; when the holder leaves, the next takes over. Only what the
// objects' specs say counts, never a status, which anyone might have edited.
import type { KMSVaultSecret } from "../api/kinds.ts";
import { OperatorError } from "../base/errors.ts";
import type { Destination } from "../vault/kv/engine.ts";
import type { VaultAccess } from "../vault/vault.ts";
import type { Rival } from "./pass.ts";
import { sameDestination } from "./record.ts";

/**
 * What two paths have in common when they may lead to the same destination: on KV v2 `mount/data/x` and `mount/x` do,
 * and which segment is the mount is Vault's to say. For finding candidates; `claimants` decides.
 */
export function claimKey(path: string): string {
  return path
    .split("/")
    .filter((segment) => segment !== "" && segment !== "data")
    .join("/");
}

/**
 * Those among `rivals` that name `destination`: whose path leads there. One whose path leads nowhere (invalid, not a KV
 * mount, another engine than it says) holds nothing.
 * @param rivals living objects whose path may lead there
 * @throws OperatorError when Vault could not be asked, so that nothing is decided on half the facts
 */
export async function claimants(
  destination: Destination,
  rivals: readonly Rival[],
  access: VaultAccess,
): Promise<readonly Rival[]> {
  const found: Rival[] = [];
  for (const rival of rivals) {
    if (rival.namespace !== destination.namespace) continue;
    const place = await destinationOf(rival.secret, access);
    if (place !== undefined && sameDestination(place, destination)) found.push(rival);
  }
  return found;
}

/**
 * Pure: every claimant in turn, the oldest first, holds the place if it can share it with those that hold it already.
 * @throws OperatorError `PathConflict` when `self` does not hold it
 */
export function assertHolder(self: Rival, others: readonly Rival[], where: string): void {
  const holders: Rival[] = [];
  for (const claimant of [self, ...others].toSorted(byAge)) {
    const against = holders.find((holder) => !canShare(holder, claimant));
    if (against === undefined) holders.push(claimant);
    else if (claimant === self) throw pathConflict(self, against, where);
  }
}

/** Whether two objects may write to one place: each only its own keys, and none of them the same. */
export function canShare(one: Rival, other: Rival): boolean {
  return (
    isMerge(one) && isMerge(other) && one.keys !== undefined && ![...one.keys].some((key) => isNamed(key, [other]))
  );
}

/** Whether any of these objects has the key; one whose keys are not known may have every key. */
export function isNamed(key: string, others: readonly Rival[]): boolean {
  return others.some(({ keys }) => keys === undefined || keys.has(key));
}

function isMerge({ secret }: Rival): boolean {
  return secret.spec.writeMode === "Merge";
}

function pathConflict(self: Rival, holder: Rival, where: string): OperatorError {
  const { metadata } = holder.secret;
  // Another namespace's object names are not everyone's to know.
  const who =
    metadata.namespace === self.secret.metadata.namespace
      ? `KMSVaultSecret ${metadata.name}`
      : "an object in another namespace";
  const shared = isMerge(self) && isMerge(holder) ? ", with keys that this one has as well" : "";
  return new OperatorError(
    "PathConflict",
    `${where} is already claimed by ${who}, which is older${shared}; nothing was written; choose another path, or delete the other object and this one takes over`,
  );
}

/** Whether a claimant comes before all others. */
export function isOldest(self: KMSVaultSecret, others: readonly Rival[]): boolean {
  return others.every(({ secret }) => precedes(self, secret));
}

function byAge(one: Rival, other: Rival): number {
  return precedes(one.secret, other.secret) ? -1 : 1;
}

function precedes(one: KMSVaultSecret, other: KMSVaultSecret): boolean {
  const age = Date.parse(one.metadata.creationTimestamp) - Date.parse(other.metadata.creationTimestamp);
  return age < 0 || (age === 0 && one.metadata.uid < other.metadata.uid);
}

async function destinationOf({ spec }: KMSVaultSecret, access: VaultAccess): Promise<Destination | undefined> {
  try {
    return await access.resolve(spec.path, spec.kvSettings?.engineVersion);
  } catch (error) {
    if (error instanceof OperatorError && leadsNowhere.has(error.code)) return undefined;
    throw error;
  }
}

const leadsNowhere: ReadonlySet<string> = new Set([
  "InvalidPath",
  "NotKV",
  "EngineMismatch",
  "EngineUnknown",
  "PolicyDenied",
]);
