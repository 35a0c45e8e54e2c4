// The source digest: one hash over everything that decides what should stand in Vault. As long as it equals the
// recorded one and Vault still holds what was written, there is nothing to decrypt. It holds no plaintext.
import { createHash } from "node:crypto";
import type { Destination } from "../vault/kv/engine.ts";
import type { ResolvedEntry } from "./resolve.ts";

export interface DigestSource {
  readonly entries: readonly ResolvedEntry[];
  readonly destination: Destination;
  readonly onDecryptError: string;
  readonly writeMode: string;
  /** What the object says of the keys of its values, as far as it does: provider, key id, role. */
  readonly keyChoice: readonly (string | undefined)[];
}

/**
 * `v1:` and the SHA-256, base64url, of the canonical JSON of the source. The order of entries and of encryption
 * context pairs does not matter. A change of this format would decrypt everything anew in every installation: make it
 * a `v2:` and keep `v1:` comparable for one release.
 */
export function sourceDigest({ entries, destination, onDecryptError, writeMode, keyChoice }: DigestSource): string {
  const canonical = {
    destination: [destination.namespace, destination.mount, destination.path, destination.engineVersion],
    writeMode,
    onDecryptError,
    // Only where there is one: objects without are as they were before there was a choice.
    ...(keyChoice.some((choice) => choice !== undefined) && { keyChoice }),
    entries: entries
      .map((entry) => [
        entry.key,
        entry.empty ? "" : entry.encryptedSecret,
        entry.empty ? [] : Object.entries(entry.encryptionContext).toSorted(byFirst),
        entry.encoding,
        entry.empty,
      ])
      .toSorted(byFirst),
  };
  return `v1:${createHash("sha256").update(JSON.stringify(canonical)).digest("base64url")}`;
}

function byFirst(one: readonly unknown[], other: readonly unknown[]): number {
  return String(one[0]) < String(other[0]) ? -1 : 1;
}
