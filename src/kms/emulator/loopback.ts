// The emulator never listens where another machine could reach it: it checks no signatures and its keys are not safe.

/** A listen address that was found to be on loopback. */
export interface LoopbackAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * @param listen `127.0.0.1:4599`, `localhost:0`, `[::1]:4599`
 * @throws Error when it is no `host:port`, or the host is not on loopback
 */
export function parseLoopback(listen: string): LoopbackAddress {
  const match = /^(\[[^\]]+\]|[^:]*):(\d{1,5})$/.exec(listen);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) throw new Error(`"${listen}" is no host:port; give 127.0.0.1:4599 for example`);
  const host = (match[1] ?? "").replace(/^\[(.*)\]$/, "$1");
  if (host === "localhost") return { host: "127.0.0.1", port };
  if (host === "::1" || /^127(\.\d{1,3}){3}$/.test(host)) return { host, port };
  throw new Error(
    `"${listen}" is not on loopback; the KMS emulator is for development and tests only, give 127.0.0.1:${match[2]}`,
  );
}
