// What Vault is to the rest of the product: for an identity, a way from a path to a destination, and a KV engine.
import type { Destination, EngineVersion, KVEngine } from "./kv/engine.ts";

/** How the operator logs in; one file each in auth/. */
export const authMethods = ["k8s", "token", "userpass", "approle", "github", "iam", "jwt", "cert", "ldap"] as const;
export type AuthMethod = (typeof authMethods)[number];

/** A service account of Kubernetes. */
export interface ServiceAccount {
  readonly namespace: string;
  readonly name: string;
}

/** Who asks: one session (one token) per distinct identity. */
export interface Identity {
  readonly method: AuthMethod;
  /** Vault namespace, "" for the root namespace. */
  readonly namespace: string;
  /** Absent: the operator itself. By `k8s` or `jwt` only; `role` absent: the method's own. */
  readonly serviceAccount?: ServiceAccount & { readonly role?: string };
}

/** Vault, seen by one identity. */
export interface VaultAccess extends KVEngine {
  /**
   * Finds the mount behind a path (cached by mount) and the logical path inside it.
   * @param path as the user wrote it, `secret/data/x` or `secret/x`; slashes at the ends and double ones are ignored
   * @param engineVersion what the object says; believed when Vault does not let us ask, checked when it does
   * @throws OperatorError `InvalidPath`, `NotKV`, `EngineMismatch`, `EngineUnknown`, or one of the `Vault…` codes
   */
  resolve(path: string, engineVersion?: EngineVersion): Promise<Destination>;
}

export interface Vault {
  /** Never does I/O itself: login happens with the first call. */
  access(identity: Identity): VaultAccess;
  /**
   * No object uses the identity any more: its token is renewed no more, and revoked in the background if our own login
   * made it. An access to it that is still in use ends with `VaultUnavailable`; a new one logs in again.
   */
  release(identity: Identity): void;
}
