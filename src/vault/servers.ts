// The servers that requests may go to: the one of VAULT_ADDR, and those that it may redirect to. A redirect is a
// standby's word for "I did nothing, ask that one"; the token follows it only to a server that was named to us.
import type { PlainValue } from "../base/plaintext.ts";
import { type RefusedRedirect, redirectRefused } from "./errors.ts";

/** A server as it is named in the configuration. */
export interface ServerAddress {
  /** `http://` or `https://` without credentials, a path prefix is kept; or `unix://` and the path of a socket. */
  readonly address: string;
  /** On the way there; absent: none. */
  readonly proxy?: ProxyServer;
}

/** A proxy. */
export interface ProxyServer {
  /** `http://` or `https://`, host and port: without credentials, so that it may be printed. */
  readonly origin: string;
  /** Value of `Proxy-Authorization`. */
  readonly authorization?: PlainValue;
}

/** A server as requests are sent to it. */
export interface VaultServer {
  /** For messages: scheme, host and port, or the socket. */
  readonly address: string;
  /** What HTTP calls it. */
  readonly origin: string;
  /** Ends in `/v1/`. */
  readonly basePath: string;
  readonly socketPath?: string;
  readonly proxy?: ProxyServer;
}

/** @param server its address has been checked (config-values.ts) */
export function serverAt({ address, proxy }: ServerAddress): VaultServer {
  if (address.startsWith("unix://")) {
    // As Vault's own clients do: plain HTTP to "localhost" through the socket.
    return { address, origin: "http://localhost", basePath: "/v1/", socketPath: address.slice("unix://".length) };
  }
  const { origin, pathname } = new URL(address);
  return { address: origin, origin, basePath: `${pathname.replace(/\/+$/, "")}/v1/`, ...(proxy && { proxy }) };
}

/** An answer 3xx. */
export interface Redirect {
  readonly status: number;
  readonly location: string | undefined;
  /** Who answered. */
  readonly from: VaultServer;
  /** What was asked. */
  readonly request: { readonly method: string; readonly path: string };
}

/**
 * The server that a redirect names. Only the server is taken from it: Vault writes the path anew there and loses how it
 * was encoded, so ours is sent again.
 * @param allowed to which it may lead besides the server that answered
 * @throws VaultCallError when it must not be followed; the message names the host and VAULT_REDIRECT_ADDRS
 */
export function redirectTarget(redirect: Redirect, allowed: readonly VaultServer[]): VaultServer {
  const { status, location, from, request } = redirect;
  const target = location === undefined ? null : URL.parse(location, from.origin + from.basePath);
  const refusal = (reason: RefusedRedirect["reason"]) =>
    redirectRefused({ address: from.address, status, origin: target?.origin, reason });
  // 301 and 302 do not say that the request is to be sent as it was.
  const keepsRequest = status === 307 || status === 308 || (request.method === "GET" && [301, 302].includes(status));
  if (target === null || !keepsRequest || !isAbout(target.pathname, request.path)) throw refusal("notVaults");
  if (from.origin.startsWith("https:") && target.protocol !== "https:") throw refusal("inTheClear");
  const server = [from, ...allowed].find(({ origin }) => origin === target.origin);
  if (server === undefined) throw refusal("notNamed");
  return server;
}

/** Whether a redirect is about the request's own path, whatever stands before it. */
function isAbout(pathname: string, requestPath: string): boolean {
  const asked = requestPath.replace(/\?.*$/, "");
  return pathname.includes("/v1/") && decoded(pathname).endsWith(`/${decoded(asked)}`);
}

/** Undefined texts would all be equal. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    // Not encoded as URLs are: then it can only be compared as it is.
    return path;
  }
}
