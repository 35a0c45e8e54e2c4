// Where work is divided among replicas: what is recorded of an object at a place of ours while the object names another
// replica's, because it has moved. We remove it and take it off the record, which is a change that brings the object back
// to the one whose it is. Its status and conditions are that one's to write.
import type { Result } from "../runtime/controller.ts";
import { effectivePolicy, ownFinalizers } from "../sync/deletion-policy.ts";
import type { Note, Place, RecordKeeper } from "../sync/record.ts";
import { finalizersOf } from "./finalizers.ts";
import type { ObjectWriter } from "./object-writer.ts";
import { policyOf } from "./raw-spec.ts";
import type { Remover } from "./remover.ts";
import { claimOn, type Shares } from "./shares.ts";
import type { Subject } from "./subject.ts";

export interface ApartOptions {
  readonly shares: Shares;
  readonly remover: Remover;
  readonly writer: ObjectWriter;
  readonly records: RecordKeeper;
}

export class Apart {
  readonly #options: ApartOptions;

  constructor(options: ApartOptions) {
    this.#options = options;
  }

  /**
   * For a replica whose place the object does not name.
   * @throws OperatorError (`backoff`) while something keeps the data from being removed
   */
  async remove(subject: Subject, signal: AbortSignal): Promise<Result> {
    const { object, metadata, note } = subject;
    if (note === undefined) return {};
    if (metadata.deletionTimestamp === undefined) {
      // What a living object has left goes under a set policy, once all of it is where it is now.
      const isDue = (policyOf(object) ?? "Retain") !== "Retain" && note.digest !== undefined;
      return isDue ? this.removeFormer(subject, note, signal) : {};
    }
    if (!ownFinalizers.some((finalizer) => metadata.finalizers?.includes(finalizer))) return {};
    if ((note.former ?? []).length > 0) return this.removeFormer(subject, note, signal);
    if (await this.#removeAt(note, subject, signal)) {
      await this.#options.writer.replaceRecord(object, undefined, signal);
    }
    return {};
  }

  /**
   * Removes those of the places that the object has left which are ours, and takes them off the record.
   * @throws OperatorError (`backoff`)
   */
  async removeFormer(subject: Subject, note: Note, signal: AbortSignal): Promise<Result> {
    const { writer, records } = this.#options;
    const before = note.former ?? [];
    const former: Place[] = [];
    for (const place of before) {
      if (!(await this.#removeAt(place, subject, signal))) former.push(place);
    }
    if (former.length === before.length) return {};
    const record = records.seal({ ...note, former }, subject.metadata.uid);
    await writer.replaceRecord(subject.object, record, signal);
    return {};
  }

  /** @returns false when it is another replica's, or the object has changed meanwhile */
  async #removeAt(place: Place, subject: Subject, signal: AbortSignal): Promise<boolean> {
    const { shares, remover, writer } = this.#options;
    const { object, metadata } = subject;
    const leave = shares.enter(claimOn(place.destination));
    if (leave === undefined) return false;
    try {
      const set = policyOf(object);
      const policy =
        metadata.deletionTimestamp === undefined ? (set ?? "Retain") : effectivePolicy(set, finalizersOf(metadata));
      const removal = await remover.remove(subject, { place, policy }, signal);
      if (removal.kind !== "blocked") return removal.kind !== "postponed";
      const { code, message } = removal.error;
      writer.event(object, { type: "Warning", reason: code, message: `a place that was left: ${message}` });
      throw removal.error;
    } finally {
      leave();
    }
  }
}
