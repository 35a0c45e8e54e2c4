// What a reconcile needs to know around its object: the Partials it includes and the other objects that may name the
// same place in Vault. Both are looked up in the informers' stores by index; nothing here talks to anyone.
import type { KMSVaultSecret, PartialKMSVaultSecret } from "../api/kinds.ts";
import { validateKMSVaultSecret, validatePartialKMSVaultSecret } from "../api/validate.ts";
import { type KubeObject, keyOf } from "../runtime/objects.ts";
import type { IndexFunction, Store } from "../runtime/store.ts";
import { claimKey } from "../sync/claims.ts";
import type { Rival } from "../sync/pass.ts";
import type { Recorded } from "../sync/own-revisions.ts";
import { placesOf, type RecordKeeper } from "../sync/record.ts";
import { specOf } from "./raw-spec.ts";

/** Indexes of the KMSVaultSecrets' store; its objects are unvalidated, as the API server returned them. */
export const secretIndexers: Readonly<Record<"claim" | "include" | "namespace", IndexFunction<KubeObject>>> = {
  namespace: ({ metadata }) => [metadata.namespace ?? ""],
  claim: (object) => {
    const path = specOf(object)?.["path"];
    return typeof path === "string" ? [claimKey(path)] : [];
  },
  include: (object) => {
    const includes = specOf(object)?.["includeSecrets"];
    if (!Array.isArray(includes)) return [];
    return includes.map((name) => includeKey(object.metadata.namespace, String(name)));
  },
};

/** Value of the `include` index: a Partial of that name in that namespace. */
function includeKey(namespace: string | undefined, name: string): string {
  return `${namespace ?? ""}/${name}`;
}

export class Surroundings {
  readonly #secrets: Store<KubeObject>;
  readonly #partials: Store<KubeObject>;

  constructor(secrets: Store<KubeObject>, partials: Store<KubeObject>) {
    this.#secrets = secrets;
    this.#partials = partials;
  }

  /** The KMSVaultSecret as the API server has it, not validated. */
  secret(key: string): KubeObject | undefined {
    return this.#secrets.get(key);
  }

  /** Whether a living object still asks for what it asked for when it was looked up. */
  isCurrent(object: KubeObject): boolean {
    const { uid, generation } = object.metadata;
    const stored = this.secret(keyOf(object))?.metadata;
    return stored?.uid === uid && stored.generation === generation && stored.deletionTimestamp === undefined;
  }

  /** Every KMSVaultSecret as the API server has it. */
  all(): readonly KubeObject[] {
    return this.#secrets.list();
  }

  /** Those of a namespace. */
  in(namespace: string): readonly KubeObject[] {
    return this.#secrets.byIndex("namespace", namespace);
  }

  /** What the authenticated records of all KMSVaultSecrets say, their specs valid or not, deleted or not. */
  *notes(records: RecordKeeper): Generator<Recorded, void> {
    for (const object of this.#secrets.list()) {
      const validated = validateKMSVaultSecret(object);
      const { metadata, status } = "valid" in validated ? validated.valid : validated.invalid;
      const note = records.open(status?.record, metadata.uid);
      for (const place of placesOf(note)) yield { place, uid: metadata.uid };
    }
  }

  /** A valid Partial, or undefined. */
  partial(namespace: string, name: string): PartialKMSVaultSecret | undefined {
    const object = this.#partials.get(includeKey(namespace, name));
    if (object === undefined) return undefined;
    const validated = validatePartialKMSVaultSecret(object);
    return "valid" in validated ? validated.valid : undefined;
  }

  /**
   * Other living, valid objects whose path may lead to where `path` does. A deleted one holds nothing.
   * @param namespaceOf the Vault namespace that an object writes to; undefined when it may not write where it says, and
   *   so holds nothing either
   */
  rivals(path: string, uid: string, namespaceOf: (object: KubeObject) => string | undefined): readonly Rival[] {
    return this.#secrets
      .byIndex("claim", claimKey(path))
      .filter(({ metadata }) => metadata.uid !== uid && metadata.deletionTimestamp === undefined)
      .flatMap((object) => {
        const validated = validateKMSVaultSecret(object);
        if (!("valid" in validated)) return [];
        const namespace = namespaceOf(object);
        if (namespace === undefined) return [];
        return [{ secret: validated.valid, namespace, keys: this.#keysOf(validated.valid) }];
      });
  }

  /** Undefined when a Partial is missing: that must not read as an empty one. */
  #keysOf({ metadata, spec }: KMSVaultSecret): ReadonlySet<string> | undefined {
    const keys = new Set((spec.secrets ?? []).map(({ key }) => key));
    for (const name of spec.includeSecrets ?? []) {
      const partial = this.partial(metadata.namespace, name);
      if (partial === undefined) return undefined;
      for (const { key } of partial.spec.secrets) keys.add(key);
    }
    return keys;
  }

  /** Keys of the objects to look at again when this object's claim to a place changes. */
  claimantKeys(object: KubeObject): readonly string[] {
    const own = keyOf(object);
    return [...this.keysAround([object])].filter((key) => key !== own);
  }

  /** Keys of these objects and of all that name a place of theirs, each once: very many may name one. */
  keysAround(objects: readonly KubeObject[]): ReadonlySet<string> {
    const claims = new Set(objects.flatMap(secretIndexers.claim));
    const claimants = [...claims].flatMap((claim) => this.#secrets.byIndex("claim", claim));
    return new Set([...objects, ...claimants].map(keyOf));
  }

  /** The objects that include a Partial. */
  includers(partial: KubeObject): readonly KubeObject[] {
    const { namespace, name } = partial.metadata;
    return this.#secrets.byIndex("include", includeKey(namespace, name));
  }
}
