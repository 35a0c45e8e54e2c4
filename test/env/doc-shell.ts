// The terminal of somebody who follows a page of the documentation: one shell for the whole page, in a directory that
// looks like the clone, with the programs, the kubeconfig and the variables that the page takes for granted.
import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { resolveToolchain } from "../../tools/toolchain/resolve.ts";
import { type CommandStep, isAsShown, isWordToRemember, type Step } from "./doc-page.ts";
import { awsEnvironment } from "./kms-client.ts";
import { ProcessGroup } from "./processes.ts";
import type { StackInfo } from "./stack.ts";

const root = join(import.meta.dirname, "..", "..");
/** Not in a fresh clone, too much to copy, and nothing that a page changes. */
const isMade = new Set(["node_modules", "dist"]);
const commandTimeoutMs = 180_000;

export interface DocShellOptions {
  readonly stack: StackInfo;
  /** Besides those of the stack: VAULT_ADDR, VAULT_CACERT, VAULT_TOKEN, KUBECONFIG, AWS_*. */
  readonly env?: Readonly<Record<string, string>>;
  /** Programs by the name by which the page calls them, besides kubectl, helm, bao and vault (which is bao). */
  readonly programs?: Readonly<Record<string, string>>;
}

/** A reader's terminal. `await using` ends it. */
export class DocShell implements AsyncDisposable {
  /** Where the commands run: a copy of the checkout. */
  readonly directory: string;
  readonly #group: ProcessGroup;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  /** What stood in the place of a word of the page that ends in `…`. */
  readonly #printed = new Map<string, string>();
  #output = "";

  private constructor(group: ProcessGroup, env: NodeJS.ProcessEnv) {
    this.#group = group;
    this.directory = join(group.directory, "clone");
    this.#child = spawn("bash", ["--noprofile", "--norc"], {
      cwd: this.directory,
      env,
      stdio: ["pipe", "pipe", "ignore"],
      detached: true,
    });
    group.adopt(this.#child, "shell", "leader");
    // Stricter than a reader's: what fails in front of a pipe is not to pass because what is behind it does not.
    this.#child.stdin.write("set -o pipefail\nexec 2>&1\n");
    this.#child.stdout.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
    });
  }

  static async open(options: DocShellOptions): Promise<DocShell> {
    const group = await ProcessGroup.create();
    const clone = join(group.directory, "clone");
    // Its history, with the files as they are now.
    execFileSync("git", ["clone", "--quiet", "--shared", "--no-checkout", root, clone]);
    for (const name of readdirSync(root).filter((one) => one !== ".git")) {
      if (isMade.has(name)) symlinkSync(join(root, name), join(clone, name));
      else cpSync(join(root, name), join(clone, name), { recursive: true });
    }
    return new DocShell(group, await environmentOf(group.directory, options));
  }

  /**
   * Does what the page says. Where it shows a single word that ends in `…` (AQICAHh…), what is printed in its place stands
   * for the word from then on: the reader puts it where the page does.
   * @throws Error with line, command and output when it fails or prints something else
   */
  async follow(step: Step): Promise<void> {
    if (step.kind === "file") {
      const file = join(this.directory, step.name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, this.#withPrinted(step.text));
      return;
    }
    const { status, output } = await this.run(this.#withPrinted(step.command));
    const problem = problemOf(step, status, output);
    if (problem !== undefined) {
      throw new Error(`line ${step.line}: ${problem}\n$ ${step.command}\n${output}${shownIn(step)}`);
    }
    const [word, ...more] = step.output;
    if (word !== undefined && more.length === 0 && isWordToRemember(word)) this.#printed.set(word, output.trim());
  }

  #withPrinted(text: string): string {
    return [...this.#printed].reduce((all, [word, printed]) => all.replaceAll(word, printed), text);
  }

  /** Runs a command in the shell; variables and the directory stay for the next one. */
  async run(command: string): Promise<{ readonly status: number; readonly output: string }> {
    const file = join(this.#group.directory, "command");
    writeFileSync(file, `${command}\n`);
    const end = `end-${randomBytes(8).toString("hex")}`;
    this.#output = "";
    // Sourced, so that the command cannot read the commands behind it from the shell's own input.
    this.#child.stdin.write(`. '${file}' </dev/null; printf '\\n${end} %s\\n' "$?"\n`);
    const [output, status] = await this.#until(new RegExp(`\n${end} (\\d+)\n`), command);
    return { status: Number(status), output };
  }

  /** The output before the end, and what the end says. */
  async #until(end: RegExp, command: string): Promise<[output: string, said: string]> {
    const signal = AbortSignal.timeout(commandTimeoutMs);
    const { promise, resolve, reject } = Promise.withResolvers<[string, string]>();
    const look = () => {
      const found = end.exec(this.#output);
      if (found?.[1] !== undefined) resolve([this.#output.slice(0, found.index), found[1]]);
    };
    const fail = (what: string) => reject(new Error(`${what}\n$ ${command}\n${this.#output}`));
    const close = () => fail("the shell has ended");
    signal.addEventListener("abort", () => fail(`no end within ${commandTimeoutMs / 1000} s`));
    this.#child.stdout.on("data", look);
    this.#child.once("close", close);
    try {
      return await promise;
    } finally {
      this.#child.stdout.off("data", look);
      this.#child.off("close", close);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#group.stop();
  }
}

/** A command may fail only where the page shows an error. */
function problemOf({ output: shown }: CommandStep, status: number, printed: string): string | undefined {
  const mayFail = shown.some((line) => /^error/i.test(line));
  if (status !== 0 && !mayFail) return `the command failed (${status})`;
  if (shown.length > 0 && !isAsShown(shown, printed)) return "the page shows another output";
  return undefined;
}

function shownIn({ output }: CommandStep): string {
  return output.length === 0 ? "" : `\n--- the page shows\n${output.join("\n")}`;
}

async function environmentOf(directory: string, options: DocShellOptions): Promise<NodeJS.ProcessEnv> {
  const { programs, kubernetes, vault, kms } = options.stack;
  const { helm, kubectl } = await resolveToolchain(["helm", "kubectl"], () => undefined);
  const named = { kubectl, helm, bao: programs.bao, vault: programs.bao, ...options.programs };
  const bin = join(directory, "bin");
  mkdirSync(bin);
  for (const [name, program] of Object.entries(named)) symlinkSync(program, join(bin, name));
  // A copy: what a page does to it is undone with the terminal.
  const kubeconfig = join(directory, "kubeconfig");
  writeFileSync(kubeconfig, readFileSync(kubernetes.kubeconfig), { mode: 0o600 });
  return {
    PATH: [bin, process.env["PATH"]].join(delimiter),
    HOME: directory,
    LC_ALL: "C.UTF-8",
    KUBECONFIG: kubeconfig,
    VAULT_ADDR: vault.address,
    VAULT_CACERT: vault.caFile,
    VAULT_TOKEN: vault.rootToken,
    ...awsEnvironment,
    AWS_DEFAULT_REGION: awsEnvironment.AWS_REGION,
    AWS_ENDPOINT_URL_KMS: kms.endpoint,
    ...options.env,
  };
}
