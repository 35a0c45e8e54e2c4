// Runs a program for what it prints on stdout; tools/toolchain/run.ts mixes stderr in, which is for builds.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

/**
 * What a program prints on stdout.
 * @throws Error with its stderr, when it cannot be run, fails, or takes more than five minutes
 */
export async function output(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const { stdout } = await execute(program, args, { ...options, maxBuffer: 64 * 1024 * 1024, timeout: 300_000 });
  return stdout;
}
