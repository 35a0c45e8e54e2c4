// Free ports on loopback, for servers that cannot be told to take any free one. A server takes seconds until it listens;
// a port that the kernel hands out (listen on 0) may by then be the local end of somebody's connection. So these come from
// below the range from which the kernel gives connections their local ports: only a listener could take them meanwhile.
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:net";

/** Below the ranges of Linux (from 32768), macOS and IANA (from 49152); above what servers have by custom. */
const range = { first: 15_000, last: 31_999 };

/** So many different ports that nobody listens at, nor will a connection take them. */
export async function freePorts(count: number): Promise<number[]> {
  const listeners: Server[] = [];
  const ports: number[] = [];
  for (let tries = 0; ports.length < count && tries < 100 * count; tries += 1) {
    const port = randomInt(range.first, range.last + 1);
    const listener = createServer();
    if (await listens(listener, port)) {
      listeners.push(listener);
      ports.push(port);
    }
  }
  await Promise.all(listeners.map((listener) => once(listener.close(), "close")));
  if (ports.length < count) throw new Error(`no ${count} free ports between ${range.first} and ${range.last}`);
  return ports;
}

/** A port that nobody listens at, nor will a connection take it. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  if (port === undefined) throw new Error("no free port");
  return port;
}

async function listens(listener: Server, port: number): Promise<boolean> {
  try {
    await once(listener.listen(port, "127.0.0.1"), "listening");
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return false;
    throw error;
  }
}
