// One pass over one object: what it is given, and what is fixed once its destination is known.
import type { KMSVaultSecret, PartialKMSVaultSecret } from "../api/kinds.ts";
import type { PlainMap } from "../base/plaintext.ts";
import type { Decryptor } from "../kms/cipher.ts";
import type { Destination } from "../vault/kv/engine.ts";
import type { VaultAccess } from "../vault/vault.ts";
import type { DestinationLock } from "./destination-lock.ts";
import { sourceDigest } from "./digest.ts";
import type { Remark } from "./outcome.ts";
import type { OwnRevisions } from "./own-revisions.ts";
import type { OnDecryptError } from "./plan.ts";
import { type Note, type RecordKeeper, sameDestination } from "./record.ts";
import type { Resolved } from "./resolve.ts";

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
  /** Other living objects whose path may lead to the same destination; asked anew where it decides. */
  readonly rivals: () => readonly KMSVaultSecret[];
  /** Whether the object is still as it is in `secret`; a pass over an older one must not write any more. */
  readonly isCurrent: () => boolean;
  /** Asked where something is to be done: whether what is known of the object is the newest there is. */
  readonly isConfirmed: () => Promise<boolean>;
  /** What was recorded of this object last, already authenticated. */
  readonly note: Note | undefined;
  /** Vault, as the identity that this object uses sees it. */
  readonly access: VaultAccess;
  /** The user allowed that foreign data at the path is taken over. */
  readonly adopt: boolean;
  readonly signal: AbortSignal;
}

/** What is fixed for one pass over one destination. */
export class Pass {
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

/** How a destination is named to people: as the API path. */
export function describe({ namespace, mount, path, engineVersion }: Destination): string {
  const shown = engineVersion === "v2" ? `${mount}/data/${path}` : `${mount}/${path}`;
  return namespace === "" ? shown : `${shown} (namespace ${namespace})`;
}
