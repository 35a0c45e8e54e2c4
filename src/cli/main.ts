#!/usr/bin/env node
// The command line: finds out which command is meant, and gives the process its exit code. Each command is a file in
// commands/; what a command needs is loaded by it, so that --help is quick.
import { basename } from "node:path";
import { Command, CommanderError } from "commander";
import { type Flag, runFlags } from "../config-reference.ts";
import { webhookFlags } from "../config-reference-webhook.ts";
import { productVersion } from "../version.ts";
import { kmsEmulatorCommand } from "./commands/kms-emulator.ts";
import { runCommand } from "./commands/run.ts";
import { webhookCommand } from "./commands/webhook.ts";
import { normaliseGoFlags } from "./go-flags.ts";

const usageError = 2;
/** The commands whose flags are read as Go's flag package reads them. */
const services: Readonly<Record<string, readonly Flag[]>> = { run: runFlags, webhook: webhookFlags };
/** Names of the original's binaries, and the command that each of them is. */
const aliases = new Map([
  ["manager", "run"],
  ["kms-vault-validating-webhook", "webhook"],
]);

async function main(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  let exitCode = 0;
  // bin/kms-vault-operator says by which name it was called.
  const alias = aliases.get(basename(env.KMS_VAULT_OPERATOR_CALLED_AS ?? ""));
  const isNamed = Object.hasOwn(services, args[0] ?? "");
  const given = alias === undefined || isNamed ? args : [alias, ...args];
  const { line, flagProblems } = commandLine(given, env.KUBERNETES_SERVICE_HOST !== undefined);
  const onExit = (code: number): void => {
    exitCode = code;
  };
  const options = { env, flagProblems, onExit };
  const program = createProgram([runCommand(options), webhookCommand(options), kmsEmulatorCommand()]);
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

function createProgram(commands: readonly Command[]): Command {
  const program = new Command("kms-vault-operator")
    .description("Keeps Vault or OpenBao equal to KMS-encrypted secrets that live in git as Kubernetes objects.")
    .version(productVersion, "--version", "show the version")
    .helpOption("-h, --help", "show this help")
    .helpCommand("help [command]", "show the help of a command")
    .addHelpText(
      "after",
      "\nFlags and environment variables: kms-vault-operator help run, kms-vault-operator help webhook",
    )
    .exitOverride();
  for (const command of commands) program.addCommand(command.exitOverride());
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
  const isUnnamed = first === undefined || first.startsWith("-");
  const command = isUnnamed ? "run" : first;
  const table = Object.hasOwn(services, command) ? services[command] : undefined;
  if (table === undefined) return { line: args, flagProblems: [] };
  const flags = table.map((flag) => ({
    name: flag.name,
    boolean: flag.value === undefined,
    original: flag.original === true,
  }));
  const { args: normalised, problems } = normaliseGoFlags(isUnnamed ? args : args.slice(1), flags);
  return { line: [command, ...normalised], flagProblems: problems };
}

/** What a user typed wrong is 2, like a wrong configuration; commands set other codes themselves. */
function exitCodeOf(error: CommanderError): number {
  if (error.exitCode === 0 || error.code === "commander.error") return error.exitCode;
  return usageError;
}

process.exit(await main(process.argv.slice(2), process.env));
