// What an object asks for, read from a spec that nobody has validated: who decides about it and who acts on it must read
// the same.
import { vaultAuthMethods } from "../api/kinds.ts";
import type { Spec } from "./policy.ts";

type Method = (typeof vaultAuthMethods)[number];

/** Every field of a spec that the policy looks at. */
const askedFields = [
  "path",
  "vaultNamespace",
  "vaultAuthMethod",
  "vaultRole",
  "serviceAccountRef",
  "kmsKeyId",
  "kmsRoleArn",
  "bindContext",
] as const;

/** What an object asks of the policy: two specs with equal ones are refused the same. */
export function askedOf(spec: Spec): readonly unknown[] {
  return askedFields.map((field) => spec?.[field] ?? null);
}

/** `spec.vaultNamespace` without slashes that mean nothing (Vault's server ignores them); undefined when there is none. */
export function vaultNamespaceOf(spec: Spec): string | undefined {
  const named = spec?.["vaultNamespace"];
  return typeof named === "string" ? named.split("/").filter(Boolean).join("/") : undefined;
}

/** `spec.serviceAccountRef.name`. */
export function serviceAccountOf(spec: Spec): string | undefined {
  const reference = spec?.["serviceAccountRef"];
  if (typeof reference !== "object" || reference === null || !("name" in reference)) return undefined;
  return typeof reference.name === "string" && reference.name !== "" ? reference.name : undefined;
}

/** `spec.vaultRole`. */
export function vaultRoleOf(spec: Spec): string | undefined {
  return textOf(spec, "vaultRole");
}

/** A field that holds a text; empty counts as absent. */
export function textOf(spec: Spec, field: (typeof askedFields)[number]): string | undefined {
  const text = spec?.[field];
  return typeof text === "string" && text !== "" ? text : undefined;
}

/**
 * How the object logs in.
 * @param preset the operator's own way
 */
export function methodOf(spec: Spec, preset: Method): Method {
  const named = vaultAuthMethods.find((method) => method === spec?.["vaultAuthMethod"]);
  if (named !== undefined) return named;
  // The operator's own way may be none by which a service account can log in.
  return serviceAccountOf(spec) === undefined || preset === "jwt" ? preset : "k8s";
}
