// How to log in to Vault, out of variables as a user sets them, so that a test says no more than what it is about.
import { loadConfig } from "../../src/config.ts";
import type { Environment } from "../../src/config-reader.ts";
import type { VaultAuthOptions } from "../../src/vault/auth/method.ts";

/** @throws Error when the configuration refuses the variables */
export function vaultAuthOf(env: Environment): VaultAuthOptions {
  const loaded = loadConfig({ flags: {}, env });
  if ("problems" in loaded) throw new Error(loaded.problems.join("; "));
  return loaded.config.vault.auth;
}
