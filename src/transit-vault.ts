// The Vault that holds transit keys: the operator's own by its own login, or another one that has settings of its own.
import type { Clock } from "./base/clock.ts";
import type { Logger } from "./base/log.ts";
import type { TransitSettings } from "./config-transit.ts";
import type { TransitDoor } from "./kms/transit.ts";
import { tokenLogin } from "./vault/auth/token.ts";
import { VaultClient } from "./vault/client.ts";
import type { ClosableVault } from "./vault/factory.ts";
import { Session } from "./vault/session.ts";
import { Transit } from "./vault/transit.ts";
import { type VaultMetrics, VaultTransport } from "./vault/transport.ts";
import type { AuthMethod } from "./vault/vault.ts";

/** The Vault that secrets are written to, and how to be there oneself. */
export interface OwnVault {
  readonly vault: ClosableVault;
  readonly method: AuthMethod;
  /** "" for the root namespace. */
  readonly namespace: string;
}

/** The way to transit keys, with an end. */
export interface TransitVault {
  /** Absent: there is none. */
  readonly door?: TransitDoor;
  /** Leaves the operator's own Vault as it is. */
  close(): Promise<void>;
}

/**
 * Touches no network until the first call.
 * @param own absent: this process has no login to Vault, and only another one with a token of its own can be asked
 */
export function openTransit(
  { transitNamespace, transitVault: other }: TransitSettings,
  own: OwnVault | undefined,
  tools: { readonly clock: Clock; readonly logger: Logger; readonly metrics: VaultMetrics },
): TransitVault {
  if (other !== undefined) return openOther(other, transitNamespace ?? "", tools);
  if (own === undefined) return { close: async () => {} };
  const { vault, method, namespace } = own;
  const identity = { method, namespace: transitNamespace ?? namespace };
  return { door: { decrypt: (...call) => vault.transit(identity).decrypt(...call) }, close: async () => {} };
}

function openOther(
  { transport: options, token }: NonNullable<TransitSettings["transitVault"]>,
  namespace: string,
  tools: { readonly clock: Clock; readonly logger: Logger; readonly metrics: VaultMetrics },
): TransitVault {
  const transport = new VaultTransport(options, tools);
  const who = { method: "token" } as const;
  const session = new Session({ door: { transport, namespace }, login: tokenLogin({ token }), who, ...tools });
  const client = new VaultClient({ transport, session });
  return {
    door: new Transit({ client, namespace, clock: tools.clock }),
    async close() {
      transport.stopWaiting();
      await session.close();
      await transport.close();
    },
  };
}
