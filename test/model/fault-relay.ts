// Relays that end TLS between the operator and its servers and know every request that passes: the place to end the
// operator between two calls, before the server has heard of the second or before the operator has heard the answer.
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Agent, createServer, request } from "node:https";
import type { KeyPair } from "../env/certificates.ts";
import { eventually } from "../env/eventually.ts";
import { freePort } from "../env/ports.ts";

/** before: the server never hears of the call. after: it answered, and the operator never hears of that. */
export type Moment = "before" | "after";

/** Where the operator ends: at the n-th call that changes something, counted over all relays. */
export class FaultPoint {
  #remaining = Number.POSITIVE_INFINITY;
  #moment: Moment = "before";
  #strike: () => void = () => {};
  #hasStruck = false;
  #passing = 0;

  /** @param remaining calls that still pass, 0 or more */
  arm(remaining: number, moment: Moment, strike: () => void): void {
    this.#remaining = remaining;
    this.#moment = moment;
    this.#strike = strike;
  }

  /** Strikes now, whatever is on its way. */
  strike(strike: () => void): void {
    this.#strike = strike;
    this.#hit(() => {});
  }

  /** Nothing is armed any more, and calls pass again. */
  reset(): void {
    this.#remaining = Number.POSITIVE_INFINITY;
    this.#hasStruck = false;
  }

  /** True from the strike until `reset`: no call passes. */
  get hasStruck(): boolean {
    return this.#hasStruck;
  }

  /** Resolves when every call that passed has been answered. */
  async idle(): Promise<void> {
    await eventually(() => {
      if (this.#passing > 0) throw new Error(`${this.#passing} calls are still on their way`);
    });
  }

  /**
   * Lets a call pass, or strikes.
   * @param counts whether the call changes something
   * @param pass has the server answer; what it resolves to sends the answer on
   */
  async call(counts: boolean, pass: () => Promise<() => void>, lose: () => void): Promise<void> {
    if (this.#hasStruck) return lose();
    const moment = counts ? this.#count() : undefined;
    if (moment === "before") return this.#hit(lose);
    this.#passing += 1;
    try {
      const answer = await pass();
      if (moment === "after") this.#hit(lose);
      else if (this.#hasStruck) lose();
      else answer();
    } finally {
      this.#passing -= 1;
    }
  }

  #count(): Moment | undefined {
    this.#remaining -= 1;
    return this.#remaining === -1 ? this.#moment : undefined;
  }

  #hit(lose: () => void): void {
    this.#hasStruck = true;
    this.#strike();
    lose();
  }
}

export interface RelayOptions {
  /** `https://127.0.0.1:<port>` of the server. */
  readonly upstream: string;
  readonly caPem: string;
  /** As whom the relay speaks to the server, in place of whatever the operator says of itself. */
  readonly client?: KeyPair;
  /** What the relay shows to the operator. */
  readonly server: KeyPair;
  readonly point: FaultPoint;
}

/** A relay in this process. */
export interface FaultRelay extends AsyncDisposable {
  /** `https://127.0.0.1:<port>` */
  readonly url: string;
}

export async function startFaultRelay(options: RelayOptions): Promise<FaultRelay> {
  const { caPem: ca, client, point } = options;
  const agent = new Agent({ keepAlive: true, ca, ...(client && { cert: client.certPem, key: client.keyPem }) });
  const server = createServer({ cert: options.server.certPem, key: options.server.keyPem }, (near, answer) => {
    // Whatever goes wrong on the way, the operator sees a lost connection.
    const lose = () => void answer.destroy();
    void point.call(isCounted(near), () => forward(options, agent, { near, answer }), lose).catch(lose);
  });
  const port = await freePort();
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `https://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      agent.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** Calls that change something; an event changes nothing that anyone acts on, nor does the sentinel's status. */
function isCounted({ method = "", url = "" }: IncomingMessage): boolean {
  return !["GET", "HEAD", "LIST"].includes(method) && !/\/events|\/sentinel/.test(url);
}

interface Exchange {
  readonly near: IncomingMessage;
  readonly answer: ServerResponse;
}

/** Has the server answer. A watch is sent on as it comes, anything else once it is complete. */
async function forward({ upstream, client }: RelayOptions, agent: Agent, { near, answer }: Exchange) {
  const { authorization, ...headers } = near.headers;
  const far = request(`${upstream}${near.url}`, {
    agent,
    ...(near.method !== undefined && { method: near.method }),
    headers: client === undefined && authorization !== undefined ? { ...headers, authorization } : headers,
  });
  near.pipe(far);
  const [response] = (await once(far, "response")) as [IncomingMessage];
  const { statusCode = 502 } = response;
  if (near.url?.includes("watch=")) {
    return () => {
      answer.once("close", () => void far.destroy());
      answer.writeHead(statusCode, response.headers).flushHeaders();
      response.pipe(answer);
      response.once("error", () => void answer.destroy());
    };
  }
  const body = Buffer.concat(await response.toArray());
  return () => void answer.writeHead(statusCode, response.headers).end(body);
}
