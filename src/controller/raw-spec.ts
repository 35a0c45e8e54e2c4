// Fields of an object that nobody has validated. A deleted object must be let go whatever stands in its spec, and who may
// want its place has to be known of an invalid one as well.
import type { DeletionPolicy } from "../api/kinds.ts";
import { parseDuration } from "../base/duration.ts";
import type { KubeObject } from "../runtime/objects.ts";
import type { Client } from "../sync/identities.ts";

/** An object, as far as it says as whom it is written to Vault. */
export function clientOf(object: KubeObject): Client {
  const { uid, namespace = "" } = object.metadata;
  return { uid, namespace, spec: specOf(object) };
}

/** `spec` of an object that nobody has validated. */
export function specOf(object: KubeObject): Readonly<Record<string, unknown>> | undefined {
  const { spec } = object as { readonly spec?: unknown };
  return typeof spec === "object" && spec !== null ? (spec as Record<string, unknown>) : undefined;
}

/** `spec.deletionPolicy`, if it is one. */
export function policyOf(object: KubeObject): DeletionPolicy | undefined {
  const policy = specOf(object)?.["deletionPolicy"];
  return policy === "Retain" || policy === "SoftDelete" || policy === "Destroy" ? policy : undefined;
}

/** Where an object says that it is written to. */
export function placeNamedBy(object: KubeObject): { path?: string; engineVersion?: "v1" | "v2" } {
  const spec = specOf(object);
  const path = spec?.["path"];
  const settings = spec?.["kvSettings"];
  const engine =
    typeof settings === "object" && settings !== null && "engineVersion" in settings
      ? settings.engineVersion
      : undefined;
  return {
    ...(typeof path === "string" && { path }),
    ...((engine === "v1" || engine === "v2") && { engineVersion: engine }),
  };
}

/** An object's own period, ms; undefined when it has none that can be read. */
export function syncPeriodOf(object: KubeObject): number | undefined {
  const period = specOf(object)?.["syncPeriod"];
  return typeof period === "string" ? parseDuration(period) : undefined;
}
