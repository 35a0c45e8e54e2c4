// `kms-vault-operator webhook`: answers the API server's reviews of objects before they are stored.
import type { Command } from "commander";
import type { Environment } from "../../config-reader.ts";
import { webhookFlags, webhookVariables } from "../../config-reference-webhook.ts";
import { loadWebhookConfig } from "../../config-webhook.ts";
import { loadKubeAccess } from "../kube-connection.ts";
import {
  environmentHelp,
  flagsGiven,
  readPolicy,
  refuseToStart,
  serviceCommand,
  supervise,
} from "../service-command.ts";
import type { ServiceCommandOptions } from "./run.ts";

/** The subcommand. Its arguments have been normalised (go-flags.ts). */
export function webhookCommand({ env, flagProblems, onExit }: ServiceCommandOptions): Command {
  const command = serviceCommand({
    name: "webhook",
    description: "run the validating webhook: check objects before the API server stores them",
    flags: webhookFlags,
    environment: environmentHelp(webhookVariables),
  });
  return command.action(async () => onExit(await webhook(command, env, flagProblems)));
}

async function webhook(command: Command, env: Environment, flagProblems: readonly string[]): Promise<number> {
  const flags = flagsGiven(command, webhookFlags);
  const access = await loadKubeAccess({ kubeconfig: flags.kubeconfig, env });
  const loaded = loadWebhookConfig({ flags, env, namespace: "namespace" in access ? access.namespace : undefined });
  const policy = await readPolicy(flags.policy);
  const problems = [
    ...flagProblems,
    ...("problems" in loaded ? loaded.problems : []),
    ...policy.problems,
    ...("problem" in access ? [access.problem] : []),
  ];
  if ("problems" in loaded || "problem" in access || problems.length > 0) return refuseToStart("webhook", problems);
  const { config } = loaded;
  const { connection } = access;
  return supervise({
    log: config.log,
    ignored: command.args,
    subject: "the webhook",
    run: async (io) =>
      (await import("../../webhook.ts")).runWebhook(config, { ...io, connection, policy: policy.loaded }),
  });
}
