// `kms-vault-operator run`: the operator itself.
import type { Command } from "commander";
import { loadConfig } from "../../config.ts";
import { runFlags, variables } from "../../config-reference.ts";
import { environmentHelp, onServiceAction, serviceCommand, type ServiceCommandOptions } from "../service-command.ts";

/** The subcommand. Its arguments have been normalised (go-flags.ts). */
export function runCommand(options: ServiceCommandOptions): Command {
  const command = serviceCommand({
    name: "run",
    description: "run the operator; inside a cluster this is also what happens without a command",
    flags: runFlags,
    environment: environmentHelp(variables),
  });
  return onServiceAction(command, options, {
    flags: runFlags,
    load: loadConfig,
    subject: "the operator",
    run: async (config, io) => (await import("../../operator.ts")).runOperator(config, io),
  });
}
