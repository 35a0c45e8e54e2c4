// Makes Vault out of its options: one transport, one session per identity and namespace, one view for each.
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { Access } from "./access.ts";
import { loginBy, type VaultAuthOptions } from "./auth/method.ts";
import { VaultClient } from "./client.ts";
import { MountCache } from "./kv/mount.ts";
import { Session } from "./session.ts";
import { type VaultMetrics, VaultTransport, type VaultTransportOptions } from "./transport.ts";
import type { Identity, Vault } from "./vault.ts";

export interface VaultOptions {
  readonly transport: VaultTransportOptions;
  readonly auth: VaultAuthOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics?: VaultMetrics;
  /** Asked synchronously before each write and removal is sent; throws when this process may not (any more). */
  readonly beforeMutation?: () => void;
}

/** Vault, with an end. */
export interface ClosableVault extends Vault {
  /** Revokes the tokens of our own logins, then ends the connections; within 5 s, whatever Vault does. */
  close(): Promise<void>;
}

const closeWithinMs = 5_000;

/** Does no I/O until something is asked of an access. */
export function createVault(options: VaultOptions): ClosableVault {
  const { auth, clock, logger, beforeMutation } = options;
  const transport = new VaultTransport(options.transport, options);
  const cache = new MountCache(clock);
  const known = new Map<string, { readonly access: Access; readonly session: Session }>();

  function make({ method, namespace }: Identity): { readonly access: Access; readonly session: Session } {
    const door = { transport, namespace };
    const session = new Session({ door, login: loginBy(method, auth), method, clock, logger });
    const client = new VaultClient({ transport, session, beforeMutation });
    return { access: new Access({ client, namespace, cache, clock }), session };
  }

  return {
    access(identity) {
      const key = JSON.stringify([identity.method, identity.namespace]);
      const found = known.get(key) ?? make(identity);
      known.set(key, found);
      return found.access;
    },
    async close() {
      const timer = clock.after(closeWithinMs, () => {
        transport.destroy().catch((error: unknown) => logger.warn({ error }, "closing connections to Vault failed"));
      });
      transport.stopWaiting();
      await Promise.all([...known.values()].map(({ session }) => session.close()));
      await transport.close();
      timer.cancel();
    },
  };
}
