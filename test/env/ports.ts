// Free ports on loopback, for servers that cannot be told to take any free one.
import { once } from "node:events";
import { createServer } from "node:net";

/** So many different ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const listeners = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(listeners.map((listener) => once(listener, "listening")));
  const ports = listeners.map((listener) => {
    const address = listener.address();
    if (address === null || typeof address === "string") throw new Error("a TCP listener has a port");
    return address.port;
  });
  // All were open at once, so no two are the same.
  await Promise.all(listeners.map((listener) => once(listener.close(), "close")));
  return ports;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  if (port === undefined) throw new Error("no free port");
  return port;
}
