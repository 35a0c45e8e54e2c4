// Servers of one test file alone, to be stopped, sealed, slowed and counted without harm to the others: a Vault, a KMS,
// or a whole stack. They end with `stop`, with `await using`, or with the test process.
import { join } from "node:path";
import { inject } from "vitest";
import { applyCrds } from "./crds.ts";
import { type Kms, startKms } from "./kms.ts";
import { startVault, type Vault, type VaultOptions } from "./openbao.ts";
import { ProcessGroup } from "./processes.ts";
import { type Stack, startStack } from "./stack.ts";
import { enableLogins } from "./vault-auth.ts";

/** A server of our own; disposing of it ends it and removes its data. */
export type Private<T> = T & AsyncDisposable;

/** A Vault that knows the shared API server for Kubernetes logins. Half a second; `persistent`: 2 s. */
export async function privateVault(options: VaultOptions = {}): Promise<Private<Vault>> {
  const { programs, kubernetes } = inject("stack");
  const group = await ProcessGroup.create();
  try {
    const vault = await startVault(group, programs.bao, options);
    await enableLogins(vault.info, kubernetes);
    return { ...vault, [Symbol.asyncDispose]: () => group.stop() };
  } catch (error) {
    await group.stop();
    throw error;
  }
}

/** An emulator whose keys outlive `stop` and `start`. It runs in the test process. */
export async function privateKms(): Promise<Private<Kms>> {
  const group = await ProcessGroup.create();
  const kms = await startKms(join(group.directory, "kms.json"));
  return {
    ...kms,
    async [Symbol.asyncDispose]() {
      await kms.stop();
      await group.stop();
    },
  };
}

/** A whole stack with our CRDs, for files that stop the API server. 4 s. */
export async function privateStack(vault: VaultOptions = {}): Promise<Private<Stack>> {
  const stack = await startStack({ programs: inject("stack").programs, vault });
  try {
    await applyCrds(stack.info.kubernetes);
  } catch (error) {
    await stack.stop();
    throw error;
  }
  return { ...stack, [Symbol.asyncDispose]: () => stack.stop() };
}
