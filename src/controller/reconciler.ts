// Joins sync to the runtime: a thin shell that looks up one object, has the outcome computed, and writes it down once
// — one status patch, the events, one log line. Everything that decides anything is in sync/.
import { adoptAnnotation, type KMSVaultSecret } from "../api/kinds.ts";
import { describeProblems, type Invalid, type Validated, validateKMSVaultSecret } from "../api/validate.ts";
import { asOperatorError, OperatorError } from "../base/errors.ts";
import { policyDenied } from "../policy/policy.ts";
import type { Result } from "../runtime/controller.ts";
import { type KubeObject, keyOf, type Request } from "../runtime/objects.ts";
import { notTried, type Outcome, type Repaired, type Superseded } from "../sync/outcome.ts";
import type { SyncInput } from "../sync/pass.ts";
import { placesOf } from "../sync/record.ts";
import { sync } from "../sync/sync.ts";
import { Apart } from "./apart.ts";
import { Attempts } from "./attempts.ts";
import { Deletion, type DeletionOptions } from "./deletion.ts";
import { finalizerEdit } from "./finalizers.ts";
import { Memory } from "./memory.ts";
import { noticesOf } from "./notices.ts";
import { Outages } from "./outages.ts";
import { claimOf, claimOn } from "./shares.ts";
import { nextStatus } from "./status.ts";
import type { Subject } from "./subject.ts";
import { clientOf, policyOf, specOf, syncPeriodOf } from "./raw-spec.ts";
import { Remover, type RemoverOptions } from "./remover.ts";

/** What the product counts about reconciles. */
interface ReconcilerMetrics {
  /** The reason of an object's Ready condition; undefined when the object is gone, or going. */
  objectReady(object: string, reason: string | undefined): void;
  /** A write to Vault. */
  wroteSecret(engineVersion: string): void;
  /** One of those writes put right what was gone from Vault, or was other than it should be. */
  repairedSecret(cause: Repaired): void;
}

export interface ReconcilerOptions extends Omit<DeletionOptions, "remover" | "apart" | "memory">, RemoverOptions {
  /** ms until an object that nothing happened to is looked at again; undefined: never. */
  readonly syncPeriodMs: number | undefined;
  readonly metrics: ReconcilerMetrics & DeletionOptions["metrics"];
  /** Called when a server is back that objects may be waiting for. */
  readonly onServerBack: () => void;
  /** Called when KMS, which throttles, has let an object through: others may be waiting for that. */
  readonly onThrottledPassed: () => void;
  readonly random?: () => number;
}

/** A watch that lags behind without a sign is found out within this time, ms (runtime/reflector.ts: 100 s). */
const lagMs = 120_000;
/** Until an object is looked at again whose newest state has not come yet, ms. */
const lagRetryMs = 500;
/** A longer time would not fit into a timer, ms. */
const longestMs = 2_000_000_000;

export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #memory = new Memory();
  readonly #remover: Remover;
  readonly #apart: Apart;
  readonly #deletion: Deletion;
  readonly #outages = new Outages();
  /** Objects that this process has looked at; the first look at each is followed by one anywhere in the period. */
  readonly #seen = new Set<string>();
  readonly #attempts = new Attempts();
  /** Monotonic: since when we work where another process did before. */
  #tookOverAt: number | undefined;

  constructor(options: ReconcilerOptions) {
    const { shares, writer, tools } = options;
    this.#options = options;
    this.#remover = new Remover(options);
    this.#apart = new Apart({ shares, writer, records: tools.records, remover: this.#remover });
    this.#deletion = new Deletion({ ...options, remover: this.#remover, apart: this.#apart, memory: this.#memory });
  }

  /**
   * Brings Vault to what one object says. See runtime/controller.ts for what the result means.
   * @throws OperatorError (`backoff`) to be called again after this object's own backoff
   */
  async reconcile(request: Request, signal: AbortSignal): Promise<Result> {
    const { surroundings, shares } = this.#options;
    const object = surroundings.secret(`${request.namespace}/${request.name}`);
    if (object === undefined) return {};
    const leave = shares.enter(claimOf(object));
    if (leave === undefined) return this.#reconcileApart(object, signal);
    try {
      return await this.#reconcileOwn(object, signal);
    } finally {
      leave();
    }
  }

  /** To be called when others may have worked on what is ours now: their last words may not have reached us yet. */
  takeOver(): void {
    this.#tookOverAt = this.#options.clock.monotonic();
    this.#options.tools.own.renew();
  }

  async #reconcileOwn(object: KubeObject, signal: AbortSignal): Promise<Result> {
    const { subject, validated } = this.#look(object);
    this.#useIdentities(subject);
    try {
      return await this.#finalizeOrSync(subject, validated, signal);
    } finally {
      // It may have gone while it was worked on, after `forget` was called.
      if (!this.#isStored(subject)) this.forget(object);
    }
  }

  async #finalizeOrSync(subject: Subject, validated: Validated<KMSVaultSecret>, signal: AbortSignal): Promise<Result> {
    const { object } = subject;
    if (subject.metadata.deletionTimestamp !== undefined) {
      // Its Ready condition says how it was; alerts that go by it would not end while something holds the object.
      this.#options.metrics.objectReady(keyOf(object), undefined);
      return this.#deletion.finalize(subject, signal);
    }
    let isBehind = false;
    const isConfirmed = async (): Promise<boolean> => {
      isBehind = this.#mayLag(subject) && !(await this.#options.writer.isLatest(object, signal));
      return !isBehind;
    };
    const call = { isConfirmed, signal };
    const outcome =
      "valid" in validated
        ? await this.#syncUnlessSuspended(validated.valid, subject, call)
        : invalidOutcome(validated.invalid);
    if (outcome.kind === "superseded") return isBehind ? { requeueAfterMs: lagRetryMs, priority: "high" } : {};
    return this.#report(subject, outcome, signal);
  }

  /** The object names another replica's place, but what was written of it before may be at one of ours. */
  async #reconcileApart(object: KubeObject, signal: AbortSignal): Promise<Result> {
    // What was remembered of it when it was ours is old by now.
    this.#memory.forget(object.metadata.uid);
    const { subject } = this.#look(object);
    this.#useIdentities(subject);
    try {
      return await this.#apart.remove(subject, signal);
    } finally {
      this.forget(object);
    }
  }

  #useIdentities(subject: Subject): void {
    const namespaces = placesOf(subject.note).map(({ destination }) => destination.namespace);
    this.#options.identities.use(clientOf(subject.object), namespaces);
  }

  #look(object: KubeObject): { subject: Subject; validated: Validated<KMSVaultSecret> } {
    const validated = validateKMSVaultSecret(object);
    const { metadata, status } = "valid" in validated ? validated.valid : validated.invalid;
    const { uid } = metadata;
    const latest = this.#memory.latest(uid, object.metadata.resourceVersion, status);
    const note = this.#options.tools.records.open(latest?.record, uid);
    return { subject: { object, metadata, status: latest, note, isSeen: this.#seen.has(uid) }, validated };
  }

  #mayLag({ isSeen }: Subject): boolean {
    return !isSeen && this.#tookOverAt !== undefined && this.#options.clock.monotonic() - this.#tookOverAt < lagMs;
  }

  /** To be called when the store has another version of an object. */
  storeHas({ metadata: { uid, resourceVersion } }: KubeObject): void {
    this.#memory.storeHas(uid, resourceVersion);
  }

  /** To be called when an object is gone. */
  forget(object: KubeObject): void {
    this.#memory.forget(object.metadata.uid);
    this.#seen.delete(object.metadata.uid);
    this.#attempts.forget(object.metadata.uid);
    this.#options.identities.forget(object.metadata.uid);
    this.#options.metrics.objectReady(keyOf(object), undefined);
    this.#options.metrics.deletionBlocked(keyOf(object), undefined);
  }

  #isStored({ object, metadata }: Subject): boolean {
    return this.#options.surroundings.secret(keyOf(object))?.metadata.uid === metadata.uid;
  }

  async #syncUnlessSuspended(secret: KMSVaultSecret, subject: Subject, call: SyncCall): Promise<Outcome | Superseded> {
    try {
      // What stands in Vault already is held by what its policy says now, whatever keeps this pass from getting further.
      if (subject.note !== undefined) await this.#armFinalizers(subject, call.signal);
      this.#assertAllowed(subject);
      return secret.spec.suspend === true ? notTried(suspended()) : await this.#sync(secret, subject, call);
    } catch (error) {
      // The API server, or the policy; sync itself never throws.
      return notTried(asOperatorError(error));
    }
  }

  /** What the object alone tells, before Vault hears of it. */
  #assertAllowed({ object }: Subject): void {
    const refusals = this.#options.policy.refusals(clientOf(object));
    if (refusals.length > 0) throw policyDenied(refusals);
  }

  /** No call when there is nothing to change. */
  #armFinalizers({ object, metadata }: Subject, signal: AbortSignal): Promise<void> {
    const edit = (latest: KubeObject["metadata"]) =>
      latest.generation === metadata.generation ? finalizerEdit(policyOf(object), latest) : undefined;
    return this.#options.writer.editMetadata(object, edit, signal);
  }

  async #sync(secret: KMSVaultSecret, subject: Subject, call: SyncCall): Promise<Outcome | Superseded> {
    const { surroundings, tools, identities, shares, policy } = this.#options;
    const { object, metadata, note } = subject;
    const client = clientOf(object);
    const assertMayUse: SyncInput["assertMayUse"] = (place) => policy.assertMayUse(metadata.namespace, place);
    const { allowedKeys } = policy.grants(metadata.namespace);
    const isStillAllowed = (): boolean =>
      policy.refusals(client).length === 0 &&
      String(policy.grants(metadata.namespace).allowedKeys) === String(allowedKeys);
    let tried: string | undefined;
    const outcome = await sync(
      {
        secret,
        assertMayUse,
        ...(allowedKeys && { allowedKeys }),
        partials: (name) => surroundings.partial(metadata.namespace, name),
        rivals: (path, destination) => this.#remover.rivals(object, path, destination),
        isCurrent: () => surroundings.isCurrent(object) && isStillAllowed(),
        prepare: () => this.#armFinalizers(subject, call.signal),
        note,
        access: identities.accessFor(client),
        accessAt: (place) => {
          // Before a login is made for it.
          assertMayUse(place);
          return identities.accessFor(client, place.namespace);
        },
        enter: (destination) => shares.enter(claimOn(destination)),
        isUrgent: (digest) => {
          tried = digest;
          return subject.isSeen && note !== undefined && this.#attempts.isNew(metadata.uid, digest);
        },
        adopt: metadata.annotations?.[adoptAnnotation] === "true",
        ...call,
      },
      tools,
    );
    this.#attempts.ended(metadata.uid, tried, outcome);
    return outcome;
  }

  async #report(subject: Subject, outcome: Outcome, signal: AbortSignal): Promise<Result> {
    const { tools, clock, metrics, writer, identities } = this.#options;
    const { object, metadata, status: previous } = subject;
    // The session that it had is of no more use to it.
    if (outcome.kind === "failed" && outcome.error.code === "PolicyDenied") identities.forget(metadata.uid);
    const includes = specOf(object)?.["includeSecrets"];
    const next = nextStatus({
      generation: metadata.generation,
      ...(Array.isArray(includes) && { includes: includes.map(String) }),
      previous,
      outcome,
      record: outcome.note && tools.records.seal(outcome.note, metadata.uid),
      now: clock.now(),
    });
    this.#seen.add(metadata.uid);
    const sign = this.#outages.signOf(outcome, clock.monotonic());
    if (sign === "back") this.#options.onServerBack();
    if (sign === "passed") this.#options.onThrottledPassed();
    // What happened is told even if the status then cannot be saved.
    this.#log(object, outcome);
    metrics.objectReady(keyOf(object), outcome.kind === "synced" ? "Synced" : outcome.error.code);
    const { written, pending } = outcome;
    if (written !== undefined) metrics.wroteSecret(written.destination.engineVersion);
    if (written?.repaired !== undefined) metrics.repairedSecret(written.repaired);
    const named = { metadata, spec: { path: String(specOf(object)?.["path"]) } };
    for (const notice of noticesOf(named, outcome, { previous, next })) writer.event(object, notice);
    await this.#memory.save(object, next, (saved) => writer.saveStatus(object, saved, signal));
    if (outcome.kind === "failed" && outcome.error.retry === "backoff") throw outcome.error;
    if (pending?.retry === "backoff") throw pending;
    return this.#resync(subject);
  }

  /** Spread over the period, so that objects that were first looked at together are not for ever. */
  #resync({ object, isSeen }: Subject): Result {
    const { random = Math.random } = this.#options;
    const periodMs = syncPeriodOf(object) ?? this.#options.syncPeriodMs ?? 0;
    if (periodMs === 0) return {};
    return { requeueAfterMs: Math.min(periodMs, longestMs) * (isSeen ? 0.9 + 0.1 * random() : random()) };
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
    if (outcome.kind === "failed" && outcome.error.retry === "terminal" && outcome.error.code !== "Suspended") {
      const { code, message } = outcome.error;
      logger.warn({ object: name, code, reason: message }, "object cannot be synced, waiting for a change");
    }
  }
}

/** What a sync is called with besides the object. */
interface SyncCall {
  readonly isConfirmed: () => Promise<boolean>;
  readonly signal: AbortSignal;
}

function suspended(): OperatorError {
  return new OperatorError(
    "Suspended",
    "spec.suspend is true: nothing is written or repaired, Vault is as it was left; the path stays held",
  );
}

function invalidOutcome({ problems }: Invalid): Outcome {
  const message = `${describeProblems(problems)}; nothing was written or removed; correct the object`;
  return notTried(new OperatorError("InvalidSpec", message));
}
