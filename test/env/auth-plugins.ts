// HashiCorp's own auth backends, run by an OpenBao as plugins: aws, github and ldap, which OpenBao has not built in, and
// the others as a second opinion beside OpenBao's, so that what holds for Vault is tried on Vault's code.
import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { timedProgress } from "../../tools/toolchain/progress.ts";
import { resolveToolchain } from "../../tools/toolchain/resolve.ts";
import type { Vault } from "./openbao.ts";
import { type Private, privateVault } from "./private.ts";
import { VaultClient } from "./vault-client.ts";

/** What tools/go/vault-auth-plugins serves, and as which type each is enabled. */
export const pluginTypes = {
  approle: "hashicorp-approle",
  aws: "aws",
  cert: "hashicorp-cert",
  github: "github",
  jwt: "hashicorp-jwt",
  kubernetes: "hashicorp-kubernetes",
  ldap: "ldap",
  userpass: "hashicorp-userpass",
} as const;

/** A private Vault with the plugins in its catalogue. Built at their first use, which takes about a minute. */
export async function vaultWithAuthPlugins(): Promise<Private<Vault>> {
  const found = await resolveToolchain(["vault-auth-plugins"], timedProgress(process.stderr));
  // OpenBao takes no symbolic link for its plugin directory.
  const program = realpathSync(found["vault-auth-plugins"]);
  const vault = await privateVault({ pluginDirectory: dirname(program) });
  const client = new VaultClient(vault.info);
  const sha256 = createHash("sha256")
    .update(await readFile(program))
    .digest("hex");
  for (const [backend, type] of Object.entries(pluginTypes)) {
    const plugin = { sha256, command: basename(program), args: [backend] };
    await client.write(`sys/plugins/catalog/auth/${type}`, plugin);
  }
  await client.close();
  return vault;
}
