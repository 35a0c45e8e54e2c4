// The small HTTP server for those who watch the process: /healthz (it can answer), /readyz (it does its work) and
// /metrics. Everything on the metrics address, unless the probes have one of their own.
import type { Server } from "node:http";
import { type Address, closed, listening, type Routes, serverOf } from "./http-server.ts";

export interface ProbeOptions {
  /** "off": no metrics, and no probes either unless `probeAddress` says where. */
  readonly metricsAddress: Address | "off";
  /** Absent: probes are served on `metricsAddress`. */
  readonly probeAddress?: Address | "off";
  /** Where on it, besides `/metrics`: the original's webhook has them at `/`. */
  readonly metricsPath?: string;
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

function metricsRoutes({ metrics, metricsPath = "/metrics" }: ProbeOptions): Routes {
  const page = async () => ({ status: 200, contentType: metrics.contentType, body: await metrics.text() });
  return { "/metrics": page, [metricsPath]: page };
}

function sameAddress(one: Address | "off", other: Address | "off"): boolean {
  if (one === "off" || other === "off") return one === other;
  return one.port === other.port && one.host === other.host && one.port !== 0;
}
