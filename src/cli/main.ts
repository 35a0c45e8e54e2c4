#!/usr/bin/env node
// The command line: finds out which command is meant, and gives the process its exit code. Each command is a file in
// commands/; what a command needs is loaded by it, so that --help is quick.
import { Command, CommanderError } from "commander";
import { runFlags } from "../config-reference.ts";
import { productVersion } from "../version.ts";
import { kmsEmulatorCommand } from "./commands/kms-emulator.ts";
import { runCommand } from "./commands/run.ts";
import { normaliseGoFlags } from "./go-flags.ts";

const usageError = 2;

async function main(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  let exitCode = 0;
  const { line, flagProblems } = commandLine(args, env.KUBERNETES_SERVICE_HOST !== undefined);
  const program = createProgram(
    runCommand({
      env,
      flagProblems,
      onExit: (code) => {
        exitCode = code;
      },
    }),
  );
  if (line.length === 0) {
    program.outputHelp({ error: true });
    return usageError;
  }
  try {
    await program.parseAsync(line, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) return exitCodeOf(error);
    throw error;
  }
  return exitCode;
}

function createProgram(run: Command): Command {
  const program = new Command("kms-vault-operator")
    .description("Keeps Vault or OpenBao equal to KMS-encrypted secrets that live in git as Kubernetes objects.")
    .version(productVersion, "--version", "show the version")
    .helpOption("-h, --help", "show this help")
    .helpCommand("help [command]", "show the help of a command")
    .addHelpText("after", "\nThe operator's flags and environment variables: kms-vault-operator help run")
    .exitOverride();
  for (const command of [run, kmsEmulatorCommand()]) program.addCommand(command.exitOverride());
  return program;
}

interface CommandLine {
  /** For commander; empty: nothing was asked for. */
  readonly line: readonly string[];
  readonly flagProblems: readonly string[];
}

/**
 * Without a command it is `run`: inside a cluster always (the original's Deployments name none), elsewhere when there
 * are flags.
 */
function commandLine(args: readonly string[], isInCluster: boolean): CommandLine {
  const [first] = args;
  if (first === undefined && !isInCluster) return { line: [], flagProblems: [] };
  const programFlag = first === undefined ? undefined : /^--?(h|help|version)$/.exec(first)?.[1];
  if (programFlag !== undefined) return { line: [`--${programFlag === "h" ? "help" : programFlag}`], flagProblems: [] };
  const isRun = first === undefined || first === "run" || first.startsWith("-");
  if (!isRun) return { line: args, flagProblems: [] };
  const given = first === "run" ? args.slice(1) : args;
  const flags = runFlags.map((flag) => ({ name: flag.name, boolean: !("value" in flag) }));
  const { args: normalised, problems } = normaliseGoFlags(given, flags);
  return { line: ["run", ...normalised], flagProblems: problems };
}

/** What a user typed wrong is 2, like a wrong configuration; commands set other codes themselves. */
function exitCodeOf(error: CommanderError): number {
  if (error.exitCode === 0 || error.code === "commander.error") return error.exitCode;
  return usageError;
}

process.exit(await main(process.argv.slice(2), process.env));
