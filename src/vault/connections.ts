// Connections to Vault, on undici: for each server one pool of HTTP/1.1 connections per TLS identity, by way of a socket
// or a proxy where one is named. A pool that is replaced ends once what is in flight on it has been answered.
import type { SecureContext } from "node:tls";
import { Agent, type Dispatcher, Pool, ProxyAgent } from "undici";
import type { Logger } from "../base/log.ts";
import type { VaultServer } from "./servers.ts";

/** What every connection has in common. */
export interface ConnectionOptions {
  /** `VAULT_SKIP_VERIFY` */
  readonly skipVerify?: boolean;
  /** `VAULT_TLS_SERVER_NAME`: name to verify in the certificate when it is not the address's host. */
  readonly tlsServerName?: string;
}

/** More than Vault itself accepts in a request (32 MiB by default) can be no answer of Vault's. */
const maxAnswerBytes = 32 * 1024 * 1024;
const connectTimeoutMs = 10_000;
const pool = { allowH2: false, connections: 64, keepAliveTimeout: 30_000, maxResponseSize: maxAnswerBytes };

interface Open {
  readonly dispatcher: Dispatcher;
  readonly context: SecureContext | undefined;
}

/** The pools that are open, by server. */
export class Connections {
  readonly #options: ConnectionOptions;
  readonly #logger: Logger;
  readonly #open = new Map<string, Open>();

  constructor(options: ConnectionOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
  }

  /**
   * The pool for a server. To be used at once: the next call may retire it.
   * @param context the TLS identity as it is now; another one than before replaces the pool
   */
  to(server: VaultServer, context: SecureContext | undefined): Dispatcher {
    const current = this.#open.get(server.address);
    if (current?.context === context && current !== undefined) return current.dispatcher;
    const dispatcher = this.#make(server, context);
    if (current !== undefined) this.retire(server, current.dispatcher);
    this.#open.set(server.address, { dispatcher, context });
    return dispatcher;
  }

  /**
   * Later requests get new connections; what is in flight ends on the old ones. A connection on which no answer came may
   * have been lost on the way without a word, and with it those that are idle: each would cost a request its time-out.
   */
  retire(server: VaultServer, dispatcher: Dispatcher): void {
    if (this.#open.get(server.address)?.dispatcher !== dispatcher) return;
    this.#open.delete(server.address);
    dispatcher.close().catch((error: unknown) => {
      this.#logger.warn({ error }, "closing old connections to Vault failed");
    });
  }

  /** Resolves when what is in flight has been answered. */
  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map(({ dispatcher }) => dispatcher.close()));
    // undici refuses to close what has ended.
    this.#open.clear();
  }

  /** What is in flight fails. */
  async destroy(): Promise<void> {
    const open = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(open.map(({ dispatcher }) => dispatcher.destroy()));
  }

  #make({ proxy, socketPath }: VaultServer, secureContext: SecureContext | undefined): Dispatcher {
    const { skipVerify = false, tlsServerName } = this.#options;
    const tls = { rejectUnauthorized: !skipVerify, ...(secureContext && { secureContext }) };
    const connect = {
      timeout: connectTimeoutMs,
      ...tls,
      ...(tlsServerName !== undefined && { servername: tlsServerName }),
      ...(socketPath !== undefined && { socketPath }),
    };
    if (proxy === undefined) return new Agent({ ...pool, connect });
    const authorization = proxy.authorization?.open();
    return new ProxyAgent({
      ...pool,
      uri: proxy.origin,
      ...(typeof authorization === "string" && { token: authorization }),
      requestTls: connect,
      // As Go does: whom we believe to be Vault's we believe to be the proxy's.
      proxyTls: { timeout: connectTimeoutMs, ...tls, allowH2: false },
      // Of the answer to CONNECT: whoever asked has given up long before undici's own five minutes.
      clientFactory: (origin, options) => new Pool(origin, { ...options, headersTimeout: connectTimeoutMs }),
      // Plain HTTP goes through pools that would otherwise know nothing of ours.
      factory: (origin, options) => new Pool(origin, Object.assign({}, pool, options)),
    });
  }
}
