// An HTTP server on loopback for the faults that a real API server cannot be made to commit on demand: answers that
// never come, streams that break in the middle, events that expire, nonsense. What it answers is up to each test.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request as the test sees it. */
interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export type Answer = (asked: Asked, response: ServerResponse) => void;

export interface FaultServer extends AsyncDisposable {
  readonly url: string;
  /** Every request so far, in order. */
  readonly asked: readonly Asked[];
  /** Connections that were made to it. */
  readonly connections: () => number;
  /** Replaces the way of answering. */
  answer: Answer;
}

/** Starts one; `await using` ends it with all its connections. */
export async function startFaultServer(answer: Answer): Promise<FaultServer> {
  const asked: Asked[] = [];
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const url = new URL(request.url ?? "/", "http://127.0.0.1");
    const body = Buffer.concat(chunks).toString("utf8");
    const one = {
      method: request.method ?? "",
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body,
    };
    asked.push(one);
    server.answer(one, response);
  };
  const http = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  let connections = 0;
  http.on("connection", () => {
    connections += 1;
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const address = http.address() as AddressInfo;
  const server: FaultServer = {
    url: `http://127.0.0.1:${address.port}`,
    asked,
    connections: () => connections,
    answer,
    async [Symbol.asyncDispose]() {
      http.closeAllConnections();
      http.close();
      await once(http, "close");
    },
  };
  return server;
}

/** Answers with JSON. */
export function json(
  response: ServerResponse,
  body: unknown,
  status = 200,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}

/** Answers with a Status, as the API server does for failures. */
export function failure(
  response: ServerResponse,
  code: number,
  reason: string,
  headers: Record<string, string> = {},
): void {
  json(response, { kind: "Status", apiVersion: "v1", status: "Failure", message: "no", reason, code }, code, headers);
}
