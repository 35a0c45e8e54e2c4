// What happens to an object that is being deleted: its data leaves Vault as its policy says, then our finalizers leave
// the object. Where work is divided, the replica whose place the object names lets it go; what is recorded at another
// replica's place that one removes (apart.ts), and the first waits for that.
import type { Clock } from "../base/clock.ts";
import type { OperatorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Result } from "../runtime/controller.ts";
import { isInvalid } from "../runtime/kube-error.ts";
import { type KubeObject, keyOf } from "../runtime/objects.ts";
import { effectivePolicy, ownFinalizers } from "../sync/deletion-policy.ts";
import type { Removal } from "../sync/outcome.ts";
import type { Place } from "../sync/record.ts";
import { released } from "../sync/remove.ts";
import type { Apart } from "./apart.ts";
import { finalizersOf } from "./finalizers.ts";
import type { Memory } from "./memory.ts";
import type { ObjectWriter } from "./object-writer.ts";
import { policyOf, specOf } from "./raw-spec.ts";
import type { Remover } from "./remover.ts";
import { claimOn, type Shares } from "./shares.ts";
import { blockedStatus } from "./status.ts";
import type { Subject } from "./subject.ts";
import type { Watchdog } from "./watchdog.ts";

export interface DeletionOptions {
  readonly shares: Shares;
  readonly remover: Remover;
  readonly apart: Apart;
  readonly writer: ObjectWriter;
  readonly watchdog: Watchdog;
  readonly memory: Memory;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: {
    /** Why the deletion of an object (`namespace/name`) is held up; undefined when it is not, or not any more. */
    deletionBlocked(object: string, reason: string | undefined): void;
    /** An object was let go although its data could not be removed. */
    releasedUntouched(): void;
  };
}

/** So long an object in a namespace that is being deleted waits for a login that cannot come any more, ms. */
const loginWaitMs = 600_000;

export class Deletion {
  readonly #options: DeletionOptions;

  constructor(options: DeletionOptions) {
    this.#options = options;
  }

  /**
   * For the replica whose place the object names.
   * @throws OperatorError (`backoff`) while something keeps the data from being removed
   */
  async finalize(subject: Subject, signal: AbortSignal): Promise<Result> {
    const { shares, apart, writer } = this.#options;
    const { object, metadata, note } = subject;
    // Somebody else's finalizer is no order to delete anything.
    const held = ownFinalizers.filter((finalizer) => metadata.finalizers?.includes(finalizer));
    if (held.length === 0) return this.#unblocked(object);
    const places = note === undefined ? [] : [...(note.former ?? []), note];
    const leaves = places.map(({ destination }) => shares.enter(claimOn(destination)));
    try {
      // Taking a place off the record is a change that brings the object here again.
      if (note !== undefined && leaves.includes(undefined)) return await apart.removeFormer(subject, note, signal);
      for (const place of note === undefined ? [undefined] : places) {
        const removal = await this.#remove(subject, place, signal);
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
    return this.#unblocked(object);
  }

  /** Another's finalizer may keep the object for longer. */
  #unblocked(object: KubeObject): Result {
    this.#options.metrics.deletionBlocked(keyOf(object), undefined);
    return {};
  }

  async #remove(subject: Subject, place: Place | undefined, signal: AbortSignal): Promise<Removal> {
    const { remover, metrics, logger } = this.#options;
    const { object, metadata } = subject;
    const policy = effectivePolicy(policyOf(object), finalizersOf(metadata));
    const removal = await remover.remove(subject, { place, policy }, signal);
    if (removal.kind !== "blocked") return removal;
    const { error } = removal;
    if (!(await this.#isHopeless(subject, error, signal))) {
      await this.#tellBlocked(subject, error, signal);
      throw error;
    }
    metrics.releasedUntouched();
    logger.warn({ object: keyOf(object), error }, "namespace is being deleted and no login is to be had: data left");
    return released("Vault was left alone: the namespace is being deleted, and its service account can log in no more");
  }

  async #isHopeless({ object, metadata }: Subject, { code }: OperatorError, signal: AbortSignal): Promise<boolean> {
    const { watchdog, clock } = this.#options;
    const { deletionTimestamp, namespace } = metadata;
    const isOwnLogin = specOf(object)?.["serviceAccountRef"] !== undefined && code === "VaultLoginFailed";
    if (!isOwnLogin || deletionTimestamp === undefined) return false;
    if (clock.now() - Date.parse(deletionTimestamp) < loginWaitMs) return false;
    return watchdog.isNamespaceGoing(namespace, signal);
  }

  /** Says on the object why its deletion is held up. */
  async #tellBlocked({ object, metadata, status }: Subject, error: OperatorError, signal: AbortSignal): Promise<void> {
    const { clock, writer, memory, metrics } = this.#options;
    metrics.deletionBlocked(keyOf(object), error.code);
    const next = blockedStatus(status, error, { generation: metadata.generation, now: clock.now() });
    const told = status?.conditions?.some((one) => one.type === "DeletionBlocked" && one.reason === error.code);
    await memory.save(object, next, (saved) => writer.saveStatus(object, saved, signal));
    if (told) return;
    writer.event(object, { type: "Warning", reason: error.code, message: `DeletionBlocked: ${error.message}` });
  }
}
