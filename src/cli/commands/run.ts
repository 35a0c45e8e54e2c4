// `kms-vault-operator run`: the operator itself.
import type { Command } from "commander";
import { loadConfig } from "../../config.ts";
import type { Environment } from "../../config-reader.ts";
import { runFlags, variables } from "../../config-reference.ts";
import { loadKubeAccess } from "../kube-connection.ts";
import {
  environmentHelp,
  flagsGiven,
  readPolicy,
  refuseToStart,
  serviceCommand,
  supervise,
} from "../service-command.ts";

export interface ServiceCommandOptions {
  readonly env: Environment;
  /** What was wrong with the flags' syntax already. */
  readonly flagProblems: readonly string[];
  /** Called with the exit code once it has ended. */
  readonly onExit: (code: number) => void;
}

/** The subcommand. Its arguments have been normalised (go-flags.ts). */
export function runCommand({ env, flagProblems, onExit }: ServiceCommandOptions): Command {
  const command = serviceCommand({
    name: "run",
    description: "run the operator; inside a cluster this is also what happens without a command",
    flags: runFlags,
    environment: environmentHelp(variables),
  });
  return command.action(async () => onExit(await run(command, env, flagProblems)));
}

async function run(command: Command, env: Environment, flagProblems: readonly string[]): Promise<number> {
  const flags = flagsGiven(command, runFlags);
  const access = await loadKubeAccess({ kubeconfig: flags.kubeconfig, env });
  const loaded = loadConfig({ flags, env, namespace: "namespace" in access ? access.namespace : undefined });
  const policy = await readPolicy(flags.policy);
  const problems = [
    ...flagProblems,
    ...("problems" in loaded ? loaded.problems : []),
    ...policy.problems,
    ...("problem" in access ? [access.problem] : []),
  ];
  if ("problems" in loaded || "problem" in access || problems.length > 0) return refuseToStart("run", problems);
  const { config } = loaded;
  const { connection } = access;
  return supervise({
    log: config.log,
    ignored: command.args,
    subject: "the operator",
    run: async (io) =>
      (await import("../../operator.ts")).runOperator(config, { ...io, connection, policy: policy.loaded }),
  });
}
