// The only door to Vault: a time-out on every attempt, retries of what is safe to repeat, redirects to servers that were
// named to us, a bound on answers, and answers parsed without losing a digit or quoting a secret. Connections are in
// connections.ts, what a server's answer means in errors.ts.
import type { SecureContext } from "node:tls";
import type { Dispatcher } from "undici";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { type RateLimit, RateLimiter } from "../base/rate-limit.ts";
import { type ConnectionOptions, Connections } from "./connections.ts";
import {
  cleaned,
  isHandshakeFailure,
  isOutage,
  isSealed,
  nonsense,
  outage,
  redirectedAgain,
  sealed,
  stopping,
  timedOut,
  unreachable,
  VaultCallError,
} from "./errors.ts";
import { isJsonObject, type JsonObject, parseExactJson, stringsAt, stringsIn } from "./json.ts";
import { parseRetryAfter, retryDelay } from "./request-retry.ts";
import { healthPath, SealStatus } from "./seal-status.ts";
import { SendGuard } from "./send-guard.ts";
import { redirectTarget, type ServerAddress, serverAt, type VaultServer } from "./servers.ts";
import { type TlsFileOptions, TlsFiles } from "./tls-files.ts";

/** How Vault is reached. Names in the comments are those of the variables that users set. `address` is `VAULT_ADDR`. */
export interface VaultTransportOptions extends ServerAddress, ConnectionOptions, TlsFileOptions {
  /** `VAULT_REDIRECT_ADDRS`: to whom else a redirect may lead. */
  readonly redirects?: readonly ServerAddress[];
  /** `VAULT_CLIENT_TIMEOUT`: per attempt, in ms. */
  readonly timeoutMs: number;
  /** `VAULT_MAX_RETRIES`: attempts after the first. */
  readonly maxRetries: number;
  /** `VAULT_RATE_LIMIT` */
  readonly rateLimit?: RateLimit;
}

/** Counts requests and logins. Label values are few and fixed. */
export interface VaultMetrics {
  /**
   * One attempt.
   * @param status the HTTP status, or `<error>` when there was no answer
   */
  requestDone(method: string, status: string, seconds: number): void;
  /**
   * One login (session.ts).
   * @param outcome `ok`, or the code of the error
   */
  loginDone(method: string, outcome: string): void;
}

export interface VaultRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Below `/v1/`, percent-encoded. */
  readonly path: string;
  /** Vault namespace, "" for the root namespace. */
  readonly namespace: string;
  readonly token?: string;
  /** Sent as JSON; with PATCH as a JSON merge patch (RFC 7396). */
  readonly body?: JsonObject;
  /** Called when an attempt goes out, after it has waited for a connection; what it throws ends the request. */
  readonly beforeSend?: (() => void) | undefined;
}

/** An answer of Vault's own: 2xx, or a 4xx that says something about the request. */
export interface VaultAnswer {
  readonly status: number;
  /** The JSON body; empty when there was none. */
  readonly body: JsonObject;
  /** Vault's texts, cleaned of what we sent. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
  /** By which Vault's audit log knows the request; its answers to most refusals do not tell. */
  readonly requestId?: string;
}

/** An answer as it came. */
interface RawAnswer {
  readonly server: VaultServer;
  readonly status: number;
  readonly headers: Dispatcher.ResponseData["headers"];
  readonly text: string;
}

/** Every method rejects with OperatorError, `VaultUnavailable` or `VaultSealed`, or with what `beforeSend` throws. */
export class VaultTransport {
  readonly #options: VaultTransportOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #metrics: VaultMetrics | undefined;
  readonly #server: VaultServer;
  readonly #redirects: readonly VaultServer[];
  readonly #connections: Connections;
  readonly #sealStatus: SealStatus;
  readonly #tls: TlsFiles | undefined;
  readonly #limiter: RateLimiter | undefined;
  readonly #stop = new AbortController();
  #closed = false;

  constructor(
    options: VaultTransportOptions,
    tools: { readonly clock: Clock; readonly logger: Logger; readonly metrics?: VaultMetrics },
  ) {
    this.#options = options;
    this.#clock = tools.clock;
    this.#logger = tools.logger;
    this.#metrics = tools.metrics;
    this.#server = serverAt(options);
    this.#redirects = (options.redirects ?? []).map(serverAt);
    this.#connections = new Connections(options, tools.logger);
    this.#sealStatus = new SealStatus((server) => this.#health(server), tools.clock);
    const peers = [this.#server, ...this.#redirects].flatMap(({ origin, proxy }) => [origin, proxy?.origin]);
    if (peers.some((origin) => origin?.startsWith("https:"))) this.#tls = new TlsFiles(options, tools);
    if (options.rateLimit) this.#limiter = new RateLimiter(options.rateLimit, tools.clock);
  }

  /** Sends a request, again where that is safe (request-retry.ts). */
  async send(request: VaultRequest): Promise<VaultAnswer> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#follow(request);
      } catch (error) {
        if (!(error instanceof VaultCallError)) throw error;
        const delay = retryDelay(error, attempt, request.method === "GET");
        const isLast = attempt >= this.#options.maxRetries || this.#stop.signal.aborted;
        if (delay === undefined || isLast) throw error;
        this.#logger.debug({ method: request.method, path: request.path, error, delay }, "retrying request to Vault");
        await this.#wait((signal) => this.#clock.sleep(delay, signal));
      }
    }
  }

  /**
   * From now on nothing waits, neither for its turn nor to be sent again: what does so ends as `VaultUnavailable`. Later
   * requests, of those who clean up, go out at once.
   */
  stopWaiting(): void {
    this.#stop.abort();
  }

  /** Ends the connections once what is in flight has been answered; later requests are refused. */
  async close(): Promise<void> {
    this.#closed = true;
    this.stopWaiting();
    await this.#connections.close();
  }

  /** Ends the connections at once; requests in flight fail. */
  async destroy(): Promise<void> {
    this.#closed = true;
    this.stopWaiting();
    await this.#connections.destroy();
  }

  /** @throws VaultCallError when the stop came first */
  async #wait(waiting: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    const { signal } = this.#stop;
    await waiting(signal);
    if (signal.aborted) throw stopping();
  }

  /** A standby that redirects did nothing, so whatever was asked of it may be asked of the other one; once. */
  async #follow(request: VaultRequest): Promise<VaultAnswer> {
    let answer = await this.#exchange(this.#server, request);
    if (isRedirect(answer)) {
      answer = await this.#exchange(this.#redirected(answer, request), request);
      if (isRedirect(answer)) throw redirectedAgain(answer.server.address, answer.status);
    }
    return this.#read(request, answer);
  }

  #redirected({ server: from, status, headers }: RawAnswer, request: VaultRequest): VaultServer {
    const location = headers["location"]?.toString();
    return redirectTarget({ status, location, from, request }, [this.#server, ...this.#redirects]);
  }

  async #exchange(server: VaultServer, request: VaultRequest): Promise<RawAnswer> {
    const limiter = this.#limiter;
    if (limiter && !this.#stop.signal.aborted) await this.#wait((signal) => limiter.turn(signal));
    for (;;) {
      const context = await this.#tls?.current();
      try {
        return await this.#attempt(server, request, context);
      } catch (error) {
        if (!isHandshakeFailure(error)) throw error;
        // Begun before a rotation that ended meanwhile? Then it is begun again: nothing was sent.
        this.#tls?.invalidate();
        if ((await this.#tls?.current()) === context) throw unreachable(server.address, error, server.proxy?.origin);
      }
    }
  }

  /** @throws what a handshake failed with, as it is; else what `send` throws */
  async #attempt(server: VaultServer, request: VaultRequest, context: SecureContext | undefined): Promise<RawAnswer> {
    if (this.#closed) throw stopping();
    // Nothing may come between here and the request: another one could retire the connections.
    const dispatcher = this.#connections.to(server, context);
    const guard = new SendGuard(request.beforeSend);
    const started = this.#clock.monotonic();
    let code = "<error>";
    const abort = new AbortController();
    const tooLate = Promise.withResolvers<never>();
    const { timeoutMs } = this.#options;
    const timer = this.#clock.after(timeoutMs, () => {
      abort.abort(timedOut(server.address, timeoutMs));
      // undici notices the signal only once the request has a connection; it is not sent then.
      tooLate.reject(abort.signal.reason);
      this.#connections.retire(server, dispatcher);
    });
    try {
      const sent = receive(guard.before(dispatcher), wire(server, request, abort.signal));
      const answer = await Promise.race([sent, tooLate.promise]);
      code = String(answer.status);
      return { server, ...answer };
    } catch (error) {
      if (guard.refusal !== undefined) throw guard.refusal.reason;
      // undici may wrap the reason that the time-out gave.
      abort.signal.throwIfAborted();
      throw isHandshakeFailure(error) ? error : unreachable(server.address, error, server.proxy?.origin);
    } finally {
      timer.cancel();
      this.#metrics?.requestDone(request.method, code, (this.#clock.monotonic() - started) / 1_000);
    }
  }

  async #read(request: VaultRequest, { server, status, headers, text }: RawAnswer): Promise<VaultAnswer> {
    const body = text === "" ? {} : parseExactJson(text);
    const sent = stringsIn(request.body);
    const errors = cleaned(stringsAt(body, "errors"), sent);
    const requestId = requestIdIn(body);
    const { method, path } = request;
    this.#logger.debug({ method, path, status, requestId }, "Vault answered");
    if (isSealed(status, errors)) throw sealed(server.address, await this.#sealStatus.isInitialised(server));
    if (isOutage(status)) {
      const retryAfterMs = parseRetryAfter(headers["retry-after"]?.toString(), this.#clock.now());
      throw outage({ address: server.address, status, errors, requestId, retryAfterMs });
    }
    // OpenBao's answer to a PATCH of what is not there; nothing is concluded from it.
    const isPatchOfNothing = request.method === "PATCH" && status === 404;
    // Whatever a proxy's own page says (a 404 most of all) says nothing about what Vault holds.
    const isVaults = isJsonObject(body) && ("errors" in body || "request_id" in body);
    if (!isVaults && status !== 204 && !(text === "" && (status === 400 || isPatchOfNothing))) {
      throw nonsense(server.address, `${method} ${path}`, `HTTP ${status} without an answer of Vault's`);
    }
    const warnings = cleaned(stringsAt(body, "warnings"), sent);
    return {
      status,
      body: isJsonObject(body) ? body : {},
      errors,
      warnings,
      ...(requestId !== undefined && { requestId }),
    };
  }

  async #health(server: VaultServer): Promise<unknown> {
    try {
      const { text } = await this.#exchange(server, { method: "GET", path: healthPath, namespace: "" });
      return parseExactJson(text);
    } catch (error) {
      this.#logger.debug({ error }, "a sealed Vault does not tell whether it is initialised");
      return undefined;
    }
  }
}

function isRedirect({ status }: RawAnswer): boolean {
  return status >= 300 && status < 400;
}

/** Only what looks like one is passed on: it goes into messages. */
function requestIdIn(body: unknown): string | undefined {
  const id = isJsonObject(body) ? body["request_id"] : undefined;
  return typeof id === "string" && /^[\da-f-]{36}$/i.test(id) ? id : undefined;
}

async function receive(dispatcher: Dispatcher, request: Dispatcher.RequestOptions): Promise<Omit<RawAnswer, "server">> {
  const { statusCode: status, headers, body } = await dispatcher.request(request);
  return { status, headers, text: await body.text() };
}

function wire(server: VaultServer, request: VaultRequest, signal: AbortSignal): Dispatcher.RequestOptions {
  const { namespace, token, body } = request;
  return {
    origin: server.origin,
    path: server.basePath + request.path,
    method: request.method,
    signal,
    headersTimeout: 0,
    bodyTimeout: 0,
    headers: {
      accept: "application/json",
      "x-vault-request": "true",
      ...(namespace !== "" && { "x-vault-namespace": namespace }),
      ...(token !== undefined && { "x-vault-token": token }),
      ...(body !== undefined && { "content-type": contentTypeOf(request.method) }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  };
}

function contentTypeOf(method: VaultRequest["method"]): string {
  return method === "PATCH" ? "application/merge-patch+json" : "application/json";
}
