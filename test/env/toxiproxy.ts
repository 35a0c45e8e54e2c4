// toxiproxy between the operator and its servers: one process, one proxy per link, told by its HTTP API to cut, stall or
// slow what passes. TLS goes through untouched; the servers' certificates are good for any port of loopback.
import { JsonClient } from "./http.ts";
import { freePort } from "./ports.ts";
import type { ProcessGroup } from "./processes.ts";

/** `upstream`: what the operator sends; `downstream`: what the server answers. */
export type Direction = "upstream" | "downstream";

/** One proxy in front of one server. */
export interface Link {
  /** `127.0.0.1:<port>`, to be reached in place of the server. */
  readonly address: string;
  /** Ends every connection and refuses new ones. */
  cut(): Promise<void>;
  /** Ends every connection by a TCP reset, new ones too. */
  reset(): Promise<void>;
  /** Nothing passes any more in that direction; connections stay open, new ones are accepted. */
  stall(direction: Direction): Promise<void>;
  /** Delays what the server answers. */
  slow(latencyMs: number, jitterMs: number): Promise<void>;
  /** Back to normal. What was stalled or reset is closed: what had been held back is lost. */
  restore(): Promise<void>;
}

export interface Toxiproxy {
  /** @param upstream `host:port` of the server */
  link(name: string, upstream: string): Promise<Link>;
}

/** Starts toxiproxy. */
export async function startToxiproxy(group: ProcessGroup, program: string): Promise<Toxiproxy> {
  const port = await freePort();
  const api = new JsonClient(`http://127.0.0.1:${port}`);
  await group.start({
    name: "toxiproxy",
    program,
    args: ["-host=127.0.0.1", `-port=${port}`],
    env: { LOG_LEVEL: "warn" },
    ready: async () => (await api.ask({ method: "GET", path: "/version" })).status === 200,
  });
  return {
    async link(name, upstream) {
      const listen = await freePort();
      const address = `127.0.0.1:${listen}`;
      await api.send({ method: "POST", path: "/proxies", body: { name, listen: address, upstream, enabled: true } });
      return new ToxiproxyLink(api, name, address);
    },
  };
}

class ToxiproxyLink implements Link {
  readonly address: string;
  readonly #api: JsonClient;
  readonly #path: string;

  constructor(api: JsonClient, name: string, address: string) {
    this.#api = api;
    this.#path = `/proxies/${name}`;
    this.address = address;
  }

  cut(): Promise<void> {
    return this.#enable(false);
  }

  reset(): Promise<void> {
    return this.#add("reset_peer", "downstream", { timeout: 0 });
  }

  stall(direction: Direction): Promise<void> {
    return this.#add("timeout", direction, { timeout: 0 });
  }

  slow(latencyMs: number, jitterMs: number): Promise<void> {
    return this.#add("latency", "downstream", { latency: latencyMs, jitter: jitterMs });
  }

  async restore(): Promise<void> {
    const toxics: { readonly name: string }[] = await this.#api.send({ method: "GET", path: `${this.#path}/toxics` });
    for (const { name } of toxics) await this.#api.send({ method: "DELETE", path: `${this.#path}/toxics/${name}` });
    await this.#enable(true);
  }

  async #add(type: string, stream: Direction, attributes: object): Promise<void> {
    await this.#api.send({ method: "POST", path: `${this.#path}/toxics`, body: { type, stream, attributes } });
  }

  async #enable(enabled: boolean): Promise<void> {
    await this.#api.send({ method: "POST", path: this.#path, body: { enabled } });
  }
}
