// The only door to Vault, on undici: pooled HTTP/1.1 connections (one Agent per TLS identity, replaced when a file of
// it changes or an answer does not come, while requests in flight end on the old one), a time-out on every attempt,
// retries of what is safe to repeat, a bound on answers, and answers parsed without losing a digit or quoting a secret.
import type { SecureContext } from "node:tls";
import { Agent, type Dispatcher } from "undici";
import type { Clock } from "../base/clock.ts";
import { OperatorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { cleaned, nonsense, outage, timedOut, unreachable, VaultCallError } from "./errors.ts";
import { isJsonObject, type JsonObject, parseExactJson, stringsAt, stringsIn } from "./json.ts";
import { type RateLimit, RateLimiter } from "../base/rate-limit.ts";
import { parseRetryAfter, retryDelay } from "./request-retry.ts";
import { type TlsFileOptions, TlsFiles } from "./tls-files.ts";

/** How Vault is reached. Names in the comments are those of the variables that users set. */
export interface VaultTransportOptions extends TlsFileOptions {
  /** `VAULT_ADDR`: `http://` or `https://`, without credentials; a path prefix is kept. */
  readonly address: string;
  /** `VAULT_NAMESPACE`, "" for the root namespace: of identities that name no other. Each request carries its own. */
  readonly namespace: string;
  /** `VAULT_TLS_SERVER_NAME`: name to verify in the certificate when it is not the address's host. */
  readonly tlsServerName?: string;
  /** `VAULT_CLIENT_TIMEOUT`: per attempt, in ms. */
  readonly timeoutMs: number;
  /** `VAULT_MAX_RETRIES`: attempts after the first. */
  readonly maxRetries: number;
  /** `VAULT_RATE_LIMIT` */
  readonly rateLimit?: RateLimit;
}

/** Counts requests. Label values are few and fixed. */
export interface VaultMetrics {
  /**
   * One attempt.
   * @param status the HTTP status, or `<error>` when there was no answer
   */
  requestDone(method: string, status: string, seconds: number): void;
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
}

/** More than Vault itself accepts in a request (32 MiB by default) can be no answer of Vault's. */
const maxAnswerBytes = 32 * 1024 * 1024;
const connectTimeoutMs = 10_000;

/** Every method rejects with OperatorError, `VaultUnavailable` or `VaultSealed`, or with what `beforeSend` throws. */
export class VaultTransport {
  readonly #options: VaultTransportOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #metrics: VaultMetrics | undefined;
  readonly #origin: string;
  readonly #basePath: string;
  readonly #tls: TlsFiles | undefined;
  readonly #limiter: RateLimiter | undefined;
  #agent: { readonly agent: Agent; readonly context: SecureContext | undefined } | undefined;
  #closed = false;

  constructor(
    options: VaultTransportOptions,
    tools: { readonly clock: Clock; readonly logger: Logger; readonly metrics?: VaultMetrics },
  ) {
    const address = new URL(options.address);
    this.#options = options;
    this.#clock = tools.clock;
    this.#logger = tools.logger;
    this.#metrics = tools.metrics;
    this.#origin = address.origin;
    this.#basePath = `${address.pathname.replace(/\/+$/, "")}/v1/`;
    if (address.protocol === "https:") this.#tls = new TlsFiles(options, tools);
    if (options.rateLimit) this.#limiter = new RateLimiter(options.rateLimit, tools.clock);
  }

  /** Scheme, host and port, for messages. */
  get address(): string {
    return this.#origin;
  }

  /** Sends a request, again where that is safe (request-retry.ts). */
  async send(request: VaultRequest): Promise<VaultAnswer> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#attempt(request);
      } catch (error) {
        if (!(error instanceof VaultCallError)) throw error;
        const delay = retryDelay(error, attempt, request.method === "GET");
        if (delay === undefined || attempt >= this.#options.maxRetries) throw error;
        this.#logger.debug({ method: request.method, path: request.path, error, delay }, "retrying request to Vault");
        await this.#clock.sleep(delay);
      }
    }
  }

  /** Ends the connections once what is in flight has been answered; later requests are refused. */
  async close(): Promise<void> {
    this.#closed = true;
    const agent = this.#agent?.agent;
    if (agent !== undefined && !agent.destroyed) await agent.close();
  }

  /** Ends the connections at once; requests in flight fail. */
  async destroy(): Promise<void> {
    this.#closed = true;
    await this.#agent?.agent.destroy();
  }

  async #attempt(request: VaultRequest): Promise<VaultAnswer> {
    await this.#limiter?.turn();
    const agent = await this.#currentAgent();
    const guard = new Guard(request.beforeSend);
    const started = this.#clock.monotonic();
    let status = "<error>";
    const abort = new AbortController();
    const { timeoutMs } = this.#options;
    const timer = this.#clock.after(timeoutMs, () => {
      abort.abort(timedOut(this.#origin, timeoutMs));
      this.#retire(agent);
    });
    try {
      const response = await guard.before(agent).request(this.#wire(request, abort.signal));
      const text = await response.body.text();
      status = String(response.statusCode);
      return this.#answer(request, response, text);
    } catch (error) {
      if (error instanceof VaultCallError) throw error;
      if (guard.refusal !== undefined) throw guard.refusal.reason;
      // undici may wrap the reason that the time-out gave.
      abort.signal.throwIfAborted();
      this.#tls?.invalidate();
      throw unreachable(this.#origin, error);
    } finally {
      timer.cancel();
      this.#metrics?.requestDone(request.method, status, (this.#clock.monotonic() - started) / 1_000);
    }
  }

  #wire(request: VaultRequest, signal: AbortSignal): Dispatcher.RequestOptions {
    const { namespace, token, body } = request;
    return {
      origin: this.#origin,
      path: this.#basePath + request.path,
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

  #answer(request: VaultRequest, { statusCode: status, headers }: Dispatcher.ResponseData, text: string): VaultAnswer {
    const body = text === "" ? {} : parseExactJson(text);
    const sent = stringsIn(request.body);
    const errors = cleaned(stringsAt(body, "errors"), sent);
    if ((status >= 300 && status < 400) || status === 412 || status === 429 || status >= 500) {
      const retryAfterMs = parseRetryAfter(headers["retry-after"]?.toString(), this.#clock.now());
      throw outage({ address: this.#origin, status, errors, retryAfterMs });
    }
    // Whatever a proxy's own page says (a 404 most of all) says nothing about what Vault holds.
    const isVaults = isJsonObject(body) && ("errors" in body || "request_id" in body);
    if (!isVaults && status !== 204 && !(status === 400 && text === "")) {
      throw nonsense(this.#origin, `${request.method} ${request.path}`, `HTTP ${status} without an answer of Vault's`);
    }
    const warnings = cleaned(stringsAt(body, "warnings"), sent);
    return { status, body: isJsonObject(body) ? body : {}, errors, warnings };
  }

  async #currentAgent(): Promise<Agent> {
    const context = await this.#tls?.current();
    if (this.#closed) throw new OperatorError("VaultUnavailable", "the operator is stopping and calls Vault no more");
    const current = this.#agent;
    if (current !== undefined && current.context === context) return current.agent;
    const { skipVerify = false, tlsServerName } = this.#options;
    const agent = new Agent({
      allowH2: false,
      connections: 64,
      keepAliveTimeout: 30_000,
      maxResponseSize: maxAnswerBytes,
      connect: {
        timeout: connectTimeoutMs,
        rejectUnauthorized: !skipVerify,
        ...(context !== undefined && { secureContext: context }),
        ...(tlsServerName !== undefined && { servername: tlsServerName }),
      },
    });
    if (current !== undefined) this.#retire(current.agent);
    this.#agent = { agent, context };
    return agent;
  }

  /**
   * Later requests get new connections; what is in flight ends on the old ones. A connection on which no answer came may
   * have been lost on the way without a word, and with it those that are idle: each would cost a request its time-out.
   */
  #retire(agent: Agent): void {
    if (this.#agent?.agent !== agent || this.#closed) return;
    this.#agent = undefined;
    agent.close().catch((error: unknown) => {
      this.#logger.warn({ error }, "closing old connections to Vault failed");
    });
  }
}

function contentTypeOf(method: VaultRequest["method"]): string {
  return method === "PATCH" ? "application/merge-patch+json" : "application/json";
}

/** Asks whether a request may (still) go out at the moment when it does: until then it may have waited for a connection. */
class Guard {
  refusal: { readonly reason: unknown } | undefined;
  readonly #ask: (() => void) | undefined;

  constructor(ask: (() => void) | undefined) {
    this.#ask = ask;
  }

  before(agent: Agent): Dispatcher {
    const ask = this.#ask;
    if (ask === undefined) return agent;
    return agent.compose((dispatch) => (options, handler) => {
      const start = handler.onRequestStart?.bind(handler);
      handler.onRequestStart = (controller, context) => {
        try {
          ask();
        } catch (reason) {
          this.refusal = { reason };
          throw reason;
        }
        start?.(controller, context);
      };
      return dispatch(options, handler);
    });
  }
}
