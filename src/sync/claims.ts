// One object writes to a destination. Among the living objects that name it, the oldest holds it, then the smaller
// uid; when the holder leaves, the next takes over. Only what the objects' specs say counts, never a status, which
// anyone might have edited.
import type { KMSVaultSecret } from "../api/kinds.ts";
import { OperatorError } from "../base/errors.ts";
import type { Destination } from "../vault/kv/engine.ts";
import type { VaultAccess } from "../vault/vault.ts";
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
 * The objects among `rivals` that name `destination`: those whose path leads there. One whose path leads nowhere
 * (invalid, not a KV mount, another engine than it says) holds nothing.
 * @param rivals living objects whose path may lead there
 * @throws OperatorError when Vault could not be asked, so that nothing is decided on half the facts
 */
export async function claimants(
  destination: Destination,
  rivals: readonly KMSVaultSecret[],
  access: VaultAccess,
): Promise<readonly KMSVaultSecret[]> {
  const found: KMSVaultSecret[] = [];
  for (const rival of rivals) {
    const place = await destinationOf(rival, access);
    if (place !== undefined && sameDestination(place, destination)) found.push(rival);
  }
  return found;
}

/** @throws OperatorError `PathConflict` when one of the claimants comes before `secret`: older, then smaller uid. */
export function assertHolder(secret: KMSVaultSecret, others: readonly KMSVaultSecret[], where: string): void {
  const holder = others.find((other) => precedes(other, secret));
  if (holder === undefined) return;
  // Another namespace's object names are not everyone's to know.
  const who =
    holder.metadata.namespace === secret.metadata.namespace
      ? `KMSVaultSecret ${holder.metadata.name}`
      : "an object in another namespace";
  throw new OperatorError(
    "PathConflict",
    `${where} is already claimed by ${who}, which is older; nothing was written; choose another path, or delete the other object and this one takes over`,
  );
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

const leadsNowhere: ReadonlySet<string> = new Set(["InvalidPath", "NotKV", "EngineMismatch", "EngineUnknown"]);
