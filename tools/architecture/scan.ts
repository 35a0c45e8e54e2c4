// What one source file imports and which globals it uses, read from its syntax tree: comments and strings do not count,
// type imports, re-exports and dynamic imports do.
import { parseSync } from "oxc-parser";

/** One import, export-from, dynamic import or `import("…")` type. */
export interface Import {
  readonly specifier: string;
  /** True when nothing of it is left at run time. */
  readonly typeOnly: boolean;
  readonly line: number;
}

/** One use of a global that rules speak of: `process.env`, `Date.now`, `new Date` (without arguments), `setTimeout`. */
interface Use {
  readonly name: string;
  readonly line: number;
}

export interface Scan {
  readonly imports: readonly Import[];
  readonly uses: readonly Use[];
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly [key: string]: unknown;
}

/**
 * Scans TypeScript source.
 * @throws Error when it cannot be parsed, so that a broken file never passes as one without imports
 */
export function scan(file: string, source: string): Scan {
  const { program, errors } = parseSync(file, source);
  const [error] = errors;
  if (error !== undefined) throw new Error(`${file} cannot be parsed: ${error.message}`);
  const imports: Import[] = [];
  const uses: Use[] = [];
  const lineOf = (node: Node) => source.slice(0, node.start).split("\n").length;
  walk(program as unknown as Node, (node) => {
    const imported = importOf(node);
    if (imported !== undefined) imports.push({ ...imported, line: lineOf(node) });
    const used = useOf(node);
    if (used !== undefined) uses.push({ name: used, line: lineOf(node) });
  });
  return { imports, uses };
}

function walk(node: Node, visit: (node: Node) => void): void {
  visit(node);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (isNode(child)) walk(child, visit);
    }
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as Node).type === "string";
}

function importOf(node: Node): Omit<Import, "line"> | undefined {
  const specifier = stringOf(node["source"]);
  if (specifier === undefined) return undefined;
  switch (node.type) {
    case "ImportDeclaration":
      return { specifier, typeOnly: node["importKind"] === "type" || allTypes(node["specifiers"], "importKind") };
    case "ExportNamedDeclaration":
      return { specifier, typeOnly: node["exportKind"] === "type" || allTypes(node["specifiers"], "exportKind") };
    case "ExportAllDeclaration":
      return { specifier, typeOnly: node["exportKind"] === "type" };
    case "ImportExpression":
      return { specifier, typeOnly: false };
    case "TSImportType":
      return { specifier, typeOnly: true };
    default:
      return undefined;
  }
}

/** `import { type A, type B }`; `import "x"` and `import {} from "x"` run the module and are no types. */
function allTypes(specifiers: unknown, kind: "importKind" | "exportKind"): boolean {
  return Array.isArray(specifiers) && specifiers.length > 0 && specifiers.every((each: Node) => each[kind] === "type");
}

const globalFunctions = new Set(["setTimeout", "setInterval", "fetch"]);
const globalObjects = new Set(["process", "Date", "performance", "AbortSignal"]);

function useOf(node: Node): string | undefined {
  if (node.type === "MemberExpression") {
    const object = nameOf(node["object"]);
    const property = node["computed"] === true ? stringOf(node["property"]) : nameOf(node["property"]);
    if (object !== undefined && property !== undefined && globalObjects.has(object)) return `${object}.${property}`;
    if (object === "globalThis" && property !== undefined) return property;
  }
  if (node.type === "CallExpression") {
    const callee = nameOf(node["callee"]);
    if (callee !== undefined && globalFunctions.has(callee)) return callee;
  }
  if (node.type === "NewExpression" && nameOf(node["callee"]) === "Date") {
    return (node["arguments"] as unknown[]).length === 0 ? "new Date" : undefined;
  }
  // const { env } = process
  if (node.type === "VariableDeclarator" && nameOf(node["init"]) === "process") return "process.env";
  return undefined;
}

function nameOf(value: unknown): string | undefined {
  return isNode(value) && value.type === "Identifier" ? String(value["name"]) : undefined;
}

function stringOf(value: unknown): string | undefined {
  return isNode(value) && value.type === "Literal" && typeof value["value"] === "string" ? value["value"] : undefined;
}
