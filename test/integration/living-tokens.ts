// Vault's own word on which logins still hold: how many tokens with given policies live.
import type { VaultClient } from "../env/vault-client.ts";

/** How many tokens live that have at least one of the policies. */
export async function livingTokens(vault: VaultClient, policies: readonly string[]): Promise<number> {
  let found = 0;
  for (const accessor of await vault.list("auth/token/accessors")) {
    const asked = { method: "POST", path: "/v1/auth/token/lookup-accessor", body: { accessor } };
    // One that is gone since the listing is no answer of 200.
    const { status, body } = await vault.ask(asked);
    if (status === 200 && policies.some((policy) => body.data.policies.includes(policy))) found += 1;
  }
  return found;
}
