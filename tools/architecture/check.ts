// Compares what a file of src uses with the rules: pure, so that the rules themselves are tested by examples.
import { posix } from "node:path";
import { type FolderRule, folderRules, type Reserved, reserved } from "./rules.ts";
import { type Import, scan } from "./scan.ts";

/** One broken rule. */
export interface Violation {
  /** Relative to the repository, `src/sync/plan.ts`. */
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

/**
 * Checks one file.
 * @param file relative to src, `sync/plan.ts`
 */
export function checkFile(file: string, source: string): Violation[] {
  if (posix.basename(file) === "index.ts") return [violation(file, 1, "there are no index.ts: import the file itself")];
  const { imports, uses } = scan(file, source);
  const isTest = file.endsWith(".test.ts");
  const violations = imports.flatMap((imported) => checkImport(file, isTest, imported));
  // Tests may use what they like; only what is shipped has owners.
  if (isTest) return violations;
  const found = [
    ...imports.map(({ specifier, typeOnly, line }) => ({ name: specifier, typeOnly, line })),
    ...uses.map(({ name, line }) => ({ name, typeOnly: false, line })),
  ];
  return [
    ...violations,
    ...found.flatMap(({ name, typeOnly, line }) =>
      reserved
        .filter((rule) => isBroken(rule, file, name, typeOnly))
        .map((rule) => violation(file, line, `${name}: ${rule.what} is for ${ownersOf(rule)}`)),
    ),
  ];
}

function checkImport(file: string, isTest: boolean, { specifier, typeOnly, line }: Import): Violation[] {
  if (!specifier.startsWith(".")) return [];
  const target = posix.join(posix.dirname(file), specifier);
  if (!specifier.endsWith(".ts") && !specifier.endsWith(".json")) {
    return [violation(file, line, `${specifier}: local imports carry the .ts extension`)];
  }
  if (isTest) return [];
  if (target.endsWith(".test.ts")) return [violation(file, line, `${specifier}: a test is not imported`)];
  if (target.startsWith("..")) {
    // package.json tells the version; anything else outside src is not shipped.
    return target === "../package.json" ? [] : [violation(file, line, `${specifier}: outside src`)];
  }
  const [from, to] = [folderOf(file), folderOf(target)];
  if (from === to) return [];
  const rule = folderRules[from];
  if (rule === undefined) return [violation(file, line, `${from}/ is no folder that the architecture knows`)];
  if (rule.values.includes(to) || (typeOnly && rule.types?.includes(to))) return [];
  const kind = rule.types?.includes(to) ? "values" : "anything";
  return [violation(file, line, `${from} may not import ${kind} from ${to} (${allowance(rule)})`)];
}

function allowance({ values, types = [] }: FolderRule): string {
  const may = [...values, ...types.map((name) => `types of ${name}`)];
  return may.length === 0 ? "it imports nothing of ours" : `it may: ${may.join(", ")}`;
}

/** `sync` for sync/plan.ts; `operator.ts` or `root` for files directly in src. */
function folderOf(file: string): string {
  const slash = file.indexOf("/");
  if (slash >= 0) return file.slice(0, slash);
  return Object.hasOwn(folderRules, file) ? file : "root";
}

function isBroken(rule: Reserved, file: string, name: string, typeOnly: boolean): boolean {
  if (!rule.pattern.test(name) || (typeOnly && rule.alsoTypes !== true)) return false;
  if (rule.within !== undefined && !file.startsWith(rule.within)) return false;
  return !rule.allowed.some((owner) => (owner.endsWith("/") ? file.startsWith(owner) : file === owner));
}

function ownersOf({ allowed, within }: Reserved): string {
  if (allowed.length === 0) return `no file in ${within ?? "src"}`;
  return `${allowed.join(", ")} alone${within === undefined ? "" : ` (in ${within})`}`;
}

function violation(file: string, line: number, message: string): Violation {
  return { file: `src/${file}`, line, message };
}
