// After the data: the metadata of a KV v2 secret. Our mark, and the settings that the object asks for, are written when
// they differ and never otherwise. Vault holds the data already, so nothing that goes wrong here fails the object.
import { parseDuration } from "../base/duration.ts";
import { asOperatorError } from "../base/errors.ts";
import type { MetadataSettings, Observed } from "../vault/kv/engine.ts";
import { isOldest } from "./claims.ts";
import { seenMetadata } from "./observe.ts";
import type { Outcome } from "./outcome.ts";
import { markChange } from "./ownership.ts";
import type { Pass } from "./pass.ts";

/**
 * The outcome, with the metadata as it should be or the reason why it is not.
 * @param observed what stood there before, on which `outcome` was decided
 */
export async function marked<T extends Outcome>(pass: Pass, observed: Observed, outcome: T): Promise<T> {
  const { destination, input } = pass;
  // What was only looked at, or kept because an entry failed, is not ours to mark.
  if (destination.engineVersion === "v1" || outcome.note?.fingerprint === undefined) return outcome;
  const metadata = seenMetadata(observed);
  const custom = markChange(metadata?.custom ?? {}, pass.self, pass.mode);
  // A shared secret's settings are the oldest object's to choose.
  const wanted = isOldest(input.secret, pass.others) ? input.secret.spec.kvMetadata : undefined;
  const settings = settingsChange(wanted, metadata?.settings);
  if (Object.keys(custom).length + Object.keys(settings).length === 0) return outcome;
  try {
    const refusal = await input.access.writeMetadata(destination, { custom, settings }, metadata);
    if (refusal === undefined) return outcome;
    const message = `${refusal}; until then the secret carries no mark that it is ours, and what is removed is told by version alone`;
    return { ...outcome, remarks: [...outcome.remarks, { code: "VaultPermissionDenied", message }] };
  } catch (error) {
    return { ...outcome, pending: asOperatorError(error) };
  }
}

/** What of the settings that the object asks for is not so; nothing where they may not be read. */
function settingsChange(
  wanted: Pass["input"]["secret"]["spec"]["kvMetadata"] = {},
  found: MetadataSettings | undefined,
): Partial<MetadataSettings> {
  if (found === undefined) return {};
  const { maxVersions, deleteVersionAfter } = wanted;
  // Whole, because a fraction would not come back from Vault as it went there.
  const ageMs = deleteVersionAfter === undefined ? undefined : Math.round(parseDuration(deleteVersionAfter) ?? 0);
  return {
    ...(maxVersions !== undefined && maxVersions !== found.maxVersions && { maxVersions }),
    ...(ageMs !== undefined && ageMs !== found.deleteVersionAfterMs && { deleteVersionAfterMs: ageMs }),
  };
}
