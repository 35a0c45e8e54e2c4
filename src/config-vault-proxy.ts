// Which proxy is on the way to Vault, by the rules of Vault's own clients: VAULT_PROXY_ADDR (else VAULT_HTTP_PROXY) is for
// every server, HTTPS_PROXY and HTTP_PROXY are not for those of NO_PROXY and never for this machine (Go's
// golang.org/x/net/http/httpproxy). Decided once, at the start, for each server that we may talk to.
import { BlockList, isIP } from "node:net";
import { PlainValue } from "./base/plaintext.ts";
import type { ProxyServer } from "./vault/servers.ts";

/**
 * Reads a proxy: a URL, or `host:port` alone. What it says of a user becomes a header, so that the rest may be printed.
 * @returns undefined for what is no http or https proxy
 */
export function parseProxy(text: string): ProxyServer | undefined {
  const url = URL.parse(/^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.hostname === "") return undefined;
  if (url.username === "" && url.password === "") return { origin: url.origin };
  try {
    const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    const authorization = new PlainValue(`Basic ${Buffer.from(credentials).toString("base64")}`);
    return { origin: url.origin, authorization };
  } catch {
    // Percent signs that encode nothing. The text is not quoted: it is a password.
    return undefined;
  }
}

/**
 * Whether HTTPS_PROXY and HTTP_PROXY are not for a server.
 * @param noProxy NO_PROXY: `*`, or hosts (with what is below them), `.domains`, addresses and networks between commas,
 *   hosts and addresses also with a port
 */
export function isDirect(server: URL, noProxy: string): boolean {
  const host = server.hostname.replace(/^\[(.*)\]$/, "$1");
  if (host === "localhost" || isWithin(host, "127.0.0.0", 8) || isWithin(host, "::1", 128)) return true;
  const port = server.port || (server.protocol === "https:" ? "443" : "80");
  return noProxy
    .toLowerCase()
    .split(",")
    .some((entry) => names(entry.trim(), host, port));
}

function names(entry: string, host: string, port: string): boolean {
  if (entry === "*") return true;
  const [, network = "", prefix] = /^([\da-f.:]+)\/(\d{1,3})$/.exec(entry) ?? [];
  if (prefix !== undefined) return isWithin(host, network, Number(prefix));
  const [, bracketed, plain, wantedPort] = /^(?:\[([^\]]*)\]|([^:]*)):([^:]*)$/.exec(entry) ?? [];
  if (wantedPort !== undefined && wantedPort !== "" && wantedPort !== port) return false;
  const name = bracketed ?? plain ?? entry;
  if (isIP(name) !== 0) return isWithin(host, name, isIP(name) === 4 ? 32 : 128);
  if (name === "" || isIP(host) !== 0) return false;
  const domain = name.startsWith("*.") ? name.slice(1) : name;
  return domain.startsWith(".") ? host.endsWith(domain) : host === domain || host.endsWith(`.${domain}`);
}

/** False also when one of them is no IP address, or the prefix is none. */
function isWithin(host: string, network: string, prefix: number): boolean {
  const [family, networkFamily] = [isIP(host), isIP(network)];
  if (family === 0 || networkFamily === 0 || prefix > (networkFamily === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  list.addSubnet(network, prefix, networkFamily === 4 ? "ipv4" : "ipv6");
  return list.check(host, family === 4 ? "ipv4" : "ipv6");
}
