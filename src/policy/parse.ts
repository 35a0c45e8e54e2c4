// From the text of a policy file to its rules, or to everything that is wrong with it, with its place in the file.
// Apart from the rest because it brings the YAML library, which a process without a policy has no use for.
import { type Document, isNode, LineCounter, parseDocument } from "yaml";
import { checkRules, type Rule, type RuleProblem } from "./rules.ts";

/** The rules, or what is wrong, one line each: `line 3, rules[0].name: must not be empty`. */
export type ParsedPolicy = { readonly rules: readonly Rule[] } | { readonly problems: readonly string[] };

/** @param text YAML or JSON */
export function parsePolicy(text: string): ParsedPolicy {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, strict: true });
  const broken = [...document.errors, ...document.warnings];
  if (broken.length > 0) {
    return { problems: broken.map(({ pos, message }) => `line ${lines.linePos(pos[0]).line}: ${message}`) };
  }
  if (document.contents === null) return { problems: ["is empty; to deny everything write rules: []"] };
  let value: unknown;
  try {
    value = document.toJS();
  } catch (error) {
    // Aliases of aliases, too many to be followed.
    return { problems: [error instanceof Error ? error.message : "cannot be read"] };
  }
  const checked = checkRules(value);
  return "rules" in checked ? checked : { problems: checked.problems.map((one) => explain(one, document, lines)) };
}

function explain({ path, message }: RuleProblem, document: Document, lines: LineCounter): string {
  const line = lines.linePos(offsetOf(path, document)).line;
  return `line ${line}${path.length === 0 ? "" : `, ${fieldPath(path)}`}: ${message}`;
}

/** Of what stands at a path, or of what it should stand in. */
function offsetOf(path: readonly PropertyKey[], document: Document): number {
  for (let length = path.length; length >= 0; length -= 1) {
    const node: unknown = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
}

function fieldPath(path: readonly PropertyKey[]): string {
  const parts = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`));
  return parts.join("").replace(/^\./, "");
}
