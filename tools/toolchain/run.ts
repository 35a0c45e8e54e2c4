// Runs the programs that the toolchain is made with (go, python3) and keeps their output for the case of failure.
import { spawn } from "node:child_process";

/** What became of a program that ran to its end. */
export interface Finished {
  readonly ok: boolean;
  /** stdout and stderr together, in the order in which they came. */
  readonly output: string;
  /** True when there is no such program. */
  readonly missing: boolean;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Ends the program after so many milliseconds; then `ok` is false. */
  readonly timeoutMs?: number;
}

/** Runs a program to its end. Never rejects: a missing program, too, is a result. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env,
      timeout: options.timeoutMs,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const collect = (chunk: Buffer) => {
      output += chunk.toString();
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.on("error", (error: NodeJS.ErrnoException) =>
      resolve({ ok: false, output: error.message, missing: error.code === "ENOENT" }),
    );
    child.on("close", (code) => resolve({ ok: code === 0, output, missing: false }));
  });
}

/** The last lines of an output, for an error message. */
export function lastLines(output: string, count = 20): string {
  return output.trimEnd().split("\n").slice(-count).join("\n");
}
