// The chart's schema says of every value what it is for, and defaults that it would itself accept; values.yaml is what
// it says, and the chart has the version of the program that it starts.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { productVersion } from "../src/version.ts";
import { chartSchema, type ValueSchema, valuesYaml } from "./helm-values.ts";

const chart = join(import.meta.dirname, "..", "helm", "kms-vault-operator");

/** Every group and value, by its name as users write it. */
function everyValue(schema: ValueSchema, path = ""): [name: string, schema: ValueSchema][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, value]): [string, ValueSchema][] => {
    const own = path === "" ? name : `${path}.${name}`;
    return [[own, value], ...everyValue(value, own)];
  });
}

const all = everyValue(chartSchema());
const current = all.filter(([, value]) => value.deprecated !== true);

test("values.yaml holds every value with its default, and no other", () => {
  const values: unknown = parse(valuesYaml());
  const defaults = current.filter(([, value]) => value.properties === undefined);
  expect(defaults.length).toBeGreaterThan(100);
  for (const [name, value] of defaults) expect([name, valueAt(values, name)]).toEqual([name, value.default]);
  expect(namesIn(values, new Set(defaults.map(([name]) => name)))).toEqual(defaults.map(([name]) => name));
});

test("every value is described, in a sentence", () => {
  for (const [name, { description }] of all)
    expect([name, description]).toEqual([name, expect.stringMatching(/^\S.*\.$/)]);
});

test("every group but global, which charts share, refuses what it does not know", () => {
  const groups = current.filter(([, value]) => value.properties !== undefined);
  const open = groups.filter(([, value]) => value.additionalProperties !== false).map(([name]) => name);
  expect(open).toEqual(["global"]);
});

test("chart and program have one version", () => {
  const { version, appVersion } = parse(readFileSync(join(chart, "Chart.yaml"), "utf8")) as Record<string, unknown>;
  expect({ version, appVersion }).toEqual({ version: productVersion, appVersion: productVersion });
});

function valueAt(values: unknown, name: string): unknown {
  return name.split(".").reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], values);
}

/** Names of the values; a value that is a map of its own is not looked into. */
function namesIn(values: unknown, leaves: ReadonlySet<string>, path = ""): string[] {
  return Object.entries(values as Record<string, unknown>).flatMap(([name, value]) => {
    const own = path === "" ? name : `${path}.${name}`;
    const isGroup = !leaves.has(own) && typeof value === "object" && value !== null;
    return isGroup ? namesIn(value, leaves, own) : [own];
  });
}
