// As whom an object is written to Vault, and in which Vault namespace. The spec is read as it is, valid or not: a deleted
// object must be let go whatever stands in it. Sessions that no object uses any more are given back.
import { vaultAuthMethods } from "../api/kinds.ts";
import { OperatorError } from "../base/errors.ts";
import type { AuthMethod, Identity, Vault, VaultAccess } from "../vault/vault.ts";

export interface IdentitiesOptions {
  readonly vault: Vault;
  /** How objects log in that do not say so, and to which Vault namespace they write ("" for the root namespace). */
  readonly method: AuthMethod;
  readonly namespace: string;
  /** Whether an object may name another Vault namespace. */
  readonly mayNameNamespace: boolean;
}

/** An object, as far as it says as whom it is written. */
export interface Client {
  readonly uid: string;
  readonly namespace: string;
  /** `spec`, which nobody has validated. */
  readonly spec: Spec;
}

type Spec = Readonly<Record<string, unknown>> | undefined;

/** An identity in use. */
interface Used {
  readonly identity: Identity;
  /** uids of the objects that use it. */
  readonly by: Set<string>;
}

export class Identities {
  readonly #options: IdentitiesOptions;
  /** By identity. */
  readonly #used = new Map<string, Used>();
  /** By uid: keys of the identities that an object uses. */
  readonly #keys = new Map<string, ReadonlySet<string>>();

  constructor(options: IdentitiesOptions) {
    this.#options = options;
  }

  /** The Vault namespace that an object writes to; undefined when it names one and may not. */
  readonly namespaceOf = (spec: Spec): string | undefined => {
    const named = vaultNamespaceOf(spec) ?? this.#options.namespace;
    return this.#mayUse(named) ? named : undefined;
  };

  /**
   * To be called before an object is worked on: what it may use from now on. Sessions of what it used before, and nobody
   * else does, are given back.
   * @param formerly Vault namespaces of the places where it was before
   */
  use(client: Client, formerly: readonly string[]): void {
    const namespaces = [this.#namedBy(client), ...formerly].filter((namespace) => this.#mayUse(namespace));
    const wanted = new Map<string, Identity>();
    for (const namespace of namespaces) {
      const identity = this.#identityOf(client, namespace);
      wanted.set(keyOfIdentity(identity), identity);
    }
    this.#replace(client.uid, wanted);
  }

  /** To be called when an object is gone, or another replica's. */
  forget(uid: string): void {
    this.#replace(uid, new Map());
  }

  /**
   * Vault as an object sees it.
   * @param namespace where it wrote before, if that is meant and not where it writes now
   * @throws OperatorError `PolicyDenied`
   */
  accessFor(client: Client, namespace = this.#namedBy(client)): VaultAccess {
    if (!this.#mayUse(namespace)) throw namespaceDenied();
    return this.#options.vault.access(this.#identityOf(client, namespace));
  }

  #namedBy({ spec }: Client): string {
    return vaultNamespaceOf(spec) ?? this.#options.namespace;
  }

  #replace(uid: string, wanted: ReadonlyMap<string, Identity>): void {
    for (const [key, identity] of wanted) {
      const used = this.#used.get(key) ?? { identity, by: new Set() };
      used.by.add(uid);
      this.#used.set(key, used);
    }
    for (const key of this.#keys.get(uid) ?? []) if (!wanted.has(key)) this.#leave(uid, key);
    if (wanted.size === 0) this.#keys.delete(uid);
    else this.#keys.set(uid, new Set(wanted.keys()));
  }

  #leave(uid: string, key: string): void {
    const used = this.#used.get(key);
    if (used === undefined || !used.by.delete(uid) || used.by.size > 0) return;
    this.#used.delete(key);
    const { identity } = used;
    // The operator's own login is the next object's as well.
    const isOwn = identity.serviceAccount === undefined && identity.namespace === this.#options.namespace;
    if (!isOwn) this.#options.vault.release(identity);
  }

  #mayUse(namespace: string): boolean {
    return this.#options.mayNameNamespace || namespace === this.#options.namespace;
  }

  #identityOf({ spec, namespace: ownNamespace }: Client, namespace: string): Identity {
    const named = vaultAuthMethods.find((method) => method === spec?.["vaultAuthMethod"]);
    const method = named ?? this.#options.method;
    const name = serviceAccountOf(spec?.["serviceAccountRef"]);
    if (name === undefined) return { method, namespace };
    const role = spec?.["vaultRole"];
    return {
      // The operator's own way may be none by which a service account can log in.
      method: named === undefined && method !== "jwt" ? "k8s" : method,
      namespace,
      serviceAccount: {
        namespace: ownNamespace,
        name,
        ...(typeof role === "string" && role !== "" && { role }),
      },
    };
  }
}

function namespaceDenied(): OperatorError {
  return new OperatorError(
    "PolicyDenied",
    "spec.vaultNamespace, or the record of where the object was before, names a Vault namespace other than the operator's own, which is not allowed; Vault was not touched; leave it out, or start the operator with --allow-vault-namespaces",
  );
}

/** `spec.vaultNamespace`, without slashes at its ends; undefined when the object names none. */
export function vaultNamespaceOf(spec: Spec): string | undefined {
  const named = spec?.["vaultNamespace"];
  return typeof named === "string" ? named.replaceAll(/^\/+|\/+$/g, "") : undefined;
}

function serviceAccountOf(reference: unknown): string | undefined {
  if (typeof reference !== "object" || reference === null || !("name" in reference)) return undefined;
  return typeof reference.name === "string" && reference.name !== "" ? reference.name : undefined;
}

function keyOfIdentity({ method, namespace, serviceAccount: account }: Identity): string {
  return JSON.stringify([method, namespace, account?.namespace, account?.name, account?.role]);
}
