// `kms-vault-operator webhook`: answers the API server's reviews of objects before they are stored.
import type { Command } from "commander";
import { webhookFlags, webhookVariables } from "../../config-reference-webhook.ts";
import { loadWebhookConfig } from "../../config-webhook.ts";
import { environmentHelp, onServiceAction, serviceCommand, type ServiceCommandOptions } from "../service-command.ts";

/** The subcommand. Its arguments have been normalised (go-flags.ts). */
export function webhookCommand(options: ServiceCommandOptions): Command {
  const command = serviceCommand({
    name: "webhook",
    description: "run the validating webhook: check objects before the API server stores them",
    flags: webhookFlags,
    environment: environmentHelp(webhookVariables),
  });
  return onServiceAction(command, options, {
    flags: webhookFlags,
    load: loadWebhookConfig,
    subject: "the webhook",
    run: async (config, io) => (await import("../../webhook.ts")).runWebhook(config, io),
  });
}
