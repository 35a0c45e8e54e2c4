import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { renderCrds } from "./crd.ts";

interface Schema {
  readonly type?: string;
  readonly properties?: Record<string, Schema>;
  readonly items?: Schema;
  readonly [key: string]: unknown;
}

const crds = renderCrds().map(({ file, yaml }) => ({ file, crd: parse(yaml) }));

function schemaOf(crd: { spec: { versions: { schema: { openAPIV3Schema: Schema } }[] } }): Schema {
  return crd.spec.versions[0]?.schema.openAPIV3Schema ?? {};
}

function* everySchema(schema: Schema): Generator<Schema> {
  yield schema;
  for (const child of Object.values(schema.properties ?? {})) yield* everySchema(child);
  if (schema.items !== undefined) yield* everySchema(schema.items);
}

test("names are the contract's", () => {
  expect(crds.map(({ file, crd }) => [file, crd.metadata.name, crd.spec.names.shortNames, crd.spec.scope])).toEqual([
    ["k8s.patoarvizu.dev_kmsvaultsecrets.yaml", "kmsvaultsecrets.k8s.patoarvizu.dev", ["kmsvs"], "Namespaced"],
    [
      "k8s.patoarvizu.dev_partialkmsvaultsecrets.yaml",
      "partialkmsvaultsecrets.k8s.patoarvizu.dev",
      ["pkmsvs"],
      "Namespaced",
    ],
  ]);
});

describe.each(crds)("$file", ({ crd }) => {
  test("is structural: a type everywhere, no references, no alternatives", () => {
    const schemas = [...everySchema(schemaOf(crd))];
    expect(schemas.length).toBeGreaterThan(8);
    for (const schema of schemas) {
      expect(schema.type).toBeTypeOf("string");
      for (const word of ["$ref", "oneOf", "anyOf", "allOf", "$schema", "id"]) expect(schema).not.toHaveProperty(word);
      expect(schema.additionalProperties).not.toBe(false);
    }
  });

  test("refuses nothing that the original's CRDs accepted for being empty or large", () => {
    for (const schema of everySchema(schemaOf(crd))) {
      for (const word of ["minLength", "maximum", "maxLength", "minItems", "maxItems"]) {
        expect(schema).not.toHaveProperty(word);
      }
    }
    expect(schemaOf(crd)).not.toHaveProperty("required");
  });

  test("secrets are a map by key", () => {
    expect(schemaOf(crd).properties?.spec?.properties?.secrets).toMatchObject({
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["key"],
      items: { required: ["key"] },
    });
  });

  test("has the status subresource", () => {
    expect(crd.spec.versions[0].subresources).toEqual({ status: {} });
  });
});

test("includeSecrets is a set, as in the last version's CRD", () => {
  expect(schemaOf(crds[0]?.crd).properties?.spec?.properties?.includeSecrets).toMatchObject({
    "x-kubernetes-list-type": "set",
  });
});

test("printer columns", () => {
  const columns = crds[0]?.crd.spec.versions[0].additionalPrinterColumns;
  expect(columns.map(({ name }: { name: string }) => name)).toEqual([
    "Ready",
    "Reason",
    "Path",
    "Version",
    "Keys",
    "Age",
  ]);
});
