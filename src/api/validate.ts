// The way in for objects as the API server returns them. The spec is checked wholly and every problem is listed at
// once; the metadata is the API server's own and is only narrowed; a status is a hint that anyone may have edited, so
// a malformed one counts as absent. Problems name fields and never quote what stands in them.
import { z } from "zod";
import {
  type KMSVaultSecret,
  kmsVaultSecretSpecSchema,
  type Meta,
  type PartialKMSVaultSecret,
  partialKMSVaultSecretSpecSchema,
  type Status,
  statusSchema,
} from "./kinds.ts";
import { specRules } from "./rules.ts";

/** One thing that is wrong with an object. */
export interface Problem {
  /** As in manifests: `spec.secrets[3].key`. */
  readonly field: string;
  /** What is wrong there, in words that hold no value. */
  readonly message: string;
}

/** An object that cannot be worked with, and what can still be said of it: its deletion needs no valid spec. */
export interface Invalid {
  readonly problems: readonly [Problem, ...Problem[]];
  readonly metadata: Meta;
  readonly status?: Status;
}

/** A valid object, or everything that is wrong with it. */
export type Validated<T> = { readonly valid: T } | { readonly invalid: Invalid };

/**
 * @param object a KMSVaultSecret as the API server returned it
 * @throws TypeError when it has no metadata with a name: that is no Kubernetes object
 */
export function validateKMSVaultSecret(object: unknown): Validated<KMSVaultSecret> {
  const metadata = metaOf(object);
  const status = statusOf(object);
  const spec = check(kmsVaultSecretSpecSchema, object);
  const rest = { metadata, ...(status && { status }) };
  if (!spec.success) return { invalid: { ...rest, problems: spec.problems } };
  const broken = specRules.filter(({ holds }) => !holds(spec.data));
  const [first, ...others] = broken.map(({ field, message }) => ({ field: `spec.${field}`, message }));
  return first === undefined
    ? { valid: { ...rest, spec: spec.data } }
    : { invalid: { ...rest, problems: [first, ...others] } };
}

/**
 * @param object a PartialKMSVaultSecret as the API server returned it
 * @throws TypeError when it has no metadata with a name: that is no Kubernetes object
 */
export function validatePartialKMSVaultSecret(object: unknown): Validated<PartialKMSVaultSecret> {
  const metadata = metaOf(object);
  const spec = check(partialKMSVaultSecretSpecSchema, object);
  return spec.success ? { valid: { metadata, spec: spec.data } } : { invalid: { metadata, problems: spec.problems } };
}

/** Problems as one line for a condition or a refusal; the first ones when there are very many. */
export function describeProblems(problems: readonly Problem[]): string {
  const shown = problems.slice(0, 20).map(({ field, message }) => `${field}: ${message}`);
  const rest = problems.length > shown.length ? `; and ${problems.length - shown.length} more problems` : "";
  return shown.join("; ") + rest;
}

const metaSchema = z.object({
  name: z.string(),
  namespace: z.string().default(""),
  uid: z.string().default(""),
  generation: z.number().default(0),
  creationTimestamp: z.string().default(""),
  deletionTimestamp: z.string().exactOptional(),
  finalizers: z.array(z.string()).exactOptional(),
  annotations: z.record(z.string(), z.string()).exactOptional(),
});

/** @throws TypeError when there is no name: everything else of the metadata may be missing in a dry run. */
function metaOf(object: unknown): Meta {
  const parsed = metaSchema.safeParse(fieldOf(object, "metadata"));
  if (parsed.success) return parsed.data;
  const fields = problemsOf(parsed.error, "metadata").map(({ field }) => field);
  throw new TypeError(`not a Kubernetes object: ${fields.join(", ")}`);
}

function statusOf(object: unknown): Status | undefined {
  const parsed = statusSchema.safeParse(fieldOf(object, "status"));
  return parsed.success ? parsed.data : undefined;
}

type Checked<T> =
  | { readonly success: true; readonly data: T }
  | { readonly success: false; readonly problems: readonly [Problem, ...Problem[]] };

function check<T>(schema: z.ZodType<T>, object: unknown): Checked<T> {
  const spec = fieldOf(object, "spec");
  if (spec === undefined) return { success: false, problems: [{ field: "spec", message: "is required" }] };
  const parsed = schema.safeParse(spec);
  if (parsed.success) return { success: true, data: parsed.data };
  const [first, ...others] = problemsOf(parsed.error, "spec");
  const unexplained = { field: "spec", message: "is not valid" };
  return { success: false, problems: [first ?? unexplained, ...others] };
}

function problemsOf(error: z.ZodError, root: string): Problem[] {
  return error.issues.map((issue) => ({ field: fieldPath([root, ...issue.path]), message: messageOf(issue) }));
}

/** Our own words for what can happen in our schemas: zod's differ between its versions. */
function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_type") return `must be ${nameOfType(issue.expected)}`;
  if (issue.code === "invalid_value") return `must be one of ${issue.values.map(String).join(", ")}`;
  if (issue.code === "too_small") {
    return issue.origin === "string" ? "must not be empty" : `must be at least ${issue.minimum}`;
  }
  if (issue.code === "invalid_format" || issue.code === "custom") return issue.message;
  if (issue.code === "too_big") return `must be at most ${issue.maximum}`;
  return "is not valid";
}

function nameOfType(expected: string): string {
  switch (expected) {
    case "int":
      return "an integer";
    case "array":
      return "a list";
    case "object":
    case "record":
      return "a map";
    default:
      return `a ${expected}`;
  }
}

function fieldPath(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`))
    .join("")
    .slice(1);
}

function fieldOf(object: unknown, field: string): unknown {
  return isMap(object) ? object[field] : undefined;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
