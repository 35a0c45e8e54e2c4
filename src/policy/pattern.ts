// Patterns of the policy file. They are taken apart once, when the file is read; what a template puts in later stands
// among the parts as a text of its own, so that no namespace and no label can widen a pattern. Compared are exact
// texts: no case is folded, no Unicode form is changed.

/** What templates put in. */
export interface TemplateValues {
  readonly namespace: string;
  /**
   * A label of that namespace; undefined when it is not there.
   * @throws OperatorError `KubernetesError` when its labels are not known
   */
  readonly label: (key: string) => string | undefined;
}

type Part =
  | { readonly kind: "text"; readonly text: string }
  /** `*`: any run of characters. */
  | { readonly kind: "any" }
  | { readonly kind: "namespace" }
  | { readonly kind: "label"; readonly key: string };

/** What is wrong with a pattern, in words to go behind "must". */
export class PatternError extends Error {
  override readonly name = "PatternError";
}

/** A label's key as Kubernetes has them. */
export const labelKey = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

/** A pattern of one text: a role, an account, a key. `*` stands for any run of characters. */
export class TextPattern {
  readonly source: string;
  readonly usesLabels: boolean;
  readonly #parts: readonly Part[];

  /** @throws PatternError */
  constructor(source: string) {
    if (source.includes("**")) throw new PatternError("have no **, which is for paths");
    this.source = source;
    this.#parts = partsOf(source);
    this.usesLabels = this.#parts.some(isLabel);
  }

  matches(text: string, values: TemplateValues): boolean {
    const pieces = fill(this.#parts, values);
    return pieces !== undefined && fits(pieces, text);
  }

  /** The only text that it matches; undefined when there are many or none. */
  literal(values: TemplateValues): string | undefined {
    const pieces = fill(this.#parts, values);
    return pieces?.length === 1 ? pieces[0] : undefined;
  }
}

/** A pattern of a path. `*` stays inside a segment; `**`, as the last segment, stands for one or more. */
export class PathPattern {
  readonly source: string;
  readonly usesLabels: boolean;
  readonly #segments: readonly (readonly Part[])[];
  /** Whether more segments may follow, one at least. */
  readonly #isOpen: boolean;

  /** @throws PatternError */
  constructor(source: string) {
    this.#isOpen = source === "**" || source.endsWith("/**");
    const closed = this.#isOpen ? source.slice(0, -3) : source;
    if (closed.includes("**")) throw new PatternError("have ** only as its whole last segment");
    this.source = source;
    this.#segments = source === "**" ? [] : segmentsOf(partsOf(closed));
    if (this.#segments.some(isBroken)) {
      throw new PatternError('have no empty segment, no "." or "..", no slash at its ends and no control characters');
    }
    this.usesLabels = this.#segments.flat().some(isLabel);
  }

  /** How many segments a path that it matches has at least. */
  get length(): number {
    return this.#segments.length + (this.#isOpen ? 1 : 0);
  }

  /** @param path its segments */
  matches(path: readonly string[], values: TemplateValues): boolean {
    const isOfLength = this.#isOpen ? path.length >= this.length : path.length === this.length;
    if (!isOfLength || path.some(leadsElsewhere)) return false;
    return this.#segments.every((parts, index) => {
      const pieces = fill(parts, values);
      return pieces !== undefined && fits(pieces, path[index] ?? "");
    });
  }
}

/** No segment of a place: a server may take such a path for another one. */
export function leadsElsewhere(segment: string): boolean {
  return segment === "" || segment === "." || segment === "..";
}

function partsOf(source: string): readonly Part[] {
  if (source === "") throw new PatternError("not be empty");
  return source
    .split(/(\{\{.*?\}\}|\*)/su)
    .filter((piece) => piece !== "")
    .map(partOf);
}

function partOf(piece: string): Part {
  if (piece === "*") return { kind: "any" };
  const template = /^\{\{(.*)\}\}$/su.exec(piece)?.[1]?.trim();
  if (template === undefined) {
    if (/\{\{|\}\}/.test(piece))
      throw new PatternError("close each template that it opens: {{namespace}}, {{label:KEY}}");
    return { kind: "text", text: piece };
  }
  if (template === "namespace") return { kind: "namespace" };
  const key = template.startsWith("label:") ? template.slice("label:".length).trim() : "";
  if (!labelKey.test(key)) throw new PatternError("have no templates but {{namespace}} and {{label:KEY}}");
  return { kind: "label", key };
}

/** Divided at the slashes of its texts; the key of a label may have one, which divides nothing. */
function segmentsOf(parts: readonly Part[]): readonly (readonly Part[])[] {
  const segments: Part[][] = [[]];
  for (const part of parts) {
    const [first = "", ...others] = part.kind === "text" ? part.text.split("/") : [""];
    if (part.kind !== "text") segments.at(-1)?.push(part);
    else if (first !== "") segments.at(-1)?.push({ kind: "text", text: first });
    for (const text of others) segments.push(text === "" ? [] : [{ kind: "text", text }]);
  }
  return segments;
}

function isBroken(parts: readonly Part[]): boolean {
  const [only] = parts;
  if (only === undefined) return true;
  if (parts.length === 1 && only.kind === "text" && leadsElsewhere(only.text)) return true;
  return parts.some((part) => part.kind === "text" && /\p{Cc}|\p{Cs}/u.test(part.text));
}

function isLabel({ kind }: Part): boolean {
  return kind === "label";
}

/** The texts before, between and after its stars; undefined when a label is missing or empty. */
function fill(parts: readonly Part[], values: TemplateValues): readonly string[] | undefined {
  const pieces = [""];
  for (const part of parts) {
    if (part.kind === "any") {
      pieces.push("");
      continue;
    }
    const text = textOf(part, values);
    if (text === undefined || text === "") return undefined;
    pieces.push((pieces.pop() ?? "") + text);
  }
  return pieces;
}

function textOf(part: Exclude<Part, { kind: "any" }>, values: TemplateValues): string | undefined {
  switch (part.kind) {
    case "text":
      return part.text;
    case "namespace":
      return values.namespace;
    case "label":
      return values.label(part.key);
  }
}

/** Whether a text begins with the first piece, ends with the last one, and has the others in between, in order. */
function fits(pieces: readonly string[], text: string): boolean {
  const [first = "", ...others] = pieces;
  const last = others.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first) || text.length < first.length + last.length || !text.endsWith(last)) return false;
  const end = text.length - last.length;
  let from = first.length;
  for (const piece of others) {
    const found = text.indexOf(piece, from);
    if (found === -1 || found + piece.length > end) return false;
    from = found + piece.length;
  }
  return true;
}
