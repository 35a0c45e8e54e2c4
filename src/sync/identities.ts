// As whom an object is written to Vault, and in which Vault namespace. The spec is read as it is, valid or not: a deleted
// object must be let go whatever stands in it. Sessions that no object uses any more are given back.
import { methodOf, serviceAccountOf, vaultNamespaceOf, vaultRoleOf } from "../policy/asked.ts";
import type { Claimant, TenancyPolicy } from "../policy/policy.ts";
import type { AuthMethod, Identity, Vault, VaultAccess } from "../vault/vault.ts";
import { guardedAccess } from "./guarded-access.ts";

export interface IdentitiesOptions {
  readonly vault: Vault;
  /** How objects log in that do not say so, and to which Vault namespace they write ("" for the root namespace). */
  readonly method: AuthMethod;
  readonly namespace: string;
  readonly policy: Pick<TenancyPolicy, "assertMayUse">;
}

/** An object, as far as it says as whom it is written. */
export interface Client extends Claimant {
  readonly uid: string;
}

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

  /** The Vault namespace that an object names, whether it may write there or not. */
  namespaceOf({ spec }: Pick<Claimant, "spec">): string {
    return vaultNamespaceOf(spec) ?? this.#options.namespace;
  }

  /**
   * To be called before an object is worked on: what it may use from now on. Sessions of what it used before, and nobody
   * else does, are given back.
   * @param formerly Vault namespaces of the places where it was before
   */
  use(client: Client, formerly: readonly string[]): void {
    const wanted = new Map<string, Identity>();
    for (const namespace of [this.namespaceOf(client), ...formerly]) {
      const identity = this.#identityOf(client, namespace);
      wanted.set(keyOfIdentity(identity), identity);
    }
    this.#replace(client.uid, wanted);
  }

  /** To be called when an object is gone, another replica's, or may not log in any more as it asks for. */
  forget(uid: string): void {
    this.#replace(uid, new Map());
  }

  /**
   * Vault as an object sees it. Whatever is done at a destination is `PolicyDenied` where the policy, at that time, does
   * not let objects of its namespace do it.
   * @param namespace where it wrote before, if that is meant and not where it writes now
   */
  accessFor(client: Client, namespace = this.namespaceOf(client)): VaultAccess {
    const { vault, policy } = this.#options;
    return guardedAccess(vault.access(this.#identityOf(client, namespace)), (destination) =>
      policy.assertMayUse(client.namespace, destination),
    );
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

  #identityOf({ spec, namespace: ownNamespace }: Client, namespace: string): Identity {
    const method = methodOf(spec, this.#options.method);
    const name = serviceAccountOf(spec);
    if (name === undefined) return { method, namespace };
    const role = vaultRoleOf(spec);
    return {
      method,
      namespace,
      serviceAccount: { namespace: ownNamespace, name, ...(role !== undefined && { role }) },
    };
  }
}

function keyOfIdentity({ method, namespace, serviceAccount: account }: Identity): string {
  return JSON.stringify([method, namespace, account?.namespace, account?.name, account?.role]);
}
