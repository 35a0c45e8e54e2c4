// A server in front of the real Vault, as load balancers, agents and sidecars are: it passes every request on, unless a
// test lets it say something of its own. It serves HTTP, HTTPS (asking for client certificates) or a unix socket.
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type SecureContextOptions, TLSSocket } from "node:tls";
import { Agent, request } from "undici";
import { freePort } from "../env/ports.ts";
import type { Server } from "./vault-fixture.ts";

/** A request that came in, as far as tests look at it. */
interface Arrived {
  readonly method: string;
  /** With the leading `/v1/`. */
  readonly path: string;
  readonly token: string | undefined;
  /** Common name in the client's certificate. */
  readonly client: string | undefined;
}

/** Answers in Vault's place, or returns false and leaves it to Vault. */
export type InPlace = (response: ServerResponse, request: IncomingMessage) => boolean;

export interface FrontOptions {
  /** Serve HTTPS; with `ca`, only to those who have a certificate of it. */
  readonly tls?: SecureContextOptions;
  /** Listen on this socket instead of a port. */
  readonly socketPath?: string;
  readonly inPlace?: InPlace;
  /** Added to what is passed on. */
  readonly headers?: Readonly<Record<string, string>>;
  /** What is passed on in place of a body of JSON. */
  readonly rewrite?: (body: object) => object;
}

export interface Front extends AsyncDisposable {
  readonly address: string;
  readonly arrived: Arrived[];
  /** How many connections have been made. */
  connections(): number;
  /** Serves another certificate, or believes another authority, from now on. */
  rotate(tls: SecureContextOptions): void;
}

/** Listens until it is disposed of. */
export async function startFront(vault: Pick<Server, "address" | "caPem">, options: FrontOptions = {}): Promise<Front> {
  const { tls, socketPath, inPlace = () => false, headers = {}, rewrite = (body) => body } = options;
  const agent = new Agent({ allowH2: false, connect: { ca: vault.caPem } });
  const arrived: Arrived[] = [];
  const listener: RequestListener = (incoming, response) => {
    const token = incoming.headers["x-vault-token"]?.toString();
    arrived.push({ method: incoming.method ?? "", path: incoming.url ?? "", token, client: clientOf(incoming) });
    if (inPlace(response, incoming)) return;
    passOn(incoming, response, { origin: vault.address, agent, added: headers, rewrite }).catch((error: unknown) => {
      response.destroy(error as Error);
    });
  };
  const secure = tls && createTlsServer({ ...tls, requestCert: tls.ca !== undefined }, listener);
  const server = secure ?? createServer(listener);
  let connections = 0;
  server.on("connection", () => {
    connections += 1;
  });
  const port = await freePort();
  await once(socketPath === undefined ? server.listen(port, "127.0.0.1") : server.listen(socketPath), "listening");
  return {
    address: socketPath === undefined ? `http${tls ? "s" : ""}://127.0.0.1:${port}` : `unix://${socketPath}`,
    arrived,
    connections: () => connections,
    rotate: (next) => secure?.setSecureContext(next),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await agent.destroy();
    },
  };
}

function clientOf({ socket }: IncomingMessage): string | undefined {
  const name = socket instanceof TLSSocket ? socket.getPeerCertificate().subject?.CN : undefined;
  return Array.isArray(name) ? name.join() : name;
}

interface Passing {
  readonly origin: string;
  readonly agent: Agent;
  readonly added: Readonly<Record<string, string>>;
  readonly rewrite: (body: object) => object;
}

async function passOn(
  incoming: IncomingMessage,
  response: ServerResponse,
  { origin, agent, added, rewrite }: Passing,
): Promise<void> {
  const text = Buffer.concat(await incoming.toArray()).toString();
  const body = text === "" ? "" : JSON.stringify(rewrite(JSON.parse(text)));
  const own = ["host", "connection", "content-length", "transfer-encoding", "proxy-connection"];
  const headers = Object.fromEntries(Object.entries(incoming.headers).filter(([name]) => !own.includes(name)));
  // A proxy is asked for the whole URL.
  const { pathname, search } = new URL(incoming.url ?? "/", origin);
  const answer = await request(origin + pathname + search, {
    method: incoming.method ?? "GET",
    dispatcher: agent,
    headers: { ...headers, ...added },
    ...(body !== "" && { body }),
  });
  const { location, "content-type": type } = answer.headers;
  response.writeHead(answer.statusCode, {
    "content-type": String(type),
    ...(typeof location === "string" && { location }),
  });
  response.end(Buffer.from(await answer.body.arrayBuffer()));
}
