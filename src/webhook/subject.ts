// An object under review, as far as it can be read: whatever is wrong with one field, the others are looked at all the
// same, so that everything that is wrong is said at once.
import {
  type Entry,
  entrySchema,
  type KMSVaultSecretSpec,
  kmsVaultSecretSpecSchema,
  partialKMSVaultSecretSpecSchema,
} from "../api/kinds.ts";
import { type Problem, validateKMSVaultSecret, validatePartialKMSVaultSecret } from "../api/validate.ts";
import { type ResolvedEntry, resolveSource } from "../sync/resolve.ts";

/** The kinds that are reviewed. */
export const kinds = ["KMSVaultSecret", "PartialKMSVaultSecret"] as const;
export type Kind = (typeof kinds)[number];

/** One object. */
export interface Subject {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
  /** As it came. */
  readonly rawSpec: Readonly<Record<string, unknown>> | undefined;
  /** Its fields that are well-formed; of the entries those that are. A Partial has a few of them only. */
  readonly spec: Partial<KMSVaultSecretSpec>;
  /** What the schema and the rules between fields have against it. */
  readonly problems: readonly Problem[];
}

/** Who the object is: a review knows it, also where the object itself has no name yet. */
export type Identity = Pick<Subject, "kind" | "namespace" | "name">;

/** Reads anything. */
export function readSubject(object: unknown, identity: Identity): Subject {
  const { kind, namespace, name } = identity;
  const rawSpec = mapAt(object, "spec");
  const isSecret = kind === "KMSVaultSecret";
  const schema = isSecret ? kmsVaultSecretSpecSchema : partialKMSVaultSecretSpecSchema;
  const named = { metadata: { name, namespace }, ...(rawSpec && { spec: rawSpec }) };
  const validated = isSecret ? validateKMSVaultSecret(named) : validatePartialKMSVaultSecret(named);
  return {
    ...identity,
    rawSpec,
    spec: { ...wellFormed(schema.shape, rawSpec ?? {}), secrets: entriesOf(rawSpec?.secrets) },
    problems: "invalid" in validated ? validated.invalid.problems : [],
  };
}

/** The object's own entries, as they are decrypted; a Partial's as far as it says itself. */
export function ownEntries({ kind, namespace, name, spec }: Subject): ResolvedEntry[] {
  const source = { entries: spec.secrets ?? [], contexts: [spec.secretContext] };
  return resolveSource(source, { metadata: { namespace, name }, spec: kind === "KMSVaultSecret" ? spec : {} });
}

/** The map that stands in a field of a map; undefined when there is none. */
export function mapAt(value: unknown, field: string): Readonly<Record<string, unknown>> | undefined {
  const inner = isMap(value) ? value[field] : undefined;
  return isMap(inner) ? inner : undefined;
}

/** The text that stands in a field of a map; "" when there is none. */
export function textAt(value: unknown, field: string): string {
  const inner = isMap(value) ? value[field] : undefined;
  return typeof inner === "string" ? inner : "";
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

type Shape = (typeof kmsVaultSecretSpecSchema | typeof partialKMSVaultSecretSpecSchema)["shape"];

function wellFormed(shape: Shape, spec: Readonly<Record<string, unknown>>): Partial<KMSVaultSecretSpec> {
  const fields = Object.entries(shape).flatMap(([name, schema]): [string, unknown][] => {
    const parsed = schema.safeParse(spec[name]);
    return parsed.success && parsed.data !== undefined ? [[name, parsed.data]] : [];
  });
  return Object.fromEntries(fields);
}

function entriesOf(secrets: unknown): Entry[] {
  if (!Array.isArray(secrets)) return [];
  return secrets.flatMap((entry: unknown): Entry[] => {
    const parsed = entrySchema.safeParse(entry);
    return parsed.success ? [parsed.data] : [];
  });
}
