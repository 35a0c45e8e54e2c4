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

export class Identities {
  readonly #options: IdentitiesOptions;
  /** By uid: the identities that an object has used, by their key. */
  readonly #used = new Map<string, Map<string, Identity>>();

  constructor(options: IdentitiesOptions) {
    this.#options = options;
  }

  /** The Vault namespace that an object writes to; undefined when it names one and may not. */
  readonly namespaceOf = (spec: Spec): string | undefined => {
    const named = vaultNamespaceOf(spec) ?? this.#options.namespace;
    return this.#mayUse(named) ? named : undefined;
  };

  /**
   * Vault as an object sees it.
   * @param namespace where it wrote before, if that is meant and not where it writes now
   * @throws OperatorError `PolicyDenied`
   */
  accessFor(client: Client, namespace?: string): VaultAccess {
    const { uid, spec } = client;
    const identity = this.#identityOf(client, namespace ?? vaultNamespaceOf(spec) ?? this.#options.namespace);
    if (!this.#mayUse(identity.namespace)) throw namespaceDenied();
    const used = this.#used.get(uid) ?? new Map<string, Identity>();
    used.set(keyOfIdentity(identity), identity);
    this.#used.set(uid, used);
    return this.#options.vault.access(identity);
  }

  /** To be called when an object is gone, or another replica's. */
  forget(uid: string): void {
    const used = this.#used.get(uid) ?? new Map<string, Identity>();
    this.#used.delete(uid);
    for (const [key, identity] of used) {
      // The operator's own login is the next object's as well.
      const isOwn = identity.serviceAccount === undefined && identity.namespace === this.#options.namespace;
      const isUsed = [...this.#used.values()].some((others) => others.has(key));
      if (!isOwn && !isUsed) this.#options.vault.release(identity);
    }
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
