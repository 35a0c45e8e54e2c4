// What a page of the documentation tells its reader to do: the commands of its ```console blocks, with the output that it
// shows, and the files that it has the reader save. Read from the page as it stands, so that a test runs what people read.

/** What a reader does: types a command, or saves a file. */
export type Step = CommandStep | FileStep;

/** A line of a console block that begins with `$ `, with its continuation lines. */
export interface CommandStep {
  readonly kind: "command";
  readonly line: number;
  readonly command: string;
  /** The lines below it; none: the page does not say what is printed. */
  readonly output: readonly string[];
}

/** A block whose language is followed by a file name: ```yaml db.yaml */
export interface FileStep {
  readonly kind: "file";
  readonly line: number;
  readonly name: string;
  readonly text: string;
}

/** The part of a page below a heading of the second or third level; the third's is called `Second / Third`. */
export interface Section {
  readonly title: string;
  readonly steps: readonly Step[];
}

/** A console block that no test runs, and why. */
export interface Marked {
  readonly line: number;
  readonly reason: string;
}

export interface Page {
  readonly sections: readonly Section[];
  readonly marked: readonly Marked[];
}

/** A fenced block. */
interface Block {
  readonly line: number;
  readonly language: string;
  /** The word after the language. */
  readonly file: string | undefined;
  readonly lines: readonly string[];
  readonly reason: string | undefined;
}

const mark = /^\s*<!-- not run by tests: (.*) -->\s*$/;

/** Languages of blocks that nobody types into a shell. Of any other (`sh`, none) it could not be told whether it is run. */
const dataLanguages: ReadonlySet<string> = new Set(["yaml", "json", "hcl", "env", "text"]);

/**
 * Reads a page.
 * @throws Error that names the line, when a block is neither `console` nor data, a console block begins with something else
 *   than a command, a command has a comment, or a mark stands in front of something else than a console block
 */
export function readPage(markdown: string): Page {
  const sections: { title: string; steps: Step[] }[] = [{ title: "", steps: [] }];
  const marked: Marked[] = [];
  let second = "";
  for (const part of partsOf(markdown)) {
    if (typeof part === "string") {
      const [, marks = "", title = ""] = /^(##|###) (.*)$/.exec(part) ?? [];
      if (marks === "##") second = title;
      sections.push({ title: marks === "##" ? title : `${second} / ${title}`, steps: [] });
    } else if (part.reason !== undefined) {
      if (part.language !== "console") throw new Error(`line ${part.line}: only a console block can be marked`);
      marked.push({ line: part.line, reason: part.reason });
    } else {
      sections.at(-1)?.steps.push(...stepsOf(part));
    }
  }
  return { sections: sections.filter(({ steps }) => steps.length > 0), marked };
}

/** Headings of the second and third level as they stand, and fenced blocks, in their order. */
function partsOf(markdown: string): (string | Block)[] {
  const parts: (string | Block)[] = [];
  const lines = markdown.split("\n");
  let reason: string | undefined;
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    const [, indent, language = "", file] = /^( *)```(\w*)(?: +(\S+))?.*$/.exec(line) ?? [];
    if (indent !== undefined) {
      checkLanguage(language, at);
      const end = lines.findIndex((other, index) => index > at && other.trim() === "```");
      if (end < 0) throw new Error(`line ${at + 1}: the block has no end`);
      const body = lines.slice(at + 1, end).map((one) => (one.startsWith(indent) ? one.slice(indent.length) : one));
      parts.push({ line: at + 1, language, file, lines: body, reason });
      reason = undefined;
      at = end;
    } else if (/```|~~~/.test(line)) {
      throw new Error(`line ${at + 1}: a block begins with \`\`\` on a line of its own`);
    } else if (/^###? /.test(line)) {
      parts.push(line);
    }
    if (line.trim() === "" || indent !== undefined) continue;
    const said = mark.exec(line)?.[1];
    if (reason !== undefined) throw new Error(`line ${at + 1}: the mark above it stands in front of no block`);
    reason = said;
  }
  return parts;
}

function checkLanguage(language: string, at: number): void {
  if (language === "console" || dataLanguages.has(language)) return;
  const known = [...dataLanguages].join(", ");
  throw new Error(`line ${at + 1}: a block is console, or one of data (${known}), not "${language}"`);
}

function stepsOf({ line, language, file, lines }: Block): Step[] {
  if (language === "console") return commandsOf(lines, line + 1);
  return file?.includes(".") === true ? [{ kind: "file", line, name: file, text: `${lines.join("\n")}\n` }] : [];
}

function commandsOf(lines: readonly string[], first: number): CommandStep[] {
  const commands: { line: number; command: string[]; output: string[] }[] = [];
  let endWord: string | undefined;
  lines.forEach((line, index) => {
    const last = commands.at(-1);
    if (last !== undefined && (endWord !== undefined || (last.output.length === 0 && isUnfinished(last.command)))) {
      last.command.push(line);
      if (line === endWord) endWord = undefined;
    } else if (line.startsWith("$ ")) {
      // What bash takes for a comment is an argument for an interactive zsh, which macOS has.
      if (line.includes(" # ")) throw new Error(`line ${first + index}: a comment belongs above the block`);
      commands.push({ line: first + index, command: [line.slice(2)], output: [] });
      endWord = /<<'?(\w+)'?/.exec(line)?.[1];
    } else if (last !== undefined) {
      last.output.push(line);
    } else {
      throw new Error(`line ${first + index}: a console block begins with a command, "$ …"`);
    }
  });
  return commands.map(({ line, command, output }) => ({ kind: "command", line, command: command.join("\n"), output }));
}

function isUnfinished(command: readonly string[]): boolean {
  return command.at(-1)?.endsWith("\\") === true;
}

/** A line such as `AQICAHh…`: one word of which only the beginning is shown, as an example. */
export function isWordToRemember(line: string): boolean {
  return /^[^\s…]+…$/.test(line);
}

/**
 * Compares what a command printed with what the page shows. `…` stands for any text, on a line of its own for any lines;
 * a duration for any duration (the column AGE), a run of blanks for any run of blanks; a line of one word that ends in `…`
 * for any word. Everything else must be there.
 */
export function isAsShown(shown: readonly string[], printed: string): boolean {
  const lines = shown.map((line) => {
    if (line.trim() === "…") return "(?:.*\n)*?";
    if (isWordToRemember(line)) return String.raw`\S+\n`;
    const pieces = line.trim().split(/(…|[ \t]+|\b\d+(?:ms|[smhd])\b)/);
    return `${pieces.map((piece, index) => (index % 2 === 0 ? escaped(piece) : patternOf(piece))).join("")}\n`;
  });
  const text = printed.split("\n").map((line) => line.trim());
  return new RegExp(`^${lines.join("")}$`).test(`${text.join("\n").trim()}\n`);
}

function patternOf(piece: string): string {
  if (piece === "…") return ".*";
  return piece.trim() === "" ? "[ \t]+" : String.raw`\d+(?:ms|[smhd])(?:\d+[smhd])?`;
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
}
