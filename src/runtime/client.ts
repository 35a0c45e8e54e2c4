// The only door to the API server, on undici: pooled HTTP/1.1 connections (one Agent per TLS identity, replaced when
// the CA or a certificate changes), a time-out on every call, retries of what is safe to repeat, typed errors, and a
// guard that is asked before each mutation, so that a process which lost its Lease issues none.
import { Agent, type Dispatcher } from "undici";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { type RateLimit, RateLimiter } from "../base/rate-limit.ts";
import { Credentials, type KubeConnection, type TlsIdentity } from "./connection.ts";
import { guardBy, Refused } from "./guard.ts";
import { KubeError, kubeErrorOf } from "./kube-error.ts";
import { noMetrics, type RuntimeMetrics } from "./metrics.ts";
import type { Resource } from "./objects.ts";
import { type Patch, wirePatch } from "./patch.ts";
import { retryDelay, timeoutError, transportError } from "./request-retry.ts";
import { parseWatchEvent, splitLines, type WatchEvent } from "./watch-stream.ts";
import {
  type ListPage,
  type ObjectRef,
  parseErrorBody,
  parseJson,
  parseListPage,
  type Query,
  queryString,
  resourcePath,
} from "./wire.ts";

/** Options of every call. */
export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Per attempt, ms; 30,000 when absent. For a watch: until its headers. */
  readonly timeoutMs?: number;
  /** Retries after the first attempt; 4 when absent. */
  readonly maxRetries?: number;
  /** Skips `beforeMutation`: for the calls that keep the Lease itself. */
  readonly unguarded?: boolean;
}

export interface ListOptions extends CallOptions {
  /** Absent: all namespaces. */
  readonly namespace?: string;
  readonly limit?: number;
  readonly continue?: string;
  /** Absent: the newest state. */
  readonly resourceVersion?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface WatchOptions extends CallOptions {
  readonly namespace?: string;
  readonly resourceVersion: string;
  /** The server ends the watch after so long. */
  readonly timeoutSeconds?: number;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Called when the server has accepted the watch, before the first event. */
  readonly onOpen?: () => void;
}

export interface KubeClientOptions {
  readonly connection: KubeConnection;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly userAgent: string;
  readonly metrics?: RuntimeMetrics;
  /** Of calls, retries included; absent: no limit but the API server's own. */
  readonly rateLimit?: RateLimit;
  /** Throws when this process may not write (now): see LeaderElector.assertLeading. */
  readonly beforeMutation?: () => void;
}

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

interface Call {
  readonly method: Method;
  readonly path: string;
  readonly query?: Query;
  readonly body?: unknown;
  readonly contentType?: string;
}

const defaultTimeoutMs = 30_000;
const defaultRetries = 4;

/** Calls reject with KubeError, with what `beforeMutation` throws, or with the signal's reason when aborted. */
export class KubeClient {
  readonly #options: KubeClientOptions;
  readonly #credentials: Credentials;
  readonly #origin: string;
  readonly #basePath: string;
  readonly #limiter: RateLimiter | undefined;
  #agent: { readonly agent: Agent; readonly tls: TlsIdentity } | undefined;

  constructor(options: KubeClientOptions) {
    const server = new URL(options.connection.server);
    this.#options = options;
    this.#origin = server.origin;
    this.#basePath = server.pathname.replace(/\/+$/, "");
    this.#credentials = new Credentials(options.connection, options);
    if (options.rateLimit) this.#limiter = new RateLimiter(options.rateLimit, options.clock);
  }

  get<T>(resource: Resource, ref: ObjectRef, options: CallOptions = {}): Promise<T> {
    return this.#json<T>({ method: "GET", path: resourcePath(resource, ref) }, options);
  }

  /**
   * One page.
   * @throws KubeError, 410 `Expired` among others when the continue token is too old; `InvalidResponse` when a 200
   *   holds no list, so that nonsense never reads as "there is nothing"
   */
  async list<T>(resource: Resource, options: ListOptions = {}): Promise<ListPage<T>> {
    const { namespace, limit, continue: token, resourceVersion, labelSelector, fieldSelector, ...call } = options;
    const path = resourcePath(resource, { namespace });
    const query = { limit, continue: token, resourceVersion, labelSelector, fieldSelector };
    const { text } = await this.#send({ method: "GET", path, query }, call, false);
    return parseListPage<T>(text, `GET ${path}`);
  }

  /** POST to a collection, or to an object's subresource when `ref` names one. */
  create<T>(resource: Resource, ref: ObjectRef, body: object, options: CallOptions = {}): Promise<T> {
    return this.#json<T>({ method: "POST", path: resourcePath(resource, ref), body }, options);
  }

  /** PUT; with `metadata.resourceVersion` in the body it conflicts when the object has changed since. */
  replace<T>(resource: Resource, ref: ObjectRef, body: object, options: CallOptions = {}): Promise<T> {
    return this.#json<T>({ method: "PUT", path: resourcePath(resource, ref), body }, options);
  }

  patch<T>(resource: Resource, ref: ObjectRef, patch: Patch, options: CallOptions = {}): Promise<T> {
    return this.#json<T>({ method: "PATCH", path: resourcePath(resource, ref), ...wirePatch(patch) }, options);
  }

  /** @param body DeleteOptions, such as preconditions */
  async delete(resource: Resource, ref: ObjectRef, body?: object, options: CallOptions = {}): Promise<void> {
    const path = resourcePath(resource, ref);
    await this.#json({ method: "DELETE", path, ...(body !== undefined && { body }) }, options);
  }

  /**
   * Events from `resourceVersion` on, bookmarks among them, until the server ends the watch.
   * @throws KubeError; an ERROR event of the stream is thrown as the KubeError it describes, so 410 looks the same
   *   whether it came as HTTP status or inside the stream
   */
  async *watch<T>(resource: Resource, options: WatchOptions): AsyncGenerator<WatchEvent<T>, void> {
    const { namespace, resourceVersion, timeoutSeconds, labelSelector, fieldSelector, onOpen, ...call } = options;
    const path = resourcePath(resource, { namespace });
    const query = { watch: true, allowWatchBookmarks: true, resourceVersion, timeoutSeconds };
    const what = `WATCH ${path}`;
    const selectors = { labelSelector, fieldSelector };
    const { body } = await this.#send({ method: "GET", path, query: { ...query, ...selectors } }, call, true);
    onOpen?.();
    try {
      for await (const line of splitLines(body)) yield parseWatchEvent<T>(line, what);
    } catch (error) {
      options.signal?.throwIfAborted();
      throw transportError(what, error);
    } finally {
      body.destroy();
    }
  }

  /**
   * Ends all connections, open watches included; what began before TLS files were replaced ends by its own signal.
   */
  async close(): Promise<void> {
    await this.#agent?.agent.destroy();
  }

  async #json<T>(call: Call, options: CallOptions): Promise<T> {
    const { text } = await this.#send(call, options, false);
    return parseJson(text, `${call.method} ${call.path}`);
  }

  /** Sends with retries; `text` is the whole body unless it is to be streamed. */
  async #send(call: Call, options: CallOptions, stream: boolean): Promise<Answer> {
    const mutation = call.method !== "GET";
    let refreshed = false;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#attempt(call, options, stream);
      } catch (error) {
        if (!(error instanceof KubeError)) throw error;
        const { signal, maxRetries = defaultRetries } = options;
        if (error.status === 401 || error.reason === "ConnectionFailed") this.#credentials.invalidate();
        const renewed: boolean = error.status === 401 && !refreshed;
        refreshed ||= renewed;
        const delay = renewed ? 0 : retryDelay(error, attempt, mutation);
        if (delay === undefined || attempt >= maxRetries) throw error;
        const { status, reason } = error;
        this.#options.logger.debug({ method: call.method, path: call.path, status, reason, delay }, "retrying");
        await this.#options.clock.sleep(delay, signal);
        signal?.throwIfAborted();
      }
    }
  }

  async #attempt(call: Call, options: CallOptions, stream: boolean): Promise<Answer> {
    const { clock, metrics = noMetrics } = this.#options;
    const { signal, timeoutMs = defaultTimeoutMs } = options;
    const heldBackMs = await this.#limiter?.turn(signal);
    signal?.throwIfAborted();
    if (heldBackMs !== undefined) metrics.requestHeldBack(call.method, heldBackMs / 1_000);
    const what = `${call.method} ${call.path}`;
    const abort = new AbortController();
    const passOn = () => abort.abort(signal?.reason);
    signal?.addEventListener("abort", passOn, { once: true });
    const timer = clock.after(timeoutMs, () => abort.abort(timeoutError(what, timeoutMs)));
    const stopListening = () => signal?.removeEventListener("abort", passOn);
    let listening = false;
    let code = "<error>";
    try {
      const guarded = call.method !== "GET" && !options.unguarded;
      const { statusCode, headers, body } = await this.#request(call, abort.signal, guarded);
      code = String(statusCode);
      if (stream && statusCode < 300) {
        listening = true;
        body.once("close", stopListening);
        return { text: "", body };
      }
      const text = await body.text();
      if (statusCode < 300) return { text, body };
      throw kubeErrorOf(what, statusCode, parseErrorBody(text), String(headers["retry-after"] ?? "") || undefined);
    } catch (error) {
      if (error instanceof KubeError && error.status !== 0) throw error;
      if (error instanceof Refused) throw error.cause;
      abort.signal.throwIfAborted();
      throw transportError(what, error);
    } finally {
      timer.cancel();
      metrics.requestDone(call.method, code);
      if (!listening) stopListening();
    }
  }

  async #request(call: Call, signal: AbortSignal, guarded: boolean): Promise<Dispatcher.ResponseData> {
    const [agent, token] = await Promise.all([this.#currentAgent(), this.#credentials.token()]);
    signal.throwIfAborted();
    const { beforeMutation } = this.#options;
    const door = guarded && beforeMutation !== undefined ? agent.compose(guardBy(beforeMutation)) : agent;
    return door.request({
      origin: this.#origin,
      path: this.#basePath + call.path + queryString(call.query ?? {}),
      method: call.method,
      signal,
      headersTimeout: 0,
      bodyTimeout: 0,
      headers: {
        accept: "application/json",
        "user-agent": this.#options.userAgent,
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(call.body !== undefined && { "content-type": call.contentType ?? "application/json" }),
      },
      ...(call.body !== undefined && { body: JSON.stringify(call.body) }),
    });
  }

  async #currentAgent(): Promise<Agent> {
    const tls = await this.#credentials.tls();
    const current = this.#agent;
    if (current?.tls === tls) return current.agent;
    const { insecureSkipTlsVerify = false, tlsServerName } = this.#options.connection;
    const agent = new Agent({
      allowH2: false,
      keepAliveTimeout: 60_000,
      connect: {
        ...tls,
        timeout: 10_000,
        rejectUnauthorized: !insecureSkipTlsVerify,
        ...(tlsServerName !== undefined && { servername: tlsServerName }),
      },
    });
    this.#agent = { agent, tls };
    // Calls and watches in flight finish on the old connections.
    current?.agent.close().catch((error: unknown) => {
      this.#options.logger.warn({ error }, "closing connections of an old TLS identity failed");
    });
    return agent;
  }
}

/** `text` of an answer that was read, `body` of one that is streamed. */
interface Answer {
  readonly text: string;
  readonly body: Dispatcher.ResponseData["body"];
}
