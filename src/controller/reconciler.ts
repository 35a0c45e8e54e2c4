// Joins sync to the runtime: a thin shell that looks up one object, has the outcome computed, and writes it down once
// — one status patch, the events, one log line. Everything that decides anything is in sync/.
import { adoptAnnotation, deleteFinalizer, type KMSVaultSecret, type Meta, type Status } from "../api/kinds.ts";
import { findCondition } from "../api/conditions.ts";
import { describeProblems, type Invalid, validateKMSVaultSecret } from "../api/validate.ts";
import type { Clock } from "../base/clock.ts";
import { OperatorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Result } from "../runtime/controller.ts";
import { isInvalid } from "../runtime/kube-error.ts";
import { type KubeObject, keyOf, type Request } from "../runtime/objects.ts";
import type { Outcome, Removal, Superseded } from "../sync/outcome.ts";
import { remove } from "../sync/remove.ts";
import type { SyncInput, SyncTools } from "../sync/pass.ts";
import { sync } from "../sync/sync.ts";
import { Memory } from "./memory.ts";
import { noticesOf } from "./notices.ts";
import type { ObjectWriter } from "./object-writer.ts";
import { blockedStatus, nextStatus } from "./status.ts";
import { type Surroundings, specOf } from "./surroundings.ts";

/** What the product counts about reconciles. */
interface ReconcilerMetrics {
  /** The reason of an object's Ready condition; undefined when the object is gone. */
  objectReady(object: string, reason: string | undefined): void;
  /** A write to Vault. */
  wroteSecret(engineVersion: string): void;
}

export interface ReconcilerOptions {
  readonly surroundings: Surroundings;
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
  /** ms until an object that nothing happened to is looked at again; undefined: never. */
  readonly syncPeriodMs: number | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: ReconcilerMetrics;
  readonly random?: () => number;
}

export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #memory = new Memory();
  /** Objects that this process has looked at; the first look at each is followed by one anywhere in the period. */
  readonly #seen = new Set<string>();
  #knowsOwnRevisions = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /**
   * Brings Vault to what one object says. See runtime/controller.ts for what the result means.
   * @throws OperatorError (`backoff`) to be called again after this object's own backoff
   */
  async reconcile(request: Request, signal: AbortSignal): Promise<Result> {
    this.#knowOwnRevisions();
    const object = this.#options.surroundings.secret(`${request.namespace}/${request.name}`);
    if (object === undefined) return {};
    const validated = validateKMSVaultSecret(object);
    const found = "valid" in validated ? validated.valid : validated.invalid;
    const status = this.#memory.latest(found.metadata.uid, object.metadata.resourceVersion, found.status);
    const subject: Subject = { object, metadata: found.metadata, status };
    if (found.metadata.deletionTimestamp !== undefined) return this.#finalize(subject, signal);
    const outcome =
      "valid" in validated ? await this.#sync(validated.valid, subject, signal) : invalidOutcome(validated.invalid);
    if (outcome.kind === "superseded") return {};
    try {
      return await this.#report(subject, outcome, signal);
    } finally {
      // It may have gone while it was worked on, after `forget` was called.
      if (!this.#isStored(subject)) this.forget(object);
    }
  }

  /** To be called when an object is gone. */
  forget(object: KubeObject): void {
    this.#memory.forget(object.metadata.uid);
    this.#seen.delete(object.metadata.uid);
    this.#options.metrics.objectReady(keyOf(object), undefined);
  }

  #isStored({ object, metadata }: Subject): boolean {
    return this.#options.surroundings.secret(keyOf(object))?.metadata.uid === metadata.uid;
  }

  /** Once, when the stores are complete: what the records of all objects show to be our own work. */
  #knowOwnRevisions(): void {
    if (this.#knowsOwnRevisions) return;
    this.#knowsOwnRevisions = true;
    const { surroundings, tools } = this.#options;
    for (const { metadata, status } of surroundings.all()) {
      const note = tools.records.open(status?.record, metadata.uid);
      if (note !== undefined) tools.own.add(note);
    }
  }

  #sync(
    secret: KMSVaultSecret,
    { object, metadata, status }: Subject,
    signal: AbortSignal,
  ): Promise<Outcome | Superseded> {
    const { surroundings, tools, accessFor } = this.#options;
    return sync(
      {
        secret,
        partials: (name) => surroundings.partial(metadata.namespace, name),
        rivals: () => surroundings.rivals(secret.spec.path, metadata.uid),
        isCurrent: () => {
          const stored = surroundings.secret(keyOf(object))?.metadata;
          const { generation } = metadata;
          return stored?.uid === metadata.uid && stored.generation === generation && !stored.deletionTimestamp;
        },
        note: tools.records.open(status?.record, metadata.uid),
        access: accessFor(secret.spec.vaultAuthMethod),
        adopt: metadata.annotations?.[adoptAnnotation] === "true",
        signal,
      },
      tools,
    );
  }

  async #report(subject: Subject, outcome: Outcome, signal: AbortSignal): Promise<Result> {
    const { tools, clock, metrics, writer } = this.#options;
    const { object, metadata, status: previous } = subject;
    const includes = specOf(object)?.["includeSecrets"];
    const next = nextStatus({
      generation: metadata.generation,
      ...(Array.isArray(includes) && { includes: includes.map(String) }),
      previous,
      outcome,
      record: outcome.note && tools.records.seal(outcome.note, metadata.uid),
      now: clock.now(),
    });
    const first = !this.#seen.has(metadata.uid);
    this.#seen.add(metadata.uid);
    // What happened is told even if the status then cannot be saved.
    this.#log(object, outcome);
    metrics.objectReady(keyOf(object), outcome.kind === "synced" ? "Synced" : outcome.error.code);
    if (outcome.written !== undefined) metrics.wroteSecret(outcome.written.destination.engineVersion);
    const named = { metadata, spec: { path: String(specOf(object)?.["path"]) } };
    for (const notice of noticesOf(named, outcome, { previous, next })) writer.event(object, notice);
    await this.#saveStatus(subject, next, signal);
    if (outcome.kind === "failed" && outcome.error.retry === "backoff") throw outcome.error;
    return this.#resync(first);
  }

  async #finalize(subject: Subject, signal: AbortSignal): Promise<Result> {
    const { logger, writer } = this.#options;
    const { object, metadata } = subject;
    // Somebody else's finalizer is no order to delete anything.
    if (!metadata.finalizers?.includes(deleteFinalizer)) return {};
    const removal = await this.#remove(subject, signal);
    logger.info({ object: keyOf(object), removal: removal.kind, ...explain(removal) }, "object deleted");
    if (removal.kind === "blocked") {
      const { error } = removal;
      await this.#tellBlocked(subject, error, signal);
      // Nothing but a remedy in Vault helps, and nobody edits a deleted object: it is always tried again.
      throw error.retry === "backoff"
        ? error
        : new OperatorError(error.code, error.message, { cause: error, retry: "backoff" });
    }
    if (removal.kind === "released")
      writer.event(object, { type: "Normal", reason: "Released", message: removal.message });
    try {
      await writer.removeFinalizer(object, signal);
    } catch (error) {
      // An object from the time of an older CRD that ours does not take is refused as a whole.
      if (isInvalid(error)) await this.#tellBlocked(subject, error, signal);
      throw error;
    }
    return {};
  }

  /** Says on the object why its deletion is held up. */
  async #tellBlocked({ object, metadata, status }: Subject, error: OperatorError, signal: AbortSignal): Promise<void> {
    const next = blockedStatus(status, error, { generation: metadata.generation, now: this.#options.clock.now() });
    const told = status?.conditions?.some((one) => one.type === "DeletionBlocked" && one.reason === error.code);
    await this.#saveStatus({ object, metadata, status }, next, signal);
    if (told) return;
    const message = `DeletionBlocked: ${error.message}`;
    this.#options.writer.event(object, { type: "Warning", reason: error.code, message });
  }

  /** Whether the original may have written the object's data, and we never looked at it. */
  #mayPredateUs({ metadata, status }: Subject): boolean {
    const isOurs = status?.record !== undefined || findCondition(status?.conditions ?? [], "Ready") !== undefined;
    if (isOurs || this.#seen.has(metadata.uid)) return false;
    const { installedAt } = this.#options;
    const isOlder = installedAt === undefined || Date.parse(metadata.creationTimestamp) <= installedAt;
    return isOlder || status?.created === true;
  }

  #remove({ object, metadata, status }: Subject, signal: AbortSignal): Promise<Removal> {
    const { surroundings, tools, accessFor } = this.#options;
    const { path, engineVersion, authMethod } = namedBy(object);
    return remove(
      {
        metadata,
        note: tools.records.open(status?.record, metadata.uid),
        access: accessFor(authMethod),
        ...(path !== undefined && { named: { path, ...(engineVersion && { engineVersion }) } }),
        mayPredateUs: this.#mayPredateUs({ object, metadata, status }),
        isKindGoing: () => this.#options.isKindGoing(signal),
        rivals: (place) => surroundings.rivals(`${place.mount}/${place.path}`, metadata.uid),
      },
      tools,
    );
  }

  /** Where the status may not be saved the reconcile goes on, and the process remembers it. */
  async #saveStatus({ object, metadata }: Subject, next: Status, signal: AbortSignal): Promise<void> {
    // First of all: whatever becomes of the call, the record of a write must not be lost.
    this.#memory.remember(metadata.uid, next, undefined);
    const savedAs = await this.#options.writer.saveStatus(object, next, signal);
    // The store has it already: nothing to remember.
    if (savedAs === object.metadata.resourceVersion) this.#memory.forget(metadata.uid);
    else this.#memory.remember(metadata.uid, next, savedAs);
  }

  /** Spread over the period, so that objects that were first looked at together are not for ever. */
  #resync(first: boolean): Result {
    const { syncPeriodMs, random = Math.random } = this.#options;
    if (syncPeriodMs === undefined) return {};
    return { requeueAfterMs: syncPeriodMs * (first ? random() : 0.9 + 0.1 * random()) };
  }

  #log(object: KubeObject, outcome: Outcome): void {
    const { logger } = this.#options;
    const name = keyOf(object);
    const { written } = outcome;
    if (written !== undefined) {
      const { mount, path, engineVersion } = written.destination;
      const version = outcome.revision?.version;
      logger.info({ object: name, mount, path, engineVersion, version, changed: written.changed }, "secret written");
    } else if (outcome.kind === "synced") {
      logger.debug({ object: name }, "in sync");
    }
    // One that is thrown is logged by the runtime, with the time of the next attempt.
    if (outcome.kind === "failed" && outcome.error.retry === "terminal") {
      const { code, message } = outcome.error;
      logger.warn({ object: name, code, reason: message }, "object cannot be synced, waiting for a change");
    }
  }
}

/** One object, as far as it could be read, and the status to go on from. */
interface Subject {
  readonly object: KubeObject;
  readonly metadata: Meta;
  readonly status: Status | undefined;
}

function invalidOutcome({ problems }: Invalid): Outcome {
  const message = `${describeProblems(problems)}; nothing was written or removed; correct the object`;
  return { kind: "failed", error: new OperatorError("InvalidSpec", message), failedKeys: [], remarks: [] };
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
