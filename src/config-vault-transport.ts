// The part of the configuration that says how Vault is reached: the variables of Vault's own clients, and the servers and
// proxies that they name.
import type { VariableName } from "./config-reference.ts";
import {
  integer,
  type Parse,
  parseBoolean,
  parseOrigins,
  parseRateLimit,
  parseTimeout,
  parseVaultAddress,
} from "./config-values.ts";
import { isDirect, parseProxy } from "./config-vault-proxy.ts";
import type { ProxyServer, ServerAddress } from "./vault/servers.ts";
import type { VaultTransportOptions } from "./vault/transport.ts";

/** What is needed of the reader in config.ts. */
export interface VariableReader {
  /** What is wrong, one line each. */
  readonly problems: string[];
  variable<T>(name: VariableName, parse: Parse<T>, expected: string): T;
  optional<T>(name: VariableName, parse: Parse<T>, expected: string): T | undefined;
  text(name: VariableName): string | undefined;
}

/** What an address of Vault looks like. */
export const addressForm =
  "an http:// or https:// URL without credentials, such as https://vault:8200, or unix:// and the path of a socket";
const proxyForm = "an http:// or https:// URL, such as http://proxy:3128";

/** Reads it; what is wrong is added to the reader's problems. */
export function vaultTransport(read: VariableReader): VaultTransportOptions {
  const rateLimit = read.optional("VAULT_RATE_LIMIT", parseRateLimit, "requests per second, such as 10, or 10:20");
  return {
    ...vaultServers(read),
    timeoutMs: read.variable(
      "VAULT_CLIENT_TIMEOUT",
      parseTimeout,
      "a positive number of seconds or a duration such as 60s",
    ),
    maxRetries: read.variable("VAULT_MAX_RETRIES", integer(0, 100), "a whole number from 0 to 100"),
    skipVerify: read.variable("VAULT_SKIP_VERIFY", parseBoolean, "true or false"),
    ...(rateLimit && { rateLimit }),
    ...tlsFiles(read),
  };
}

function tlsFiles(read: VariableReader) {
  const files = {
    caCert: read.text("VAULT_CACERT"),
    caPath: read.text("VAULT_CAPATH"),
    clientCert: read.text("VAULT_CLIENT_CERT"),
    clientKey: read.text("VAULT_CLIENT_KEY"),
    tlsServerName: read.text("VAULT_TLS_SERVER_NAME"),
  };
  for (const name of ["VAULT_CACERT", "VAULT_CAPATH", "VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY"] as const) {
    if (read.text(name)?.includes("-----BEGIN"))
      read.problems.push(`${name}: must name a file, not hold what is in it`);
  }
  if ((files.clientCert === undefined) !== (files.clientKey === undefined)) {
    read.problems.push("VAULT_CLIENT_CERT and VAULT_CLIENT_KEY: must be set both or not at all");
  }
  return withoutUndefined(files);
}

function vaultServers(read: VariableReader): ServerAddress & Pick<VaultTransportOptions, "redirects"> {
  const agent = read.optional("VAULT_AGENT_ADDR", parseVaultAddress, addressForm);
  const vault = read.variable("VAULT_ADDR", parseVaultAddress, addressForm);
  // As in Vault's own clients, a local agent comes first.
  const address = agent ?? vault;
  const redirects =
    read.optional("VAULT_REDIRECT_ADDRS", parseOrigins, "http:// or https:// URLs, separated by commas") ?? [];
  if (address.startsWith("https:") && redirects.some((origin) => origin.startsWith("http:"))) {
    read.problems.push(
      "VAULT_REDIRECT_ADDRS: must be https:// URLs, as VAULT_ADDR is: the token is not sent in the clear",
    );
  }
  const route = (to: string) => routeTo(to, read);
  return { ...route(address), ...(redirects.length > 0 && { redirects: redirects.map(route) }) };
}

/** A server, with the proxy that is on the way to it. */
export function routeTo(address: string, read: VariableReader): ServerAddress {
  const proxy = proxyFor(address, read);
  return { address, ...(proxy && { proxy }) };
}

/** The upper-case names win, as in Go. A proxy that is not used for Vault is not looked at: it is not ours. */
function proxyFor(address: string, read: VariableReader): ProxyServer | undefined {
  if (address.startsWith("unix:")) return undefined;
  const forVault = firstSet(read, ["VAULT_PROXY_ADDR", "VAULT_HTTP_PROXY"]);
  if (forVault !== undefined) return proxyOf(forVault, read);
  const server = new URL(address);
  const isTls = server.protocol === "https:";
  const forAll = firstSet(read, isTls ? ["HTTPS_PROXY", "https_proxy"] : ["HTTP_PROXY", "http_proxy"]);
  const exempt = firstSet(read, ["NO_PROXY", "no_proxy"]);
  if (forAll === undefined || isDirect(server, (exempt && read.text(exempt)) ?? "")) return undefined;
  return proxyOf(forAll, read);
}

function firstSet(read: VariableReader, names: readonly VariableName[]): VariableName | undefined {
  return names.find((name) => read.text(name) !== undefined);
}

function proxyOf(name: VariableName, read: VariableReader): ProxyServer | undefined {
  return read.optional(name, parseProxy, proxyForm);
}

type WithoutUndefined<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

function withoutUndefined<T extends object>(object: T): WithoutUndefined<T>;
function withoutUndefined(object: object): object {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
