// What happens to an object that is being deleted: its data leaves Vault as its policy says (sync/remove.ts), then our
// finalizers leave the object. Where work is divided, the replica whose place the object names lets it go; what was
// recorded at another replica's place that one removes, here for places that a living object has left as well, and takes
// it off the record, and the first waits for that.
import { deletionAnnotation, type DeletionPolicy } from "../api/kinds.ts";
import { findCondition } from "../api/conditions.ts";
import type { Clock } from "../base/clock.ts";
import { asOperatorError, OperatorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Result } from "../runtime/controller.ts";
import { isInvalid } from "../runtime/kube-error.ts";
import { type KubeObject, keyOf } from "../runtime/objects.ts";
import { effectivePolicy, ownFinalizers } from "../sync/deletion-policy.ts";
import type { Identities } from "../sync/identities.ts";
import type { Removal } from "../sync/outcome.ts";
import { describe, type Rival, type SyncInput, type SyncTools } from "../sync/pass.ts";
import type { Note, Place } from "../sync/record.ts";
import { type PlaceToRemove, released, removePlace } from "../sync/remove.ts";
import { finalizersOf } from "./finalizers.ts";
import type { Memory } from "./memory.ts";
import type { ObjectWriter } from "./object-writer.ts";
import { claimOn, type Shares } from "./shares.ts";
import { blockedStatus } from "./status.ts";
import type { Subject } from "./subject.ts";
import { clientOf, placeNamedBy, policyOf, specOf } from "./raw-spec.ts";
import type { Surroundings } from "./surroundings.ts";
import type { Watchdog } from "./watchdog.ts";

export interface DeletionOptions {
  readonly surroundings: Surroundings;
  readonly shares: Shares;
  readonly tools: SyncTools;
  readonly identities: Identities;
  readonly writer: ObjectWriter;
  readonly watchdog: Watchdog;
  /**
   * Since when this installation exists, ms since the epoch: a younger object was never written by the original.
   * undefined: not known.
   */
  readonly installedAt: number | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: {
    /** An object was let go although its data could not be removed. */
    releasedUntouched(): void;
  };
}

/** So long an object in a namespace that is being deleted waits for a login that cannot come any more, ms. */
const loginWaitMs = 600_000;

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
    const { writer } = this.#options;
    const { object, metadata } = subject;
    // Somebody else's finalizer is no order to delete anything.
    const held = ownFinalizers.filter((finalizer) => metadata.finalizers?.includes(finalizer));
    if (held.length === 0) return {};
    const note = this.#noteOf(subject);
    const places = note === undefined ? [] : [...(note.former ?? []), note];
    const leaves = places.map(({ destination }) => this.#options.shares.enter(claimOn(destination)));
    try {
      // Taking a place off the record is a change that brings the object here again.
      if (leaves.includes(undefined)) return await this.#removeOurs(subject, note, signal);
      for (const removal of await this.#removeAll(subject, { note, places }, signal)) {
        if (removal.kind !== "released") continue;
        writer.event(object, { type: "Normal", reason: "Released", message: removal.message });
      }
    } finally {
      for (const leave of leaves) leave?.();
    }
    try {
      for (const finalizer of held) await writer.removeFinalizer(object, finalizer, signal);
    } catch (error) {
      // An object from the time of an older CRD that ours does not take is refused as a whole.
      if (isInvalid(error)) await this.#tellBlocked(subject, error, signal);
      throw error;
    }
    return {};
  }

  /**
   * For a replica at whose place something of the object is recorded, while the object names another's.
   * @throws OperatorError (`backoff`) as `finalize` does
   */
  async removeApart(subject: Subject, signal: AbortSignal): Promise<Result> {
    const { shares, writer } = this.#options;
    const { object, metadata } = subject;
    const note = this.#noteOf(subject);
    if (note === undefined) return {};
    const isDeleted = metadata.deletionTimestamp !== undefined;
    if (isDeleted && !ownFinalizers.some((finalizer) => metadata.finalizers?.includes(finalizer))) return {};
    // What a living object has left goes once all of it is where it is now.
    if (!isDeleted && note.digest === undefined) return {};
    if ((note.former ?? []).length > 0 || !isDeleted) return this.#removeOurs(subject, note, signal);
    const leave = shares.enter(claimOn(note.destination));
    if (leave === undefined) return {};
    try {
      await this.#removeAll(subject, { note, places: [note] }, signal);
      await writer.replaceRecord(object, undefined, signal);
      return {};
    } finally {
      leave();
    }
  }

  /** Removes those of the places that the object has left which are this replica's, and takes them off the record. */
  async #removeOurs(subject: Subject, note: Note | undefined, signal: AbortSignal): Promise<Result> {
    const { shares, writer, tools } = this.#options;
    const { object, metadata } = subject;
    if (note === undefined) return {};
    const former: Place[] = [];
    for (const place of note.former ?? []) {
      const leave = shares.enter(claimOn(place.destination));
      if (leave === undefined) {
        former.push(place);
        continue;
      }
      try {
        await this.#removeAll(subject, { note, places: [place] }, signal);
      } finally {
        leave();
      }
    }
    if (former.length === note.former?.length) return {};
    await writer.replaceRecord(object, tools.records.seal({ ...note, former }, metadata.uid), signal);
    return {};
  }

  #noteOf({ status, metadata }: Subject): Note | undefined {
    return this.#options.tools.records.open(status?.record, metadata.uid);
  }

  async #removeAll(
    subject: Subject,
    { note, places }: { readonly note: Note | undefined; readonly places: readonly Place[] },
    signal: AbortSignal,
  ): Promise<Removal[]> {
    const { object, metadata } = subject;
    if (metadata.annotations?.[deletionAnnotation] === "orphan") {
      return [released(`Vault was left alone, as the annotation ${deletionAnnotation}: orphan asks`)];
    }
    const policy = effectivePolicy(policyOf(object), finalizersOf(metadata, note));
    const removals: Removal[] = [];
    for (const place of note === undefined ? [undefined] : places) {
      const removal = await this.#remove(subject, { place, policy }, signal);
      this.#options.logger.info({ object: keyOf(object), removal: removal.kind, ...explain(removal) }, "object left");
      if (removal.kind === "blocked") {
        removals.push(await this.#blocked(subject, removal.error, signal));
      } else removals.push(removal);
    }
    return removals;
  }

  /** @param asked without a place: where the spec says, of which there is no record */
  async #remove(
    subject: Subject,
    { place, policy }: { readonly place: Place | undefined; readonly policy: DeletionPolicy },
    signal: AbortSignal,
  ): Promise<Removal> {
    const { tools, identities, watchdog } = this.#options;
    const { object, metadata } = subject;
    if (policy === "Retain")
      return released(`${place === undefined ? "Vault" : describe(place.destination)} was left in place`);
    try {
      const known = place ?? (await this.#unrecorded(subject));
      if (known === undefined) {
        return released("Vault was left alone: there is no record that this object wrote anything there");
      }
      if (metadata.deletionTimestamp !== undefined && (await watchdog.isKindGoing(signal))) throw kindIsGoing();
      const access = identities.accessFor(clientOf(object), known.destination.namespace);
      const rivals = (path: string): readonly Rival[] => this.rivals(object, path);
      return await removePlace(known, { metadata, policy, access, rivals }, tools);
    } catch (error) {
      return { kind: "blocked", error: asOperatorError(error) };
    }
  }

  /** Other living objects that may name what `path` leads to. */
  rivals(object: KubeObject, path: string): readonly Rival[] {
    return this.#options.surroundings.rivals(path, object.metadata.uid, this.#options.identities);
  }

  /**
   * Where an object without a record may have been written all the same: by the original, before there were records, or
   * by a process that ended just before it could save one. Undefined when neither can be.
   */
  async #unrecorded(subject: Subject): Promise<PlaceToRemove | undefined> {
    const mayPredateUs = this.#mayPredateUs(subject);
    const { path, engineVersion } = placeNamedBy(subject.object);
    if (path === undefined || (subject.isSeen && !mayPredateUs)) return undefined;
    try {
      const access = this.#options.identities.accessFor(clientOf(subject.object));
      return { destination: await resolveAnyEngine(access, path, engineVersion), mayPredateUs };
    } catch (error) {
      // A path that leads to no KV engine holds nothing of ours.
      if (error instanceof OperatorError && (error.code === "InvalidPath" || error.code === "NotKV")) return undefined;
      throw error;
    }
  }

  /**
   * Says so on the object, and has it tried again.
   * @returns when it is let go all the same
   * @throws OperatorError (`backoff`)
   */
  async #blocked(subject: Subject, error: OperatorError, signal: AbortSignal): Promise<Removal> {
    const { logger, metrics } = this.#options;
    const { object } = subject;
    if (await this.#isHopeless(subject, error, signal)) {
      metrics.releasedUntouched();
      logger.warn({ object: keyOf(object), error }, "namespace is being deleted and no login is to be had: data left");
      return released(
        "Vault was left alone: the namespace is being deleted, and its service account can log in no more",
      );
    }
    await this.#tellBlocked(subject, error, signal);
    // Nothing but a remedy in Vault helps, and nobody edits a deleted object: it is always tried again.
    throw error.retry === "backoff"
      ? error
      : new OperatorError(error.code, error.message, { cause: error, retry: "backoff" });
  }

  async #isHopeless({ object, metadata }: Subject, { code }: OperatorError, signal: AbortSignal): Promise<boolean> {
    const { deletionTimestamp, namespace } = metadata;
    const isOwnLogin = specOf(object)?.["serviceAccountRef"] !== undefined && code === "VaultLoginFailed";
    if (!isOwnLogin || deletionTimestamp === undefined) return false;
    if (this.#options.clock.now() - Date.parse(deletionTimestamp) < loginWaitMs) return false;
    return this.#options.watchdog.isNamespaceGoing(namespace, signal);
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

async function resolveAnyEngine(access: SyncInput["access"], path: string, engineVersion?: "v1" | "v2") {
  try {
    return await access.resolve(path, engineVersion);
  } catch (error) {
    if (error instanceof OperatorError && error.code === "EngineMismatch") return access.resolve(path);
    throw error;
  }
}

function kindIsGoing(): OperatorError {
  return new OperatorError(
    "KubernetesError",
    `the CustomResourceDefinition is being deleted, which is no order to delete secrets, so Vault was left alone; annotate the object with ${deletionAnnotation}: orphan to let it go`,
  );
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
