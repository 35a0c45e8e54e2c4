// Removes what an object wrote at one place, whoever asks for it: the deletion of the object, or the replica at whose
// place something of it is left. Joins the rules (sync/remove.ts) to what is known around the object; says nothing on it.
import { deletionAnnotation, type DeletionPolicy } from "../api/kinds.ts";
import { findCondition } from "../api/conditions.ts";
import { asOperatorError, OperatorError, triedAgain } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { type Claimant, policyDenied, type TenancyPolicy } from "../policy/policy.ts";
import { type KubeObject, keyOf } from "../runtime/objects.ts";
import type { Identities } from "../sync/identities.ts";
import type { Removal } from "../sync/outcome.ts";
import { describe, type Rival, type SyncInput, type SyncTools } from "../sync/pass.ts";
import type { Place } from "../sync/record.ts";
import { type PlaceToRemove, released, removePlace } from "../sync/remove.ts";
import { clientOf, placeNamedBy, specOf } from "./raw-spec.ts";
import type { Subject } from "./subject.ts";
import type { Surroundings } from "./surroundings.ts";
import type { Watchdog } from "./watchdog.ts";

export interface RemoverOptions {
  readonly surroundings: Surroundings;
  readonly tools: SyncTools;
  readonly identities: Identities;
  readonly policy: TenancyPolicy;
  readonly watchdog: Watchdog;
  /**
   * Since when this installation exists, ms since the epoch: a younger object was never written by the original.
   * undefined: not known.
   */
  readonly installedAt: number | undefined;
  readonly logger: Logger;
}

/** What is to be removed, and how thoroughly. */
export interface RemovalRequest {
  /** As recorded; undefined: nothing is, and what the spec names is looked at. */
  readonly place: Place | undefined;
  readonly policy: DeletionPolicy;
}

export class Remover {
  readonly #options: RemoverOptions;

  constructor(options: RemoverOptions) {
    this.#options = options;
  }

  /** Other living objects that may name what `path` leads to, and may write to the destination. */
  rivals(object: KubeObject, path: string, destination: Place["destination"]): readonly Rival[] {
    const { surroundings, identities } = this.#options;
    return surroundings.rivals(path, object.metadata.uid, (rival) =>
      this.#mayHold(rival, destination) ? identities.namespaceOf(clientOf(rival)) : undefined,
    );
  }

  #mayHold(rival: KubeObject, destination: Place["destination"]): boolean {
    const { policy } = this.#options;
    const client = clientOf(rival);
    try {
      if (policy.refusals(client).length > 0) return false;
      policy.assertMayUse(client.namespace, destination);
      return true;
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error;
      // As long as it is not known whether it may, nobody takes the place from it.
      return error.code !== "PolicyDenied";
    }
  }

  /** Never throws: what goes wrong is `blocked`, to be tried again. */
  async remove(subject: Subject, request: RemovalRequest, signal: AbortSignal): Promise<Removal> {
    let removal: Removal;
    try {
      removal = await this.#remove(subject, request, signal);
    } catch (error) {
      removal = { kind: "blocked", error: triedAgain(asOperatorError(error)) };
    }
    const fields = { object: keyOf(subject.object), removal: removal.kind, ...explain(removal) };
    this.#options.logger.info(fields, "object left a place");
    return removal;
  }

  async #remove(subject: Subject, { place, policy }: RemovalRequest, signal: AbortSignal): Promise<Removal> {
    const { surroundings, tools, identities, watchdog } = this.#options;
    const { object, metadata } = subject;
    if (metadata.annotations?.[deletionAnnotation] === "orphan") {
      return released(`Vault was left alone, as the annotation ${deletionAnnotation}: orphan asks`);
    }
    if (policy === "Retain") {
      return released(`${place === undefined ? "Vault" : describe(place.destination)} was left in place`);
    }
    const client = clientOf(object);
    const known = place ?? (await this.#unrecorded(subject));
    if (known === undefined) {
      return released("Vault was left alone: there is no record that this object wrote anything there");
    }
    if (metadata.deletionTimestamp !== undefined && (await watchdog.isKindGoing(signal))) throw kindIsGoing();
    this.#assertAllowed(client, known.destination);
    const access = identities.accessFor(client, known.destination.namespace);
    const rivals: SyncInput["rivals"] = (path, destination) => this.rivals(object, path, destination);
    // A deleted object changes no more what it asks for.
    const isCurrent = (): boolean => metadata.deletionTimestamp !== undefined || surroundings.isCurrent(object);
    return removePlace(known, { metadata, policy, access, rivals, isCurrent }, tools);
  }

  /**
   * Where an object without a record may have been written all the same: by the original, before there were records, or
   * by a process that ended just before it could save one. Undefined when neither can be, or when only the latter can
   * and the policy refuses the place.
   */
  async #unrecorded(subject: Subject): Promise<PlaceToRemove | undefined> {
    const mayPredateUs = this.#mayPredateUs(subject);
    const { path, engineVersion } = placeNamedBy(subject.object);
    // What it merged is not known without a record, and the original never did.
    const merges = specOf(subject.object)?.["writeMode"] === "Merge";
    if (path === undefined || merges || (subject.isSeen && !mayPredateUs)) return undefined;
    const client = clientOf(subject.object);
    // Where the object may not write now, nothing that has not been recorded holds it up: it hardly ever wrote anything.
    const isFree = (at?: Place["destination"]): boolean => !mayPredateUs && this.#refusals(client, at).length > 0;
    if (isFree()) return undefined;
    this.#assertAllowed(client);
    try {
      const access = this.#options.identities.accessFor(client);
      const destination = await resolveAnyEngine(access, path, engineVersion);
      return isFree(destination) ? undefined : { destination, mayPredateUs };
    } catch (error) {
      // A path that leads to no KV engine holds nothing of ours.
      if (error instanceof OperatorError && (error.code === "InvalidPath" || error.code === "NotKV")) return undefined;
      throw error;
    }
  }

  /** @throws OperatorError `PolicyDenied`, before Vault hears of it */
  #assertAllowed(client: Claimant, place?: Place["destination"]): void {
    const refusals = this.#refusals(client, place);
    if (refusals.length > 0) throw policyDenied(refusals);
  }

  #refusals(client: Claimant, place?: Place["destination"]): readonly string[] {
    return this.#options.policy.removalRefusals(client, place);
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
    case "postponed":
      return {};
  }
}
