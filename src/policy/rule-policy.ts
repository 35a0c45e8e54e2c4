// Decides by rules: the first one whose namespaces fit says what is allowed, and where none fits nothing is. Refusals
// name the rule and what to do, and never what a rule lists, which may name other tenants.
import type { vaultAuthMethods } from "../api/kinds.ts";
import { OperatorError } from "../base/errors.ts";
import { methodOf, serviceAccountOf, textOf, vaultNamespaceOf, vaultRoleOf } from "./asked.ts";
import { isRuledOut } from "./keys.ts";
import { leadsElsewhere, PathPattern, type TemplateValues, type TextPattern } from "./pattern.ts";
import { type Claimant, type Grants, type PolicyPlace, policyDenied, type Spec, type TenancyPolicy } from "./policy.ts";
import { type Rule, usesLabels } from "./rules.ts";

/** What the policy has to know of the operator and of the cluster. */
export interface PolicySurroundings {
  /** Labels of a namespace; undefined while they are not known. */
  readonly labelsOf: (namespace: string) => Readonly<Record<string, string>> | undefined;
  /** The operator's own Vault namespace, "" for the root namespace. */
  readonly ownNamespace: string;
  /** How objects log in that do not say so. */
  readonly defaultMethod: (typeof vaultAuthMethods)[number];
  /** `--allow-vault-namespaces`: whether objects may name another Vault namespace where no rule says which. */
  readonly mayNameNamespace: boolean;
}

/** A rule for one namespace. */
interface Applied {
  readonly rule: Rule;
  readonly values: TemplateValues;
  /** The rule as it is named to people. */
  readonly by: string;
}

const bindings = ["None", "Namespace", "Object", "Key"] as const;
/** Of longer paths the text alone tells nothing: every `data` in it would be another place to look at. */
const mostSegments = 64;
const roleFile = "deploy/opt-in/role-policy.yaml";
/** The original's freedom, as a rule. */
const freedom: Rule = { name: "", vaultPaths: [new PathPattern("**")] };

export class RulePolicy implements TenancyPolicy {
  /** Whether somebody has to know the labels of namespaces. */
  readonly usesLabels: boolean;
  readonly #rules: readonly Rule[] | undefined;
  readonly #surroundings: PolicySurroundings;

  /** @param rules undefined: there is no policy */
  constructor(rules: readonly Rule[] | undefined, surroundings: PolicySurroundings) {
    this.usesLabels = rules?.some(usesLabels) ?? false;
    this.#rules = rules;
    this.#surroundings = surroundings;
  }

  refusals(claimant: Claimant): readonly string[] {
    const applied = this.#ruleFor(claimant.namespace);
    if (applied === undefined) return [unruled(claimant.namespace)];
    const { spec } = claimant;
    return [
      ...this.#loginRefusals(spec, applied),
      ...this.#refusalsOfNamed(spec, applied),
      ...keyRefusals(spec, applied),
    ];
  }

  removalRefusals({ namespace, spec }: Claimant, place?: PolicyPlace): readonly string[] {
    const applied = this.#ruleFor(namespace);
    if (applied === undefined) return [unruled(namespace)];
    const ofPlace = place === undefined ? this.#refusalsOfNamed(spec, applied) : this.#refusalsOf(place, applied);
    return [...this.#loginRefusals(spec, applied), ...ofPlace];
  }

  assertMayUse(namespace: string, place: PolicyPlace): void {
    const applied = this.#ruleFor(namespace);
    const refusals = applied === undefined ? [unruled(namespace)] : this.#refusalsOf(place, applied);
    if (refusals.length > 0) throw policyDenied(refusals);
  }

  grants(namespace: string): Grants {
    const applied = this.#ruleFor(namespace);
    if (applied === undefined) return { allowedKeys: [], mayLogIn: () => false };
    const { rule, values } = applied;
    const allowedKeys = keysOf(applied);
    const mayLogIn = (account: string): boolean => isAmong(rule.serviceAccounts ?? [], account, values);
    return { mayLogIn, ...(allowedKeys && { allowedKeys }) };
  }

  #ruleFor(namespace: string): Applied | undefined {
    if (this.#rules === undefined) {
      return { rule: freedom, values: { namespace, label: () => undefined }, by: "the operator" };
    }
    for (const rule of this.#rules) {
      const by = `rule "${rule.name}" of the policy`;
      const label = (key: string): string | undefined => this.#label(namespace, key, by);
      const values = { namespace, label };
      if (isFor(rule, values)) return { rule, values, by };
    }
    return undefined;
  }

  /** What is not known never makes a rule be passed over: the next one might allow more. */
  #label(namespace: string, key: string, by: string): string | undefined {
    const labels = this.#surroundings.labelsOf(namespace);
    if (labels === undefined) {
      throw new OperatorError(
        "KubernetesError",
        `the labels of namespace ${namespace} are not known, and ${by} goes by them; Vault was left as it is; if that stays so, let the operator and the webhook follow namespaces: apply ${roleFile}`,
      );
    }
    return Object.hasOwn(labels, key) ? labels[key] : undefined;
  }

  #loginRefusals(spec: Spec, { rule, values, by }: Applied): readonly string[] {
    const refusals: string[] = [];
    const method = methodOf(spec, this.#surroundings.defaultMethod);
    if (rule.authMethods !== undefined && !rule.authMethods.includes(method)) {
      refusals.push(
        `spec.vaultAuthMethod: ${method}, as which the object would log in, is not among the authMethods of ${by}`,
      );
    }
    const role = vaultRoleOf(spec);
    if (role !== undefined && rule.vaultRoles !== undefined && !isAmong(rule.vaultRoles, role, values)) {
      refusals.push(`spec.vaultRole is not among the vaultRoles of ${by}`);
    }
    if (rule.require?.serviceAccountRef === true && serviceAccountOf(spec) === undefined) {
      refusals.push(`spec.serviceAccountRef is missing, which ${by} requires`);
    }
    return refusals;
  }

  /** Of the place that the object names, as far as its text tells. */
  #refusalsOfNamed(spec: Spec, applied: Applied): readonly string[] {
    const namespace = vaultNamespaceOf(spec) ?? this.#surroundings.ownNamespace;
    const refusal = this.#refusalOfNamespace(namespace, applied);
    const path = textOf(spec, "path");
    const isHopeless = path !== undefined && !mayLeadBelow(path, applied);
    return [
      ...(refusal === undefined ? [] : [`spec.vaultNamespace: ${refusal}`]),
      ...(isHopeless ? [`spec.path leads to no place among the vaultPaths of ${applied.by}`] : []),
    ];
  }

  #refusalsOf({ namespace, mount, path }: PolicyPlace, applied: Applied): readonly string[] {
    const refusal = this.#refusalOfNamespace(namespace, applied);
    return [
      ...(refusal === undefined ? [] : [`a place where the object is or was: ${refusal}`]),
      ...(isAllowed(`${mount}/${path}`.split("/"), applied)
        ? []
        : [`${mount}/${path} is not among the vaultPaths of ${applied.by}`]),
    ];
  }

  #refusalOfNamespace(namespace: string, { rule, values, by }: Applied): string | undefined {
    const { ownNamespace, mayNameNamespace } = this.#surroundings;
    if (rule.vaultNamespaces === undefined) {
      if (mayNameNamespace || namespace === ownNamespace) return undefined;
      return `a Vault namespace other than the operator's own is not allowed by ${by}; it takes --allow-vault-namespaces, or a policy with vaultNamespaces`;
    }
    const segments = namespace.split("/");
    const isListed = rule.vaultNamespaces.some((pattern) =>
      pattern === undefined ? namespace === "" : pattern.matches(segments, values),
    );
    return isListed ? undefined : `the Vault namespace is not among the vaultNamespaces of ${by}`;
  }
}

function unruled(namespace: string): string {
  return `no rule of the policy is for namespace ${namespace}`;
}

function isFor({ namespaces }: Rule, values: TemplateValues): boolean {
  const { names, labels = {} } = namespaces ?? {};
  if (names !== undefined && !isAmong(names, values.namespace, values)) return false;
  return Object.entries(labels).every(([key, wanted]) => {
    const value = values.label(key);
    return wanted === "*" ? value !== undefined && value !== "" : value === wanted;
  });
}

function keyRefusals(spec: Spec, applied: Applied): readonly string[] {
  const { rule, values, by } = applied;
  const refusals: string[] = [];
  const roleArn = textOf(spec, "kmsRoleArn");
  if (roleArn !== undefined && !isAmong(rule.kmsRoleArns ?? [], roleArn, values)) {
    refusals.push(`spec.kmsRoleArn is not allowed by ${by}; it takes a policy with kmsRoleArns`);
  }
  const keyId = textOf(spec, "kmsKeyId");
  const keys = keysOf(applied);
  if (keyId !== undefined && keys !== undefined && isRuledOut(keyId, keys)) {
    refusals.push(`spec.kmsKeyId is not among the kmsKeys of ${by}`);
  }
  const least = rule.require?.bindContext ?? "None";
  const bound = bindings.find((one) => one === spec?.["bindContext"]) ?? "None";
  if (bindings.indexOf(bound) < bindings.indexOf(least)) {
    refusals.push(`spec.bindContext must be ${least}, or more, by ${by}: set it, and encrypt the values for it`);
  }
  return refusals;
}

/** Undefined: any. */
function keysOf({ rule: { kmsKeys }, values }: Applied): readonly string[] | undefined {
  if (kmsKeys === undefined || kmsKeys.some(({ source }) => source === "*")) return undefined;
  return kmsKeys.flatMap((key) => key.literal(values) ?? []);
}

/**
 * Whether there is a mount with which the path would be allowed. On KV v2 a segment `data` behind the mount is the API's;
 * where the mount ends is Vault's to say.
 */
function mayLeadBelow(path: string, applied: Applied): boolean {
  const segments = path.split("/").filter((segment) => segment !== "");
  // No place at all is said in other words.
  if (segments.length < 2 || segments.length > mostSegments || segments.some(leadsElsewhere)) return true;
  const places = segments.flatMap((segment, index) =>
    index > 0 && segment === "data" ? [segments.toSpliced(index, 1)] : [],
  );
  return [segments, ...places].some((place) => isAllowed(place, applied));
}

function isAllowed(segments: readonly string[], { rule, values }: Applied): boolean {
  return rule.vaultPaths.some((pattern) => pattern.matches(segments, values));
}

function isAmong(patterns: readonly TextPattern[], text: string, values: TemplateValues): boolean {
  return patterns.some((pattern) => pattern.matches(text, values));
}
