// A relay of TCP connections that can lose them as a router does that forgets its table: both ends believe that they
// are connected, nothing arrives, nobody is told, while new connections work. toxiproxy can only stall all of a link.
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { freePort } from "./ports.ts";

/** A relay in this process. */
export interface Relay extends AsyncDisposable {
  /** `127.0.0.1:<port>` */
  readonly address: string;
  /** Loses every connection that there is now. @returns how many */
  lose(): number;
}

/** @param upstream `host:port` to which every connection is passed on */
export async function startRelay(upstream: string): Promise<Relay> {
  const { hostname, port } = new URL(`http://${upstream}`);
  const connections = new Set<Connection>();
  const server = createServer((near) => {
    const connection = new Connection(near, connect(Number(port), hostname));
    connections.add(connection);
    near.once("close", () => connections.delete(connection));
  });
  const listen = await freePort();
  server.listen(listen, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${listen}`,
    lose: () => [...connections].filter((connection) => connection.lose()).length,
    async [Symbol.asyncDispose]() {
      for (const connection of connections) connection.end();
      server.close();
      await once(server, "close");
    },
  };
}

/** One connection on its way through. */
class Connection {
  readonly #near: Socket;
  readonly #far: Socket;
  #isLost = false;

  constructor(near: Socket, far: Socket) {
    this.#near = near;
    this.#far = far;
    near.pipe(far).pipe(near);
    // What went wrong is told to the other side by the close that follows.
    near.on("error", () => {});
    far.on("error", () => {});
    near.once("close", () => far.destroy());
    far.once("close", () => {
      if (!this.#isLost) near.destroy();
    });
  }

  /** @returns false when it has been lost before */
  lose(): boolean {
    if (this.#isLost) return false;
    this.#isLost = true;
    this.#near.unpipe().pause();
    this.#far.unpipe().pause();
    return true;
  }

  end(): void {
    this.#near.destroy();
  }
}
