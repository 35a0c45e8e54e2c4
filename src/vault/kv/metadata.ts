// The metadata of a KV v2 secret: how it is read out of Vault's answers, and how it is changed without touching what is
// not ours in it. PATCH changes single keys; where a policy grants only `update`, the whole is written as it was seen.
import type { Clock } from "../../base/clock.ts";
import { parseDuration } from "../../base/duration.ts";
import type { VaultClient } from "../client.ts";
import { quoted, refused } from "../errors.ts";
import { type JsonObject, objectAt } from "../json.ts";
import { metadataAddress, metadataPath } from "./address.ts";
import { Denials } from "./denials.ts";
import type { Destination, Metadata, MetadataChange } from "./engine.ts";

/** @param found the `data` of a metadata answer, or the `metadata` of a data answer, which holds less */
export function metadataIn(found: JsonObject): Metadata {
  const custom = Object.entries(objectAt(found, "custom_metadata") ?? {});
  const { max_versions: maxVersions, delete_version_after: deleteAfter } = found;
  return {
    custom: Object.fromEntries(custom.filter((one): one is [string, string] => typeof one[1] === "string")),
    ...(typeof maxVersions === "number" && {
      settings: {
        maxVersions,
        deleteVersionAfterMs: (typeof deleteAfter === "string" && parseDuration(deleteAfter)) || 0,
      },
    }),
  };
}

/** Changes metadata, for one identity. */
export class MetadataWriter {
  readonly #client: VaultClient;
  /** By place: neither way of writing is granted. */
  readonly #denials: Denials;
  /** By place: PATCH is not granted. */
  readonly #patchDenials: Denials;

  constructor(client: VaultClient, clock: Clock) {
    this.#client = client;
    this.#denials = new Denials(clock);
    this.#patchDenials = new Denials(clock);
  }

  /** See KVEngine.writeMetadata. */
  async write(
    destination: Destination,
    change: MetadataChange,
    known: Metadata | undefined,
  ): Promise<string | undefined> {
    const where = metadataPath(destination);
    const refusal = this.#denials.reason(where);
    if (refusal !== undefined) return refusal;
    const patched = this.#patchDenials.has(where) ? "not granted" : await this.#patch(destination, change);
    if (patched === "done") return undefined;
    if (patched === "not granted") this.#patchDenials.add(where);
    // What was not seen would be written over.
    if (known === undefined) return denied(where);
    const answer = await this.#client.request({
      method: "POST",
      path: metadataAddress(destination),
      namespace: destination.namespace,
      body: { ...settingsBody(change), custom_metadata: customAfter(change, known) },
    });
    if (answer.status < 400) return undefined;
    // 400 for too many keys of the user's own, for one: no reason to leave the data out of sync, or to ask at each look.
    if (answer.status === 403 || answer.status === 400) {
      const reason = answer.status === 403 ? denied(where) : `Vault refuses to change ${where}${quoted(answer.errors)}`;
      this.#denials.add(where, reason);
      return reason;
    }
    throw refused(answer, { doing: "changing", where, capability: "patch, or update" });
  }

  async #patch(destination: Destination, change: MetadataChange): Promise<"done" | "not granted" | "not so"> {
    const { status } = await this.#client.request({
      method: "PATCH",
      path: metadataAddress(destination),
      namespace: destination.namespace,
      body: { ...settingsBody(change), custom_metadata: change.custom },
    });
    // Gone meanwhile: nothing is there to be marked, and the next look finds that.
    if (status < 400 || status === 404) return "done";
    // 405 of a Vault before 1.9, for one; writing the whole tells what is wrong.
    return status === 403 ? "not granted" : "not so";
  }
}

function denied(where: string): string {
  return `${where} may not be changed: grant patch, or update, on it`;
}

function settingsBody({ settings = {} }: MetadataChange): JsonObject {
  const { maxVersions, deleteVersionAfterMs } = settings;
  return {
    ...(maxVersions !== undefined && { max_versions: maxVersions }),
    ...(deleteVersionAfterMs !== undefined && { delete_version_after: `${deleteVersionAfterMs}ms` }),
  };
}

function customAfter({ custom }: MetadataChange, known: Metadata): JsonObject {
  const after = Object.entries({ ...known.custom, ...custom }).filter(([, value]) => value !== null);
  return Object.fromEntries(after);
}
