// What the tenancy policy is to those who ask it: the reconciler and the webhook, with the same words.
import { OperatorError } from "../base/errors.ts";

/** `spec` of an object; it may be anything: nobody has validated it. */
export type Spec = Readonly<Record<string, unknown>> | undefined;

/** An object, as far as the policy looks at it. */
export interface Claimant {
  readonly namespace: string;
  readonly spec: Spec;
}

/** A place in Vault. */
export interface PolicyPlace {
  /** Vault namespace without slashes at its ends, "" for the root namespace. */
  readonly namespace: string;
  readonly mount: string;
  /** Below the mount, without `data/`. */
  readonly path: string;
}

/** What objects of a namespace may do that they may not by themselves. */
export interface Grants {
  /** Keys that they may use; absent: any. */
  readonly allowedKeys?: readonly string[];
  /** Whether a service account of this name may log in to Vault without its annotation. */
  readonly mayLogIn: (serviceAccount: string) => boolean;
}

/** The tenancy policy of the moment. Without one: the original's freedom. */
export interface TenancyPolicy {
  /**
   * Everything that an object asks for and may not have, as far as the object alone tells; Vault is not asked. Empty when
   * nothing is known against it: where its path leads is then still to be checked.
   * @throws OperatorError `KubernetesError` when what the policy goes by is not known of the namespace
   */
  refusals(claimant: Claimant): readonly string[];
  /**
   * The same for a removal, which decrypts nothing.
   * @param place where something is to be removed, if that is known and not what the spec names
   * @throws OperatorError `KubernetesError` as above
   */
  removalRefusals(claimant: Claimant, place?: PolicyPlace): readonly string[];
  /**
   * @param namespace of the object
   * @throws OperatorError `PolicyDenied`; `KubernetesError` as above
   */
  assertMayUse(namespace: string, place: PolicyPlace): void;
  /** @throws OperatorError `KubernetesError` as above */
  grants(namespace: string): Grants;
}

/** The refusals as one error. */
export function policyDenied(refusals: readonly string[]): OperatorError {
  return new OperatorError(
    "PolicyDenied",
    `${refusals.join("; ")}; Vault was left as it is; correct the object, or have what is said here allowed`,
  );
}
