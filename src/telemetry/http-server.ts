// What serves the pages for those who watch the process: a few fixed paths, GET only, nothing cached.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { OperatorError } from "../base/errors.ts";

/** Where to listen; without a host on every interface, port 0 for any free one. */
export interface Address {
  readonly host?: string;
  readonly port: number;
}

/** What a page says. */
export interface Answer {
  readonly status: number;
  readonly contentType?: string;
  readonly body: string;
}

/** By path; told the query. */
export type Routes = Readonly<Record<string, (query: URLSearchParams) => Answer | Promise<Answer>>>;

/** Not listening yet. */
export function serverOf(routes: Routes): Server {
  return createServer({ requestTimeout: 10_000, headersTimeout: 5_000 }, (request, response) => {
    void respond(routes, request, response);
  });
}

async function respond(routes: Routes, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const answer = await answerOf(routes, request);
  response.writeHead(answer.status, {
    "content-type": answer.contentType ?? "text/plain; charset=utf-8",
    "content-length": Buffer.byteLength(answer.body),
    "cache-control": "no-store",
  });
  response.end(request.method === "HEAD" ? undefined : answer.body);
}

async function answerOf(routes: Routes, { method, url = "/" }: IncomingMessage): Promise<Answer> {
  const [path = "/", query = ""] = url.split("?");
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) return { status: 404, body: `not found; there is ${Object.keys(routes).join(", ")}\n` };
  if (method !== "GET" && method !== "HEAD") return { status: 405, body: "only GET and HEAD\n" };
  try {
    return await route(new URLSearchParams(query));
  } catch (error) {
    // Whoever scrapes sees it; a broken probe must not end the process that it watches.
    return { status: 500, body: `${error instanceof Error ? error.name : "Error"}\n` };
  }
}

/**
 * @returns the port in fact listened on
 * @throws OperatorError `InternalError` when the address cannot be listened on
 */
export function listening(server: Server, address: Address, purpose: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const where = `${address.host ?? ""}:${address.port}`;
      const message = `cannot listen on ${where} for ${purpose} (${error.code ?? error.name}); choose another address with --metrics-addr, --health-probe-bind-address or --debug-addr`;
      reject(new OperatorError("InternalError", message, { cause: error }));
    });
    server.listen({ port: address.port, ...(address.host !== undefined && { host: address.host }) }, () => {
      resolve(portOf(server.address()));
    });
  });
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Stops at once; requests under way are cut off. */
export function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
