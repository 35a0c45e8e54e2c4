// What the commands have in common that run until a signal: flags as Go's flag package reads them, everything that is
// wrong with the configuration listed at once with exit code 2, the process's signals, and its last resort for bugs.
import { Command, Option } from "commander";
import type { Environment, FlagValues } from "../config-reader.ts";
import type { Flag, LogFormat, LogLevel } from "../config-reference.ts";
import type { Logger } from "../base/log.ts";
import type { LoadedPolicy } from "../policy/policy-file.ts";
import type { KubeConnection } from "../runtime/connection.ts";
import { loadKubeAccess } from "./kube-connection.ts";
import { stopOnSignals } from "./signals.ts";

/** The command, as far as its table of flags tells. */
interface ServiceDefinition {
  readonly name: string;
  readonly description: string;
  readonly flags: readonly Flag[];
  /** The end of its help. */
  readonly environment: string;
}

/** Its arguments have to be normalised (go-flags.ts). */
export function serviceCommand({ name, description, flags, environment }: ServiceDefinition): Command {
  const command = new Command(name)
    .description(description)
    .usage("[flags]")
    .helpOption("-h, --help", "show this help")
    // Go's flag package stops at the first argument that is no flag, and programs go on without the rest.
    .allowExcessArguments()
    .addHelpText("after", `\n${goFlagsHelp}\n\n${environment}`);
  for (const flag of flags) command.addOption(optionOf(flag));
  return command;
}

/** What a command is run with. */
export interface ServiceCommandOptions {
  readonly env: Environment;
  /** What was wrong with the flags' syntax already. */
  readonly flagProblems: readonly string[];
  /** Called with the exit code once it has ended. */
  readonly onExit: (code: number) => void;
}

/** How a command goes from its flags to its end. */
interface ServiceRun<Name extends string, Config extends Pick<Service, "log">> {
  readonly flags: readonly { readonly name: Name }[];
  readonly load: (sources: {
    readonly flags: FlagValues<Name>;
    readonly env: Environment;
    readonly namespace: string | undefined;
  }) => { readonly config: Config } | { readonly problems: readonly string[] };
  /** What its last words call it: "the operator". */
  readonly subject: string;
  /** @returns the exit code */
  readonly run: (config: Config, io: ServiceIo) => Promise<number>;
}

/** What it is started with, besides its configuration. */
interface ServiceIo {
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly connection: KubeConnection;
  readonly policy: LoadedPolicy | undefined;
}

/** Has the command run when it is asked for, or say everything that is wrong with what it was told. */
export function onServiceAction<Name extends string, Config extends Pick<Service, "log">>(
  command: Command,
  { env, flagProblems, onExit }: ServiceCommandOptions,
  { flags: table, load, subject, run }: ServiceRun<Name | "kubeconfig" | "policy", Config>,
): Command {
  return command.action(async () => {
    const flags = flagsGiven(command, table);
    const access = await loadKubeAccess({ kubeconfig: flags.kubeconfig, env });
    const loaded = load({ flags, env, namespace: "namespace" in access ? access.namespace : undefined });
    const policy = await readPolicy(flags.policy);
    const problems = [
      ...flagProblems,
      ...("problems" in loaded ? loaded.problems : []),
      ...policy.problems,
      ...("problem" in access ? [access.problem] : []),
    ];
    if ("problems" in loaded || "problem" in access || problems.length > 0) {
      onExit(refuseToStart(command.name(), problems));
      return;
    }
    const { config } = loaded;
    const { connection } = access;
    const start: Service["run"] = (io) => run(config, { ...io, connection, policy: policy.loaded });
    onExit(await supervise({ log: config.log, ignored: command.args, subject, run: start }));
  });
}

/** The flags on the command line, without defaults: those are the configuration's. */
function flagsGiven<Name extends string>(
  command: Command,
  flags: readonly { readonly name: Name }[],
): FlagValues<Name> {
  const given = flags.flatMap(({ name }): [string, string][] => {
    const key = command.options.find(({ long }) => long === `--${name}`)?.attributeName() ?? name;
    const value: unknown = command.getOptionValue(key);
    return command.getOptionValueSource(key) === "cli" && typeof value === "string" ? [[name, value]] : [];
  });
  return Object.fromEntries(given) as FlagValues<Name>;
}

/** What `--policy` names, if it was given. */
async function readPolicy(
  file: string | undefined,
): Promise<{ readonly loaded?: LoadedPolicy; readonly problems: readonly string[] }> {
  // An empty one is a problem of the configuration already.
  if (file === undefined || file === "") return { problems: [] };
  const { loadPolicy } = await import("../policy/policy-file.ts");
  const policy = await loadPolicy(file);
  if (!("problems" in policy)) return { loaded: policy, problems: [] };
  return { problems: policy.problems.map((problem) => `--policy ${file}: ${problem}`) };
}

/** Tells people why the command does not start. @returns the exit code */
function refuseToStart(name: string, problems: readonly string[]): number {
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  const lines = problems.map((problem) => `  ${problem}\n`).join("");
  process.stderr.write(
    `kms-vault-operator cannot start, ${count} in its configuration:\n${lines}See kms-vault-operator ${name} --help\n`,
  );
  return 2;
}

interface Service {
  readonly log: { readonly level: LogLevel; readonly format: LogFormat };
  /** Arguments after the first one that is no flag. */
  readonly ignored: readonly string[];
  /** What its last words call it: "the operator". */
  readonly subject: string;
  /** @returns the exit code */
  readonly run: (io: { readonly logger: Logger; readonly signal: AbortSignal }) => Promise<number>;
}

/** Runs it. @returns the exit code */
async function supervise({ log, ignored, subject, run }: Service): Promise<number> {
  const { createLogger } = await import("../telemetry/logger.ts");
  const logger = await createLogger(log);
  if (ignored.length > 0) {
    logger.warn({ ignored }, "arguments from the first one that is no flag on are ignored; write --flag=value");
  }
  const signal = stopOnSignals(process, {
    onStop: (name) => logger.info({ signal: name }, "stopping; a second signal ends the process at once"),
    exit: (code) => process.exit(code),
  });
  // A process in an unknown state must not go on working.
  const onBug = (error: unknown): void => {
    logger.fatal({ error: asError(error) }, `unexpected error; this is a bug in ${subject}, which ends now`);
    process.exit(1);
  };
  process.on("uncaughtException", onBug).on("unhandledRejection", onBug);
  try {
    return await run({ logger, signal });
  } catch (error) {
    logger.fatal({ error: asError(error) }, `${subject} cannot run`);
    return 1;
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(`a ${typeof error} was thrown`);
}

function optionOf({ name, value, default: preset, description }: Flag): Option {
  const option = new Option(`--${name} ${value === undefined ? "[boolean]" : `<${value}>`}`, description);
  return preset === "" ? option : option.default(preset);
}

const goFlagsHelp = `Flags are read as Go's flag package reads them: -flag, --flag, --flag=value or --flag value; a boolean takes a value
only after =; nothing is read after the first argument that is no flag.`;

/** Variables for the end of a help: name, description, default. */
export function environmentHelp(
  variables: readonly { readonly name: string; readonly description: string; readonly default: string }[],
): string {
  const width = Math.max(...variables.map(({ name }) => name.length));
  const lines = variables.map(
    ({ name, default: preset, description }) =>
      `  ${name.padEnd(width)}  ${description}${preset === "" ? "" : ` (default: "${preset}")`}`,
  );
  const aws = `  ${"AWS_*".padEnd(width)}  KMS: credentials, endpoint and the rest, by the AWS SDK's default chain`;
  return `Environment:\n${[...lines, aws].join("\n")}`;
}
