// Runs the transcripts beside this file and compares them to the letter. In a transcript `$ ` begins a command, with
// variables before it; `! ` begins a line of standard error; `[exit N]` ends the command; `#` is a comment before one.
// `<version>` stands for the version of the product.
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { productVersion } from "../../src/version.ts";

const program = join(import.meta.dirname, "../../src/cli/main.ts");

interface Step {
  readonly command: string;
  /** Everything between the command and the end of the step, as in the transcript. */
  readonly expected: string;
}

function stepsOf(transcript: string): Step[] {
  const parts = transcript.split(/^\$ /m).slice(1);
  return parts.map((part) => {
    const [command = "", ...rest] = part.split("\n");
    const end = rest.findIndex((line) => /^\[exit \d+\]$/.test(line));
    if (end === -1) throw new Error(`"${command}" has no [exit N]`);
    return { command, expected: rest.slice(0, end + 1).join("\n") };
  });
}

/** `A=1 kms-vault-operator run --flag 'two words'`: variables and arguments. */
function parseCommand(command: string): { env: Record<string, string>; args: string[] } {
  const words = [...command.matchAll(/(?:'([^']*)'|[^\s'])+/g)].map(([word]) => word.replaceAll("'", ""));
  const start = words.indexOf("kms-vault-operator");
  if (start === -1) throw new Error(`"${command}" does not run kms-vault-operator`);
  const variables = words.slice(0, start).map((word): [string, string] => {
    const [name = "", ...value] = word.split("=");
    return [name, value.join("=")];
  });
  return { env: Object.fromEntries(variables), args: words.slice(start + 1) };
}

/** What the command prints and how it ends, in the form of a transcript. */
async function run(command: string): Promise<string> {
  const { env, args } = parseCommand(command);
  const child = spawn(process.execPath, [program, ...args], {
    env: { HOME: "/nonexistent", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err] = [child.stdout, child.stderr].map((stream) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    return chunks;
  });
  const exit = await new Promise<string>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(`[exit ${code ?? signal}]`));
  });
  const lines = (chunks: Buffer[] | undefined, prefix: string): string[] => {
    const text = Buffer.concat(chunks ?? [])
      .toString()
      .replaceAll(productVersion, "<version>");
    return text === ""
      ? []
      : text
          .replace(/\n$/, "")
          .split("\n")
          .map((line) => `${prefix}${line}`.trimEnd());
  };
  return [...lines(out, ""), ...lines(err, "! "), exit].join("\n");
}

const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".txt"));

test("there are transcripts", () => {
  expect(files.length).toBeGreaterThan(0);
});

describe.each(files)("%s", (file) => {
  const steps = stepsOf(readFileSync(join(import.meta.dirname, file), "utf8"));
  test.concurrent.each(steps)("$command", async ({ command, expected }) => {
    expect(await run(command)).toBe(expected);
  });
});
