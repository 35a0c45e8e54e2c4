// What must hold of the fields of a KMSVaultSecret beyond their types, each rule once for both who check it: the API server, in CEL,
// where the CRD is all that guards a cluster, and the operator and the webhook, for objects that were stored before.
// No rule refuses what both old CRDs accepted: every one is about a field that they did not have.
import { parseDuration } from "../base/duration.ts";
import type { KMSVaultSecretSpec } from "./kinds.ts";

/** One rule. */
export interface SpecRule {
  /** The field that is to blame, `vaultRole`. */
  readonly field: string;
  /** What is wrong with that field, without a value: `needs serviceAccountRef`. */
  readonly message: string;
  /**
   * The rule in CEL, true where it holds. `self` is the spec or, in a rule on one field alone, that field: the API server
   * then does not look at it again while the field stays as it is, so that an object which breaks it can be edited.
   */
  readonly cel: { readonly onSpec: string } | { readonly onField: string };
  /** The same in here. */
  readonly holds: (spec: KMSVaultSecretSpec) => boolean;
}

/** Every rule. */
export const specRules: readonly SpecRule[] = [
  {
    field: "vaultRole",
    message: "needs serviceAccountRef",
    cel: { onSpec: "!has(self.vaultRole) || has(self.serviceAccountRef)" },
    holds: ({ vaultRole, serviceAccountRef }) => vaultRole === undefined || serviceAccountRef !== undefined,
  },
  {
    field: "vaultAuthMethod",
    message: "must be k8s or jwt with serviceAccountRef",
    cel: {
      onSpec: "!has(self.serviceAccountRef) || !has(self.vaultAuthMethod) || self.vaultAuthMethod in ['k8s', 'jwt']",
    },
    holds: ({ serviceAccountRef, vaultAuthMethod: method = "k8s" }) =>
      serviceAccountRef === undefined || method === "k8s" || method === "jwt",
  },
  {
    field: "vaultNamespace",
    message: "must be a Vault namespace such as team/a",
    cel: { onField: "self.matches('^[!-~]*$') && !self.matches('(^|/)[.][.]?(/|$)')" },
    holds: ({ vaultNamespace = "" }) => isVaultNamespace(vaultNamespace),
  },
  {
    field: "kvSettings.casIndex",
    message: "cannot be used with writeMode: Merge",
    cel: {
      onSpec:
        "!has(self.writeMode) || self.writeMode != 'Merge' || !has(self.kvSettings) || !has(self.kvSettings.casIndex)",
    },
    holds: ({ writeMode, kvSettings }) => writeMode !== "Merge" || kvSettings?.casIndex === undefined,
  },
  {
    field: "syncPeriod",
    message: "must be 0, or from 1s to 8760h",
    cel: { onField: isZeroOrWithinInCel("1s") },
    holds: ({ syncPeriod }) => syncPeriod === undefined || isZeroOrWithin(syncPeriod, 1_000),
  },
  {
    field: "kvMetadata.deleteVersionAfter",
    message: "must be at most 8760h",
    cel: { onField: isZeroOrWithinInCel("0s") },
    holds: ({ kvMetadata: { deleteVersionAfter } = {} }) =>
      deleteVersionAfter === undefined || isZeroOrWithin(deleteVersionAfter, 0),
  },
  {
    field: "kmsRoleArn",
    message: "is for AWS alone, not for another provider",
    cel: { onSpec: "!has(self.kmsRoleArn) || !has(self.provider) || self.provider == 'AWS'" },
    holds: ({ kmsRoleArn, provider = "AWS" }) => kmsRoleArn === undefined || provider === "AWS",
  },
  {
    field: "bindContext",
    message: "cannot be used with provider: Age, whose values cannot be bound to a place",
    cel: {
      onSpec: "!has(self.bindContext) || self.bindContext == 'None' || !has(self.provider) || self.provider != 'Age'",
    },
    holds: ({ bindContext = "None", provider }) => bindContext === "None" || provider !== "Age",
  },
];

/** A year, in ms: no timer or time-out of anybody's is longer. */
const longestMs = 8_760 * 3_600_000;

/** A duration that is 0, or from `leastMs` to a year. */
function isZeroOrWithin(text: string, leastMs: number): boolean {
  const ms = parseDuration(text);
  return ms !== undefined && (ms === 0 || (ms >= leastMs && ms <= longestMs));
}

/**
 * The same in CEL, whose duration() wants a unit even for 0 and fails above 292 years. A rule that fails, and is not only
 * broken, would keep the API server from taking a status for an object that was stored with it.
 */
function isZeroOrWithinInCel(least: string): string {
  const isLegible = "self.size() <= 20 && !self.matches('[0-9]{7}h|[0-9]{8}m($|[0-9])|[0-9]{10}s|[0-9]{13}')";
  const isWithin = `(duration(self) >= duration('${least}') && duration(self) <= duration('8760h'))`;
  return `self == '0' || (${isLegible} && (duration(self) == duration('0s') || ${isWithin}))`;
}

/** Segments of printable characters between slashes; none leads up. */
function isVaultNamespace(text: string): boolean {
  const segments = text.split("/").filter((segment) => segment !== "");
  return segments.every((segment) => /^[!-~]+$/.test(segment) && segment !== "." && segment !== "..");
}
