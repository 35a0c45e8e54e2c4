// The HTTPS server to which the API server sends its reviews: POST of JSON to whatever path, within a size and a time;
// the serving certificate is replaced without a new start. Everything else is refused before anybody looks at it.
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { Clock } from "../base/clock.ts";
import { parseDuration } from "../base/duration.ts";
import { OperatorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Reply } from "./admission.ts";
import { Intake, readJson, type Refusal } from "./intake.ts";
import type { ServingCertificate, ServingPair } from "./serving-certificate.ts";

export interface ServerOptions {
  /** Without a host on every interface; port 0 for any free one. */
  readonly address: { readonly host?: string; readonly port: number };
  /** Its first pair has come already. */
  readonly pair: ServingPair;
  readonly certificate: ServingCertificate;
  /** @param signal aborts when the answer is due */
  readonly answer: (body: unknown, signal: AbortSignal) => Promise<Reply>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: ServerMetrics;
}

/** Where figures go. */
interface ServerMetrics {
  requestBegun(): void;
  requestEnded(): void;
  requestRefused(status: number): void;
}

/** What listens, until it is closed. */
export interface WebhookServer {
  /** In fact listened on. */
  readonly port: number;
  /** Accepts no more connections, and resolves when the requests under way are answered, or after so long. */
  close(withinMs: number): Promise<void>;
}

/** How long the API server waits when it does not say so: its own default. */
const defaultTimeoutMs = 10_000;
/** So much before that the answer is due: it has to travel, and a tenth of a short time is enough for that. */
const marginMs = 1_000;
/** A request has to be there soon: until then its body takes room from others. Looked at every second. */
const limits = {
  requestTimeout: 10_000,
  headersTimeout: 10_000,
  connectionsCheckingInterval: 1_000,
  keepAliveTimeout: 120_000,
};

/** @throws OperatorError `InternalError` when the address cannot be listened on, or the pair cannot be used */
export async function startServer(options: ServerOptions): Promise<WebhookServer> {
  const { pair, certificate, logger, address } = options;
  const intake = new Intake();
  const server = createServer({ ...limits, ...secureContext(pair) }, (request, response) => {
    void respond({ ...options, intake, isListening: () => server.listening }, request, response);
  });
  certificate.onChange((next) => {
    try {
      server.setSecureContext(secureContext(next));
    } catch (error) {
      logger.error({ error }, "a new serving certificate cannot be used; the last one is served on");
    }
  });
  const port = await listening(server, address);
  return { port, close: (withinMs) => closed(server, options.clock, withinMs) };
}

function secureContext({ cert, key }: ServingPair) {
  return { cert, key, minVersion: "TLSv1.2" as const };
}

interface Answering extends ServerOptions {
  readonly intake: Intake;
  readonly isListening: () => boolean;
}

async function respond(options: Answering, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { answer, clock, logger, metrics, intake, isListening } = options;
  metrics.requestBegun();
  const room = intake.enter();
  const due = new AbortController();
  const abort = () => due.abort();
  const timer = clock.after(timeLimit(request.url), abort);
  // Nobody waits any more.
  response.once("close", abort);
  try {
    const body = await readJson(request, room);
    if ("status" in body) metrics.requestRefused(body.status);
    const { status, body: reply } = "status" in body ? refusal(body) : await answer(body.json, due.signal);
    // Once no more connections are taken, each has its last answer.
    response.shouldKeepAlive &&= isListening();
    send(response, status, reply);
  } catch (error) {
    // The connection broke while the body came.
    logger.debug({ error }, "a request ended before it was there");
    response.destroy();
  } finally {
    timer.cancel();
    room.leave();
    metrics.requestEnded();
    response.off("close", abort);
  }
}

function send(response: ServerResponse, status: number, reply: object): void {
  const text = JSON.stringify(reply);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

/** The API server says in the query how long it waits: `?timeout=10s`. */
function timeLimit(url: string | undefined): number {
  const given = parseDuration(new URLSearchParams(url?.split("?")[1]).get("timeout") ?? "");
  const timeoutMs = given === undefined || given <= 0 ? defaultTimeoutMs : Math.min(given, 30_000);
  return timeoutMs - Math.min(marginMs, timeoutMs / 5);
}

function refusal({ status, error }: Refusal): Reply {
  return { status, body: { error } };
}

function listening(server: Server, { host, port }: ServerOptions["address"]): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const message = `cannot listen on ${host ?? ""}:${port} for reviews (${error.code ?? error.name}); choose another address with --listen-addr`;
      reject(new OperatorError("InternalError", message, { cause: error }));
    });
    server.listen({ port, ...(host !== undefined && { host }) }, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}

function closed(server: Server, clock: Clock, withinMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(withinMs, () => server.closeAllConnections());
    server.close(() => {
      timer.cancel();
      resolve();
    });
    server.closeIdleConnections();
  });
}
