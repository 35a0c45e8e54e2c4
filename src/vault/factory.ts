// Makes Vault out of its options: one transport, one session per identity and namespace, one view for each.
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { Access } from "./access.ts";
import type { Login } from "./auth/login.ts";
import { loginsOf, type VaultAuthOptions } from "./auth/method.ts";
import { type ServiceAccountTokens, serviceAccountLogin } from "./auth/service-account.ts";
import { VaultClient } from "./client.ts";
import { MountCache } from "./kv/mount.ts";
import { Session } from "./session.ts";
import { type VaultMetrics, VaultTransport, type VaultTransportOptions } from "./transport.ts";
import { Transit } from "./transit.ts";
import type { Identity, Vault } from "./vault.ts";

export interface VaultOptions {
  readonly transport: VaultTransportOptions;
  readonly auth: VaultAuthOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics?: VaultMetrics;
  /** For identities with a service account; absent: their logins fail. */
  readonly serviceAccounts?: ServiceAccountTokens;
  /** Whether a path that leads into a child namespace is `PolicyDenied`; absent: it is Vault's to allow. */
  readonly keepsToNamespace?: boolean;
  /** Asked synchronously before each write and removal is sent; throws when this process may not (any more). */
  readonly beforeMutation?: () => void;
}

/** Vault, with its transit engines and an end. */
export interface ClosableVault extends Vault {
  /** As `access`: to be asked for anew for each use, so that an identity that was released logs in again. */
  transit(identity: Identity): Transit;
  /** Revokes the tokens of our own logins, then ends the connections; within 5 s, whatever Vault does. */
  close(): Promise<void>;
}

interface Known {
  readonly access: Access;
  readonly transit: Transit;
  readonly session: Session;
}

const closeWithinMs = 5_000;

/** Does no I/O until something is asked of an access. */
export function createVault(options: VaultOptions): ClosableVault {
  const { auth, clock, logger, metrics, beforeMutation, serviceAccounts: tokens, keepsToNamespace = false } = options;
  const transport = new VaultTransport(options.transport, options);
  const cache = new MountCache(clock);
  const logins = loginsOf(auth);
  const known = new Map<string, Known>();
  const ending = new Set<Promise<void>>();

  function loginOf({ method, serviceAccount }: Identity): Login {
    return serviceAccount === undefined
      ? logins[method]
      : serviceAccountLogin(method, serviceAccount, { auth, tokens });
  }

  function make(identity: Identity): Known {
    const { method, namespace, serviceAccount } = identity;
    const who = { method, ...(serviceAccount && { serviceAccount }) };
    const door = { transport, namespace };
    const session = new Session({ door, login: loginOf(identity), who, clock, logger, metrics });
    const client = new VaultClient({ transport, session, beforeMutation });
    // Decrypting changes nothing, whoever leads.
    const reader = new VaultClient({ transport, session });
    return {
      access: new Access({ client, namespace, cache, clock, keepsToNamespace }),
      transit: new Transit({ client: reader, namespace, clock }),
      session,
    };
  }

  function knownAs(identity: Identity): Known {
    const key = keyOf(identity);
    const found = known.get(key) ?? make(identity);
    known.set(key, found);
    return found;
  }

  return {
    access: (identity) => knownAs(identity).access,
    transit: (identity) => knownAs(identity).transit,
    release(identity) {
      const key = keyOf(identity);
      const found = known.get(key);
      if (found === undefined) return;
      known.delete(key);
      const end = found.session.close().finally(() => ending.delete(end));
      ending.add(end);
    },
    async close() {
      const late = Promise.withResolvers<void>();
      const timer = clock.after(closeWithinMs, () => {
        transport.destroy().catch((error: unknown) => logger.warn({ error }, "closing connections to Vault failed"));
        // A login may wait for somebody else than Vault.
        late.resolve();
      });
      transport.stopWaiting();
      const ended = Promise.all([...ending, ...[...known.values()].map(({ session }) => session.close())]);
      await Promise.race([ended.then(() => transport.close()), late.promise]);
      timer.cancel();
    },
  };
}

function keyOf({ method, namespace, serviceAccount }: Identity): string {
  const { namespace: where, name, role } = serviceAccount ?? {};
  return JSON.stringify([method, namespace, where, name, role]);
}
