// From the zod schemas to the CustomResourceDefinitions in deploy/crds/. Structural schemas, apiextensions.k8s.io/v1.
// The API server must go on accepting whatever both generations of the original's CRDs accepted, so what zod checks
// beyond them (non-empty strings, a spec at all) is left to validate.ts, which reports it on the object itself.
import { stringify } from "yaml";
import { z } from "zod";
import {
  group,
  kmsVaultSecretSpecSchema,
  partialKMSVaultSecretSpecSchema,
  partialStatusSchema,
  statusSchema,
  version,
} from "./kinds.ts";
import { specRules } from "./rules.ts";

/** A generated file: its name inside deploy/crds/ and its whole text. */
export interface RenderedCrd {
  readonly file: string;
  readonly yaml: string;
}

/** The CRDs of both kinds, as they stand in deploy/crds/. */
export function renderCrds(): readonly RenderedCrd[] {
  return kinds.map((definition) => ({
    file: `${group}_${definition.plural}.yaml`,
    yaml: header + stringify(customResourceDefinition(definition), { lineWidth: 0, aliasDuplicateObjects: false }),
  }));
}

const header = "# Generated from src/api/kinds.ts by `make generate`: do not edit.\n---\n";

interface Definition {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortName: string;
  readonly description: string;
  readonly spec: z.ZodType;
  readonly status: z.ZodType;
  /** Rules in CEL on the spec; cheap ones only, the API server refuses a CRD whose estimated cost is too high. */
  readonly rules: readonly CelRule[];
  /** The same on one field, by its path below the spec. */
  readonly fieldRules?: ReadonlyMap<string, readonly CelRule[]>;
  readonly columns: readonly PrinterColumn[];
}

interface CelRule {
  readonly rule: string;
  readonly message: string;
}

interface PrinterColumn {
  readonly name: string;
  readonly type: "string" | "integer" | "date";
  readonly jsonPath: string;
  readonly description?: string;
}

const age: PrinterColumn = { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" };

const kinds: readonly Definition[] = [
  {
    kind: "KMSVaultSecret",
    plural: "kmsvaultsecrets",
    singular: "kmsvaultsecret",
    shortName: "kmsvs",
    description: "A secret in Vault or OpenBao, as KMS-encrypted entries that are safe to keep in git.",
    spec: kmsVaultSecretSpecSchema,
    status: statusSchema,
    rules: [
      {
        rule: "has(self.secrets) || has(self.includeSecrets)",
        message: "one of secrets and includeSecrets is required",
      },
      ...specRules.flatMap(({ cel, field, message }) =>
        "onSpec" in cel ? [{ rule: cel.onSpec, message: `${field} ${message}` }] : [],
      ),
    ],
    fieldRules: new Map([
      // The operator finds this and the rest that is wrong with paths itself (InvalidPath).
      ["path", [{ rule: "!self.matches('(^|/)[.][.](/|$)')", message: 'path must not have a segment ".."' }]],
      ...specRules.flatMap(({ cel, field, message }): [string, CelRule[]][] =>
        "onField" in cel ? [[field, [{ rule: cel.onField, message: `${field} ${message}` }]]] : [],
      ),
    ]),
    columns: [
      {
        name: "Ready",
        type: "string",
        jsonPath: '.status.conditions[?(@.type=="Ready")].status',
        description: "True when Vault holds what the object says.",
      },
      { name: "Reason", type: "string", jsonPath: '.status.conditions[?(@.type=="Ready")].reason' },
      { name: "Path", type: "string", jsonPath: ".spec.path" },
      {
        name: "Version",
        type: "integer",
        jsonPath: ".status.vault.version",
        description: "The version in Vault, on KV v2.",
      },
      {
        name: "Keys",
        type: "integer",
        jsonPath: ".status.keys.synced",
        description: "How many keys stand in Vault as the object says.",
      },
      age,
    ],
  },
  {
    kind: "PartialKMSVaultSecret",
    plural: "partialkmsvaultsecrets",
    singular: "partialkmsvaultsecret",
    shortName: "pkmsvs",
    description: "Entries that KMSVaultSecrets of the same namespace can include; by itself it writes nothing.",
    spec: partialKMSVaultSecretSpecSchema,
    status: partialStatusSchema,
    rules: [],
    columns: [age],
  },
];

function customResourceDefinition(definition: Definition): object {
  const { kind, plural, singular, shortName } = definition;
  const spec = structuralSchema(definition.spec, definition.fieldRules);
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames: [shortName] },
      scope: "Namespaced",
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              description: definition.description,
              type: "object",
              properties: {
                apiVersion: { type: "string" },
                kind: { type: "string" },
                metadata: { type: "object" },
                spec: definition.rules.length === 0 ? spec : { ...spec, "x-kubernetes-validations": definition.rules },
                status: structuralSchema(definition.status),
              },
            },
          },
          subresources: { status: {} },
          additionalPrinterColumns: definition.columns,
        },
      ],
    },
  };
}

/** How server-side apply merges lists: item by item, where the items are named by a field or are all different. */
const listTypes: Readonly<Record<string, Schema>> = {
  secrets: { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["key"] },
  conditions: { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"] },
  includeSecrets: { "x-kubernetes-list-type": "set" },
};

type Schema = Readonly<Record<string, unknown>>;

function structuralSchema(schema: z.ZodType, rules: Definition["fieldRules"] = new Map()): Schema {
  return rewritten(z.toJSONSchema(schema, { target: "openapi-3.0", io: "input" }), { path: [], rules });
}

/** Where in a spec or a status a schema stands; in the items of a list nowhere. */
interface Position {
  readonly path?: readonly string[];
  readonly rules: ReadonlyMap<string, readonly CelRule[]>;
}

/** The schema without what the API server must not check, and with what only Kubernetes knows. */
function rewritten(schema: Schema, { path, rules }: Position): Schema {
  // zod adds the bounds of a double's integers; strings may be empty in objects that exist already.
  const { minLength: _minLength, maximum, properties, items, ...rest } = schema;
  const below = (name: string): Position => ({ ...(path && { path: [...path, name] }), rules });
  const own = rules.get(path?.join(".") ?? "");
  return {
    ...rest,
    ...(maximum !== undefined && maximum !== Number.MAX_SAFE_INTEGER && { maximum }),
    ...(schema.type === "integer" && { format: "int64" }),
    ...(isSchema(properties) && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, value]) => [
          name,
          isSchema(value) ? rewritten(value, below(name)) : value,
        ]),
      ),
    }),
    ...(isSchema(items) && { items: rewritten(items, { rules }) }),
    ...listTypes[path?.at(-1) ?? ""],
    ...(own && { "x-kubernetes-validations": own }),
  };
}

function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
