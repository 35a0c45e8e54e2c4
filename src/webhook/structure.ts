// What is wrong with an object as it stands, without asking anybody: always checked, also while KMS is down. Old objects
// may break a rule that is younger than they are; what an edit does not touch does not stand in its way.
import { reservedKeyOf } from "../api/binding.ts";
import { asOperatorError, OperatorError } from "../base/errors.ts";
import type { Provider } from "../kms/cipher.ts";
import { askedOf } from "../policy/asked.ts";
import type { TenancyPolicy } from "../policy/policy.ts";
import { reservedContextKey } from "../sync/decrypt.ts";
import { ownEntries, type Subject } from "./subject.ts";

/** The rules that other parts of the product know. */
export interface StructureRules {
  /** @throws OperatorError `InvalidPath` */
  readonly assertPath: (path: string) => unknown;
  /** @throws OperatorError `DecodingError` or `DecryptingError`: the text is no ciphertext of its key service */
  readonly assertCiphertext: (encryptedSecret: string, provider: Provider | undefined) => void;
  readonly policy: TenancyPolicy;
}

/** One thing that is wrong. */
export interface Finding {
  /** For people; holds no value and no ciphertext. */
  readonly text: string;
  /** The same in two versions of an object when the edit between them did not touch it. Never shown. */
  readonly identity: string;
}

/** Everything that is wrong with an object. */
export interface Structure {
  readonly findings: readonly Finding[];
  /** Keys of entries that are among them: there is nothing to decrypt. */
  readonly badKeys: ReadonlySet<string>;
  /** The policy refuses the object: nothing is asked in its name. */
  readonly isRefused: boolean;
  /** What could not be found out. */
  readonly unknown: readonly OperatorError[];
}

/** Pure but for what the policy knows. */
export function structureOf(subject: Subject, rules: StructureRules): Structure {
  const refusals = policyRefusals(subject, rules.policy);
  const entries = badEntries(subject, rules);
  return {
    findings: [
      ...subject.problems.map(({ field, message }) => finding(`${field}: ${message}`)),
      ...pathFindings(subject, rules),
      ...contextFindings(subject),
      ...entries.flatMap(({ findings }) => findings),
      ...refusals.found.map((refusal) => policyFinding(`PolicyDenied: ${refusal}`, subject)),
    ],
    badKeys: new Set(entries.map(({ key }) => key)),
    isRefused: refusals.found.length > 0,
    unknown: refusals.unknown,
  };
}

/**
 * Divides what is wrong now into what the edit brought and what was so before. What stands in a list may have moved
 * there; how often something is wrong counts.
 */
export function sinceBefore(
  now: readonly Finding[],
  before: readonly Finding[],
): Record<"fresh" | "former", Finding[]> {
  const known = new Map<string, number>();
  for (const { identity } of before) known.set(identity, (known.get(identity) ?? 0) + 1);
  const fresh: Finding[] = [];
  const former: Finding[] = [];
  for (const found of now) {
    const left = known.get(found.identity) ?? 0;
    known.set(found.identity, left - 1);
    (left > 0 ? former : fresh).push(found);
  }
  return { fresh, former };
}

/** The contract's words for an entry that failed, the reason after them. They name both kinds KMSVaultSecret. */
export function entryText({ name }: Pick<Subject, "name">, key: string, error: OperatorError): string {
  const verb = error.code === "DecodingError" ? "decoding" : "decrypting";
  return `Error ${verb} key ${key} in KMSVaultSecret ${name}: ${error.message}`;
}

function finding(text: string): Finding {
  return { text, identity: text.replaceAll(/\[\d+\]/g, "[]") };
}

/** A refusal does not say what was asked for; whoever asks for something else is refused anew. */
function policyFinding(text: string, { rawSpec }: Subject): Finding {
  return { text, identity: JSON.stringify([text, askedOf(rawSpec)]) };
}

function pathFindings({ kind, spec, problems }: Subject, { assertPath }: StructureRules): Finding[] {
  const isSaid = problems.some(({ field }) => field === "spec.path");
  if (kind !== "KMSVaultSecret" || spec.path === undefined || isSaid) return [];
  const error = caught(() => assertPath(spec.path ?? ""));
  return error === undefined ? [] : [finding(`${error.code}: ${error.message}`)];
}

/** In any of them, used or not. */
function contextFindings({ spec }: Subject): Finding[] {
  const contexts = [
    { where: "spec.secretContext", context: spec.secretContext },
    ...(spec.secrets ?? []).map(({ key, secretContext }) => ({ where: `key ${key}`, context: secretContext })),
  ];
  return contexts.flatMap(({ where, context = {} }) => {
    const error = reservedContextKey(reservedKeyOf(context));
    return error === undefined ? [] : [finding(`${error.code}: ${where}: ${error.message}`)];
  });
}

/** Those with nothing to decrypt, and what is to be said of them that contextFindings does not say. */
function badEntries(
  subject: Subject,
  rules: StructureRules,
): { readonly key: string; readonly findings: readonly Finding[] }[] {
  return ownEntries(subject).flatMap(({ key, encryptedSecret, empty, reservedKey }) => {
    if (empty) return [];
    const malformed = caught(() => rules.assertCiphertext(encryptedSecret, subject.spec.provider));
    if (malformed === undefined) return reservedKey === undefined ? [] : [{ key, findings: [] }];
    const text = entryText(subject, key, malformed);
    return [{ key, findings: [{ text, identity: JSON.stringify([text, encryptedSecret]) }] }];
  });
}

function policyRefusals(
  { kind, namespace, rawSpec }: Subject,
  policy: TenancyPolicy,
): { readonly found: readonly string[]; readonly unknown: readonly OperatorError[] } {
  // A Partial asks for nothing by itself: the objects that include it do.
  if (kind !== "KMSVaultSecret") return { found: [], unknown: [] };
  try {
    return { found: policy.refusals({ namespace, spec: rawSpec }), unknown: [] };
  } catch (error) {
    if (error instanceof OperatorError) return { found: [], unknown: [error] };
    throw error;
  }
}

function caught(check: () => unknown): OperatorError | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    return asOperatorError(error);
  }
}
