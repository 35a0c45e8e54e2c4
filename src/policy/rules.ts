// The rules of a policy file: what may stand in it, checked strictly and wholly. A field that is misspelt, empty or
// there twice is a problem, never a rule that lets more through than was meant.
import { z } from "zod";
import { vaultAuthMethods } from "../api/kinds.ts";
import { labelKey, PathPattern, PatternError, TextPattern } from "./pattern.ts";

/** One thing that is wrong, and where. */
export interface RuleProblem {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

const text = z.string().min(1);
const texts = z.array(pattern((source) => new TextPattern(source)));

const namespaceName = text
  .regex(/^[a-z0-9*-]+$/, { error: "must be the name of a namespace, in which * stands for any run of characters" })
  .pipe(pattern((source) => new TextPattern(source)));

const labels = z.record(
  z.string().regex(labelKey, { error: "must be the key of a label" }),
  z.string().regex(/^(\*|[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?|)$/, {
    error: "must be the value of a label, or * for any that is not empty",
  }),
);

const vaultPath = pattern((source) => {
  const path = new PathPattern(source);
  if (path.length < 2 && source !== "**") throw new PatternError("name a path below a mount: secret/team/**");
  return path;
});

const vaultNamespace = pattern((source) => (source === "" ? undefined : new PathPattern(source)));

/** A `*` among others would be promised to AWS, which knows no patterns. */
const kmsKey = pattern((source) => {
  if (source !== "*" && source.includes("*")) throw new PatternError("be one key, or * alone for any");
  return new TextPattern(source);
});

const rule = z.strictObject({
  name: text,
  namespaces: z
    .strictObject({
      names: z.array(namespaceName).min(1).optional(),
      labels: labels.refine((given) => Object.keys(given).length > 0, { error: "must not be empty" }).optional(),
    })
    .optional(),
  vaultPaths: z.array(vaultPath),
  vaultNamespaces: z.array(vaultNamespace).optional(),
  authMethods: z.array(z.enum(vaultAuthMethods)).optional(),
  vaultRoles: texts.optional(),
  serviceAccounts: texts.optional(),
  kmsKeys: z.array(kmsKey).optional(),
  kmsRoleArns: texts.optional(),
  require: z
    .strictObject({
      bindContext: z.enum(["None", "Namespace", "Object", "Key"]).optional(),
      serviceAccountRef: z.boolean().optional(),
    })
    .optional(),
});

const policy = z.strictObject({ rules: z.array(rule) });

/** One rule, its patterns taken apart. */
export type Rule = z.infer<typeof rule>;

/** @param document what the file says, as plain data */
export function checkRules(
  document: unknown,
): { readonly rules: readonly Rule[] } | { readonly problems: readonly RuleProblem[] } {
  const parsed = policy.safeParse(document);
  const issues = parsed.success ? [] : parsed.error.issues.flatMap(problemsOf);
  const problems = [...issues, ...duplicatesIn(document)];
  return parsed.success && problems.length === 0 ? { rules: parsed.data.rules } : { problems };
}

/** Whether a rule can be judged only by somebody who knows the labels of namespaces. */
export function usesLabels({ namespaces, ...rest }: Rule): boolean {
  const paths = [...rest.vaultPaths, ...(rest.vaultNamespaces ?? [])];
  const others = [rest.vaultRoles, rest.serviceAccounts, rest.kmsKeys, rest.kmsRoleArns].flatMap((list) => list ?? []);
  return namespaces?.labels !== undefined || [...paths, ...others].some((one) => one?.usesLabels === true);
}

function pattern<T>(compile: (source: string) => T) {
  return z.string().transform((source, context): T => {
    try {
      return compile(source);
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      context.addIssue({ code: "custom", message: `must ${error.message}` });
      return z.NEVER;
    }
  });
}

/** Our own words: zod's differ between its versions. */
function problemsOf(issue: z.core.$ZodIssue): readonly RuleProblem[] {
  const { path } = issue;
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ path: [...path, key], message: "is not a field that is known here" }));
  }
  return [{ path, message: messageOf(issue) }];
}

function messageOf(issue: Exclude<z.core.$ZodIssue, { code: "unrecognized_keys" }>): string {
  if (issue.code === "invalid_type") return `must be ${typeNames[issue.expected] ?? `a ${issue.expected}`}`;
  if (issue.code === "invalid_value") return `must be one of ${issue.values.map(String).join(", ")}`;
  if (issue.code === "too_small") return "must not be empty";
  return (issue.code === "invalid_key" ? issue.issues[0]?.message : undefined) ?? issue.message;
}

const typeNames: Readonly<Record<string, string>> = {
  string: "a text",
  array: "a list",
  object: "a map",
  record: "a map",
  boolean: "true or false",
};

function duplicatesIn(document: unknown): readonly RuleProblem[] {
  const rules = fieldsOf(document)["rules"];
  if (!Array.isArray(rules)) return [];
  const names = rules.map((one): unknown => fieldsOf(one)["name"]);
  return [
    ...repeated(names).map((index) => ({ path: ["rules", index, "name"], message: "is the name of another rule too" })),
    ...rules.flatMap((one, index) => {
      const fields = { ...fieldsOf(one), names: fieldsOf(fieldsOf(one)["namespaces"])["names"] };
      return Object.entries(fields).flatMap(([field, list]) => {
        const place = field === "names" ? ["rules", index, "namespaces", "names"] : ["rules", index, field];
        const found = Array.isArray(list) ? repeated(list) : [];
        return found.map((at) => ({ path: [...place, at], message: "stands in the list twice" }));
      });
    }),
  ];
}

/** Indexes of the texts that stand before them already. */
function repeated(values: readonly unknown[]): readonly number[] {
  return values.flatMap((value, index) => (typeof value === "string" && values.indexOf(value) < index ? [index] : []));
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}
