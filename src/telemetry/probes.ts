// The small HTTP server for those who watch the process: /healthz (it can answer), /readyz (it does its work) and
// /metrics. Everything on the metrics address, unless the probes have one of their own.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { OperatorError } from "../base/errors.ts";

/** Where to listen; without a host on every interface, port 0 for any free one. */
interface Address {
  readonly host?: string;
  readonly port: number;
}

export interface ProbeOptions {
  /** "off": no metrics, and no probes either unless `probeAddress` says where. */
  readonly metricsAddress: Address | "off";
  /** Absent: probes are served on `metricsAddress`. */
  readonly probeAddress?: Address | "off";
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
  /** What is not ready, in words for a person (no names of objects); empty when everything is. */
  readonly notReady: () => readonly string[];
}

/** What listens, until it is closed. */
export interface ProbeServers {
  /** The ports in fact listened on. */
  readonly metricsPort: number | undefined;
  readonly probePort: number | undefined;
  /** Stops at once; requests under way are cut off. */
  close(): Promise<void>;
}

/** @throws OperatorError `InternalError` when an address cannot be listened on; nothing listens then */
export async function startProbes(options: ProbeOptions): Promise<ProbeServers> {
  const { metricsAddress, probeAddress } = options;
  const servers: Server[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(servers.map(closed));
  };
  try {
    const start = async (address: Address | "off", routes: Routes, purpose: string): Promise<number | undefined> => {
      if (address === "off") return undefined;
      const server = serverOf(routes);
      servers.push(server);
      return listening(server, address, purpose);
    };
    if (probeAddress === undefined || sameAddress(metricsAddress, probeAddress)) {
      const routes = { ...probeRoutes(options), ...metricsRoutes(options) };
      const port = await start(metricsAddress, routes, "metrics and probes");
      return { metricsPort: port, probePort: port, close };
    }
    const metricsPort = await start(metricsAddress, metricsRoutes(options), "metrics");
    const probePort = await start(probeAddress, probeRoutes(options), "probes");
    return { metricsPort, probePort, close };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Answer {
  readonly status: number;
  readonly contentType?: string;
  readonly body: string;
}

type Routes = Readonly<Record<string, () => Answer | Promise<Answer>>>;

function probeRoutes({ notReady }: ProbeOptions): Routes {
  return {
    "/healthz": () => ({ status: 200, body: "ok\n" }),
    "/readyz": () => {
      const reasons = notReady();
      if (reasons.length === 0) return { status: 200, body: "ok\n" };
      return { status: 503, body: reasons.map((reason) => `not ready: ${reason}\n`).join("") };
    },
  };
}

function metricsRoutes({ metrics }: ProbeOptions): Routes {
  return {
    "/metrics": async () => ({ status: 200, contentType: metrics.contentType, body: await metrics.text() }),
  };
}

function serverOf(routes: Routes): Server {
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
  const [path = "/"] = url.split("?");
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) return { status: 404, body: `not found; there is ${Object.keys(routes).join(", ")}\n` };
  if (method !== "GET" && method !== "HEAD") return { status: 405, body: "only GET and HEAD\n" };
  try {
    return await route();
  } catch (error) {
    // Whoever scrapes sees it; a broken probe must not end the process that it watches.
    return { status: 500, body: `${error instanceof Error ? error.name : "Error"}\n` };
  }
}

function listening(server: Server, address: Address, purpose: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const where = `${address.host ?? ""}:${address.port}`;
      const message = `cannot listen on ${where} for ${purpose} (${error.code ?? error.name}); choose another address with --metrics-addr or --health-probe-bind-address`;
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

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function sameAddress(one: Address | "off", other: Address | "off"): boolean {
  if (one === "off" || other === "off") return one === other;
  return one.port === other.port && one.host === other.host && one.port !== 0;
}
