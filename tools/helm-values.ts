// values.yaml of the chart, written from values.schema.json: the schema holds every value's description and default, so
// that what Helm checks, what readers see and what the reference lists cannot differ.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";

/** What the chart's schema says of one value, or of a group of them. */
export interface ValueSchema {
  readonly description: string;
  /** Of a group: the values in it. */
  readonly properties?: Readonly<Record<string, ValueSchema>>;
  /** Of a value. */
  readonly default?: unknown;
  /** Of a value: what somebody might write. */
  readonly examples?: readonly unknown[];
  /** True: of an earlier chart, known only so that the refusal can say what to write instead. */
  readonly deprecated?: boolean;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  /** Of a group: false, or whether there may be others. */
  readonly additionalProperties?: unknown;
}

const schemaFile = join(import.meta.dirname, "..", "helm", "kms-vault-operator", "values.schema.json");
const lineWidth = 120;

/** The chart's schema. */
export function chartSchema(): ValueSchema {
  return JSON.parse(readFileSync(schemaFile, "utf8")) as ValueSchema;
}

/** The text of values.yaml. */
export function valuesYaml(): string {
  const head = "# Generated from values.schema.json by `make generate`: do not edit.\n";
  return `${head}${linesOf(chartSchema(), "").join("\n")}\n`;
}

/** The text of a list of the values and groups that must not be null, for the chart's templates: `tls.mountPath`. */
export function requiredValues(): string {
  const head = "# Generated from values.schema.json by `make generate`: do not edit.\n";
  return `${head}${stringify(namesOfRequired(chartSchema(), ""))}`;
}

function namesOfRequired({ properties }: ValueSchema, prefix: string): string[] {
  return Object.entries(properties ?? {}).flatMap(([name, value]) => {
    if (value.deprecated === true) return [];
    const own = `${prefix}${name}`;
    if (value.properties === undefined) return isNullable(value) ? [] : [own];
    const inner = namesOfRequired(value, `${own}.`);
    // Whatever must be there in a group stands for the group as well.
    return inner.length > 0 ? inner : [own];
  });
}

/** A list may be: without one, none is meant. The Go operator's chart had it so. */
function isNullable({ type = [], enum: values }: ValueSchema): boolean {
  return values?.includes(null) ?? [type].flat().some((one) => one === "null" || one === "array");
}

function linesOf(group: ValueSchema, indent: string): string[] {
  const values = Object.entries(group.properties ?? {}).filter(([, value]) => value.deprecated !== true);
  return values.flatMap(([name, value]) => {
    const comment = [...(indent === "" ? [""] : []), ...commentOf(value.description, indent)];
    if (value.properties) return [...comment, `${indent}${name}:`, ...linesOf(value, `${indent}  `)];
    return [...comment, ...yamlLines({ [name]: value.default }, indent), ...exampleLines(name, value, indent)];
  });
}

function exampleLines(name: string, { examples }: ValueSchema, indent: string): string[] {
  if (examples === undefined) return [];
  return ["# Example:", ...yamlLines({ [name]: examples[0] }, "# ")].map((line) => `${indent}${line}`);
}

function yamlLines(value: unknown, indent: string): string[] {
  const text = stringify(value, { lineWidth: 0, nullStr: "null" }).trimEnd();
  return text.split("\n").map((line) => `${indent}${line}`);
}

function commentOf(text: string, indent: string): string[] {
  const lines = [`${indent}#`];
  for (const word of text.split(" ")) {
    const last = lines.at(-1) ?? "";
    if (last.length + word.length + 1 > lineWidth) lines.push(`${indent}# ${word}`);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
