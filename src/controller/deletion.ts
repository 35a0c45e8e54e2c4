// What happens to an object that is being deleted: its data leaves Vault (sync/remove.ts decides), then the contract's
// finalizer leaves the object. Where work is divided, the replica whose place the object names lets it go; if the data
// was recorded at another replica's place, that one removes it and takes the record off, and the first waits for that.
import { deleteFinalizer } from "../api/kinds.ts";
import { findCondition } from "../api/conditions.ts";
import type { Clock } from "../base/clock.ts";
import { OperatorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Result } from "../runtime/controller.ts";
import { isInvalid } from "../runtime/kube-error.ts";
import { type KubeObject, keyOf } from "../runtime/objects.ts";
import type { Removal } from "../sync/outcome.ts";
import type { SyncInput, SyncTools } from "../sync/pass.ts";
import type { Note } from "../sync/record.ts";
import { remove } from "../sync/remove.ts";
import type { Memory } from "./memory.ts";
import type { ObjectWriter } from "./object-writer.ts";
import { claimOf, claimOn, type Shares } from "./shares.ts";
import { blockedStatus } from "./status.ts";
import type { Subject } from "./subject.ts";
import { specOf, type Surroundings } from "./surroundings.ts";

export interface DeletionOptions {
  readonly surroundings: Surroundings;
  readonly shares: Shares;
  readonly tools: SyncTools;
  /** Vault as the identity that the object names sees it; without a name, the operator's default one. */
  readonly accessFor: (authMethod: string | undefined) => SyncInput["access"];
  readonly writer: ObjectWriter;
  /** Whether the CRD is being deleted. */
  readonly isKindGoing: (signal: AbortSignal) => Promise<boolean>;
  /**
   * Since when this installation exists, ms since the epoch: a younger object was never written by the original.
   * undefined: not known.
   */
  readonly installedAt: number | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class Deletion {
  readonly #options: DeletionOptions;
  readonly #memory: Memory;

  constructor(options: DeletionOptions, memory: Memory) {
    this.#options = options;
    this.#memory = memory;
  }

  /**
   * For the replica whose place the object names.
   * @throws OperatorError (`backoff`) while something keeps the data from being removed
   */
  async finalize(subject: Subject, signal: AbortSignal): Promise<Result> {
    const { shares, writer, tools } = this.#options;
    const { object, metadata } = subject;
    // Somebody else's finalizer is no order to delete anything.
    if (!metadata.finalizers?.includes(deleteFinalizer)) return {};
    const note = tools.records.open(subject.status?.record, metadata.uid);
    // Taking the record off is a change that brings the object here again.
    const leave = note === undefined ? undefined : shares.enter(claimOn(note));
    if (note !== undefined && leave === undefined) return {};
    try {
      const removal = await this.#remove(subject, note, signal);
      if (removal.kind === "released")
        writer.event(object, { type: "Normal", reason: "Released", message: removal.message });
    } finally {
      leave?.();
    }
    try {
      await writer.removeFinalizer(object, signal);
    } catch (error) {
      // An object from the time of an older CRD that ours does not take is refused as a whole.
      if (isInvalid(error)) await this.#tellBlocked(subject, error, signal);
      throw error;
    }
    return {};
  }

  /**
   * For a replica at whose place the object's data is recorded, while the object names another's.
   * @throws OperatorError (`backoff`) as `finalize` does
   */
  async removeApart(subject: Subject, signal: AbortSignal): Promise<Result> {
    const { shares, writer, tools } = this.#options;
    const { object, metadata, status } = subject;
    const note = tools.records.open(status?.record, metadata.uid);
    if (!metadata.finalizers?.includes(deleteFinalizer) || note === undefined) return {};
    if (claimOn(note) === claimOf(object)) return {};
    const leave = shares.enter(claimOn(note));
    if (leave === undefined) return {};
    try {
      await this.#remove(subject, note, signal);
      await writer.removeRecord(object, signal);
      return {};
    } finally {
      leave();
    }
  }

  async #remove(subject: Subject, note: Note | undefined, signal: AbortSignal): Promise<Removal> {
    const { surroundings, tools, accessFor, logger } = this.#options;
    const { object, metadata } = subject;
    const { path, engineVersion, authMethod } = namedBy(object);
    const removal = await remove(
      {
        metadata,
        note,
        access: accessFor(authMethod),
        ...(path !== undefined && { named: { path, ...(engineVersion && { engineVersion }) } }),
        mayPredateUs: this.#mayPredateUs(subject),
        isKindGoing: () => this.#options.isKindGoing(signal),
        rivals: (place) => surroundings.rivals(`${place.mount}/${place.path}`, metadata.uid),
      },
      tools,
    );
    logger.info({ object: keyOf(object), removal: removal.kind, ...explain(removal) }, "object deleted");
    if (removal.kind !== "blocked") return removal;
    const { error } = removal;
    await this.#tellBlocked(subject, error, signal);
    // Nothing but a remedy in Vault helps, and nobody edits a deleted object: it is always tried again.
    throw error.retry === "backoff"
      ? error
      : new OperatorError(error.code, error.message, { cause: error, retry: "backoff" });
  }

  /** Says on the object why its deletion is held up. */
  async #tellBlocked({ object, metadata, status }: Subject, error: OperatorError, signal: AbortSignal): Promise<void> {
    const { clock, writer } = this.#options;
    const next = blockedStatus(status, error, { generation: metadata.generation, now: clock.now() });
    const told = status?.conditions?.some((one) => one.type === "DeletionBlocked" && one.reason === error.code);
    await this.#memory.save(object, next, (saved) => writer.saveStatus(object, saved, signal));
    if (told) return;
    writer.event(object, { type: "Warning", reason: error.code, message: `DeletionBlocked: ${error.message}` });
  }

  /** Whether the original may have written the object's data, and we never looked at it. */
  #mayPredateUs({ metadata, status, isSeen }: Subject): boolean {
    const isOurs = status?.record !== undefined || findCondition(status?.conditions ?? [], "Ready") !== undefined;
    if (isOurs || isSeen) return false;
    const { installedAt } = this.#options;
    const isOlder = installedAt === undefined || Date.parse(metadata.creationTimestamp) <= installedAt;
    return isOlder || status?.created === true;
  }
}

function explain(removal: Removal): Record<string, unknown> {
  switch (removal.kind) {
    case "removed":
      return { mount: removal.destination.mount, path: removal.destination.path };
    case "released":
      return { reason: removal.message };
    case "blocked":
      return { code: removal.error.code, reason: removal.error.message };
  }
}

/** Where an object that may be invalid says it was written to, and as whom. */
function namedBy(object: KubeObject): { path?: string; engineVersion?: "v1" | "v2"; authMethod?: string } {
  const spec = specOf(object);
  const path = spec?.["path"];
  const authMethod = spec?.["vaultAuthMethod"];
  const settings = spec?.["kvSettings"];
  const engine =
    typeof settings === "object" && settings !== null && "engineVersion" in settings
      ? settings.engineVersion
      : undefined;
  return {
    ...(typeof path === "string" && { path }),
    ...(typeof authMethod === "string" && { authMethod }),
    ...((engine === "v1" || engine === "v2") && { engineVersion: engine }),
  };
}
