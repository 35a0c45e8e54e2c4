// `kms-vault-operator run`: the operator itself. Everything that is wrong with the configuration is listed at once,
// with exit code 2; then the process lives until a signal, or until it cannot go on.
import { Command, Option } from "commander";
import { type Config, loadConfig } from "../../config.ts";
import type { Environment, FlagValues } from "../../config-reader.ts";
import { type Flag, runFlags, variables } from "../../config-reference.ts";
import type { LoadedPolicy } from "../../policy/policy-file.ts";
import type { KubeConnection } from "../../runtime/connection.ts";
import type { ProcessLogger } from "../../telemetry/logger.ts";
import { loadKubeAccess } from "../kube-connection.ts";
import { stopOnSignals } from "../signals.ts";

export interface RunCommandOptions {
  readonly env: Environment;
  /** What was wrong with the flags' syntax already. */
  readonly flagProblems: readonly string[];
  /** Called with the exit code once the operator has ended. */
  readonly onExit: (code: number) => void;
}

/** The subcommand. Its arguments have been normalised (go-flags.ts). */
export function runCommand({ env, flagProblems, onExit }: RunCommandOptions): Command {
  const command = new Command("run")
    .description("run the operator; inside a cluster this is also what happens without a command")
    .usage("[flags]")
    .helpOption("-h, --help", "show this help")
    // Go's flag package stops at the first argument that is no flag, and programs go on without the rest.
    .allowExcessArguments()
    .addHelpText("after", `\n${goFlagsHelp}\n\n${environmentHelp()}`);
  for (const flag of runFlags) command.addOption(optionOf(flag));
  return command.action(async () => {
    onExit(await run({ flags: flagsGiven(command), env, flagProblems, ignored: command.args }));
  });
}

interface RunInput {
  readonly flags: FlagValues;
  readonly env: Environment;
  readonly flagProblems: readonly string[];
  /** Arguments after the first one that is no flag. */
  readonly ignored: readonly string[];
}

async function run({ flags, env, flagProblems, ignored }: RunInput): Promise<number> {
  const access = await loadKubeAccess({ kubeconfig: flags.kubeconfig, env });
  const loaded = loadConfig({ flags, env, namespace: "namespace" in access ? access.namespace : undefined });
  const policy = flags.policy ? await readPolicy(flags.policy) : undefined;
  const isBroken = policy !== undefined && "problems" in policy;
  if ("problems" in loaded || "problem" in access || isBroken || flagProblems.length > 0) {
    const problems = [
      ...flagProblems,
      ...("problems" in loaded ? loaded.problems : []),
      ...(isBroken ? policy.problems : []),
      ...("problem" in access ? [access.problem] : []),
    ];
    process.stderr.write(problemText(problems));
    return 2;
  }
  const { createLogger } = await import("../../telemetry/logger.ts");
  const logger = await createLogger(loaded.config.log);
  if (ignored.length > 0) {
    logger.warn({ ignored }, "arguments from the first one that is no flag on are ignored; write --flag=value");
  }
  return supervise(loaded.config, { connection: access.connection, policy }, logger);
}

async function readPolicy(file: string): Promise<LoadedPolicy | { readonly problems: readonly string[] }> {
  const { loadPolicy } = await import("../../policy/policy-file.ts");
  const loaded = await loadPolicy(file);
  return "problems" in loaded ? { problems: loaded.problems.map((problem) => `--policy ${file}: ${problem}`) } : loaded;
}

/** What the configuration names, and was found. */
interface Found {
  readonly connection: KubeConnection;
  readonly policy: LoadedPolicy | undefined;
}

/** Runs the operator, with the process's signals and its last resort for bugs. */
async function supervise(config: Config, found: Found, logger: ProcessLogger): Promise<number> {
  const signal = stopOnSignals(process, {
    onStop: (name) => logger.info({ signal: name }, "stopping; a second signal ends the process at once"),
    exit: (code) => process.exit(code),
  });
  // A process in an unknown state must not go on writing to Vault.
  const onBug = (error: unknown): void => {
    logger.fatal({ error: asError(error) }, "unexpected error; this is a bug in the operator, which ends now");
    process.exit(1);
  };
  process.on("uncaughtException", onBug).on("unhandledRejection", onBug);
  const { runOperator } = await import("../../operator.ts");
  try {
    return await runOperator(config, { ...found, logger, signal });
  } catch (error) {
    logger.fatal({ error: asError(error) }, "the operator cannot run");
    return 1;
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(`a ${typeof error} was thrown`);
}

function problemText(problems: readonly string[]): string {
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  const lines = problems.map((problem) => `  ${problem}\n`).join("");
  return `kms-vault-operator cannot start, ${count} in its configuration:\n${lines}See kms-vault-operator run --help\n`;
}

function optionOf({ name, value, default: preset, description }: Flag): Option {
  const option = new Option(`--${name} ${value === undefined ? "[boolean]" : `<${value}>`}`, description);
  return preset === "" ? option : option.default(preset);
}

/** The flags on the command line, without defaults: those are config.ts's. */
function flagsGiven(command: Command): FlagValues {
  const given = runFlags.flatMap(({ name }): [string, string][] => {
    const key = command.options.find(({ long }) => long === `--${name}`)?.attributeName() ?? name;
    const value: unknown = command.getOptionValue(key);
    return command.getOptionValueSource(key) === "cli" && typeof value === "string" ? [[name, value]] : [];
  });
  return Object.fromEntries(given);
}

const goFlagsHelp = `Flags are read as Go's flag package reads them: -flag, --flag, --flag=value or --flag value; a boolean takes a value
only after =; nothing is read after the first argument that is no flag.`;

function environmentHelp(): string {
  const width = Math.max(...variables.map(({ name }) => name.length));
  const lines = variables.map(
    ({ name, default: preset, description }) =>
      `  ${name.padEnd(width)}  ${description}${preset === "" ? "" : ` (default: "${preset}")`}`,
  );
  const aws = `  ${"AWS_*".padEnd(width)}  KMS: credentials, endpoint and the rest, by the AWS SDK's default chain`;
  return `Environment:\n${[...lines, aws].join("\n")}`;
}
