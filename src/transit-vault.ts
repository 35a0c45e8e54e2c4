// The Vault that holds transit keys: the operator's own by its own login, or another one that has settings of its own.
import type { Clock } from "./base/clock.ts";
import type { Logger } from "./base/log.ts";
import type { TransitSettings } from "./config-transit.ts";
import type { TransitDoor } from "./kms/transit.ts";
import type { VaultAuthOptions } from "./vault/auth/method.ts";
import { type ClosableVault, createVault } from "./vault/factory.ts";
import type { VaultMetrics } from "./vault/transport.ts";
import type { AuthMethod } from "./vault/vault.ts";

/** The Vault that secrets are written to, and how to be there oneself. */
export interface OwnVault {
  readonly vault: ClosableVault;
  readonly method: AuthMethod;
  /** "" for the root namespace. */
  readonly namespace: string;
  readonly auth: VaultAuthOptions;
}

/** The way to transit keys, with an end. */
export interface TransitVault {
  readonly door: TransitDoor;
  /** Leaves the operator's own Vault as it is. */
  close(): Promise<void>;
}

/** Touches no network until the first call. */
export function openTransit(
  { transitNamespace: namespace, transitVault: other }: TransitSettings,
  own: OwnVault,
  tools: { readonly clock: Clock; readonly logger: Logger; readonly metrics: VaultMetrics },
): TransitVault {
  if (other === undefined) {
    const identity = { method: own.method, namespace: namespace ?? own.namespace };
    return { door: { decrypt: (...call) => own.vault.transit(identity).decrypt(...call) }, close: async () => {} };
  }
  const { transport, token } = other;
  const vault = createVault({ transport, auth: { ...own.auth, token: { token } }, ...tools });
  const identity = { method: "token", namespace: namespace ?? "" } as const;
  return { door: { decrypt: (...call) => vault.transit(identity).decrypt(...call) }, close: () => vault.close() };
}
