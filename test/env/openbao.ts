// OpenBao as a server of its own (not -dev): TLS, initialised, unsealed, with a file audit device by which tests count
// and inspect requests. No secrets engine is mounted; tests mount their own.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createAuthority } from "./certificates.ts";
import { JsonClient } from "./http.ts";
import { freePorts } from "./ports.ts";
import type { ProcessGroup, Server } from "./processes.ts";

/** How Vault is reached as root. Plain data: it crosses to the test workers. */
export interface VaultInfo {
  readonly address: string;
  readonly caFile: string;
  readonly caPem: string;
  readonly rootToken: string;
  readonly unsealKey: string;
  /** File of one JSON line per request and per response, written before the client gets its answer. */
  readonly auditLog: string;
}

/** A running Vault. */
export interface Vault {
  readonly info: VaultInfo;
  seal(): Promise<void>;
  unseal(): Promise<void>;
  /** Ends the process. Data stays only when it was started as `persistent`. */
  stop(): Promise<void>;
  /** Starts it again on the same port, sealed. */
  start(): Promise<void>;
  /**
   * Serves a certificate of a new authority from now on. `caFile` still holds the old one: who replaces it, and when, is
   * the test's to say.
   * @returns the new authority's certificate
   */
  rotate(): Promise<string>;
}

export interface VaultOptions {
  /** Keep data in files, so that `stop` and `start` lose nothing. Default: in memory. */
  readonly persistent?: boolean;
  /** Name of its directory and log, when a stack has more than one. */
  readonly name?: string;
  /** Programs of this directory may be registered as plugins (auth-plugins.ts). */
  readonly pluginDirectory?: string;
}

/** Starts OpenBao and unseals it. */
export async function startVault(group: ProcessGroup, program: string, options: VaultOptions = {}): Promise<Vault> {
  const name = options.name ?? "openbao";
  const directory = join(group.directory, name);
  mkdirSync(join(directory, "data"), { recursive: true });
  const [authority, [port = 0, clusterPort = 0]] = await Promise.all([createAuthority("vault test CA"), freePorts(2)]);
  const { certPem, keyPem } = await authority.server("openbao");
  const address = `https://127.0.0.1:${port}`;
  const file = (fileName: string) => join(directory, fileName);
  writeFileSync(file("ca.crt"), authority.caPem);
  writeFileSync(file("server.crt"), certPem);
  writeFileSync(file("server.key"), keyPem, { mode: 0o600 });
  const { persistent = false, pluginDirectory } = options;
  writeFileSync(file("config.hcl"), configurationOf({ directory, port, clusterPort, persistent, pluginDirectory }));

  const client = new JsonClient(address, { caPem: authority.caPem });
  const start = () =>
    group.start({
      name,
      program,
      args: ["server", `-config=${file("config.hcl")}`, "-log-level=warn"],
      // 200 active, 501 not initialised, 503 sealed: all of them answer, which is what counts.
      ready: async () => (await client.ask({ method: "GET", path: "/v1/sys/health" })).status > 0,
    });
  let server: Server = await start();
  const init = await client.send({
    method: "PUT",
    path: "/v1/sys/init",
    body: { secret_shares: 1, secret_threshold: 1 },
  });
  const info: VaultInfo = {
    address,
    caFile: file("ca.crt"),
    caPem: authority.caPem,
    rootToken: init.root_token,
    unsealKey: init.keys_base64[0],
    auditLog: file("audit.log"),
  };
  await unsealVault(client, info);
  return {
    info,
    async seal() {
      await client.send({ method: "PUT", path: "/v1/sys/seal", headers: { "x-vault-token": info.rootToken } });
    },
    unseal: () => unsealVault(client, info),
    stop: () => server.stop(),
    async start() {
      server = await start();
    },
    async rotate() {
      const next = await createAuthority("vault test CA, the next");
      const pair = await next.server("openbao");
      writeFileSync(file("server.crt"), pair.certPem);
      writeFileSync(file("server.key"), pair.keyPem, { mode: 0o600 });
      server.signal("SIGHUP");
      return next.caPem;
    },
  };
}

/** Unseals and resolves when Vault is active. */
async function unsealVault(client: JsonClient, info: VaultInfo): Promise<void> {
  await client.send({ method: "PUT", path: "/v1/sys/unseal", body: { key: info.unsealKey } });
  const until = performance.now() + 30_000;
  while ((await client.ask({ method: "GET", path: "/v1/sys/health" })).status !== 200) {
    if (performance.now() > until) throw new Error("Vault was not active within 30 s of its unsealing");
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
}

/** Enough for an object with thousands of keys. */
const jsonStrings = 100_000;

interface Shape {
  readonly directory: string;
  readonly port: number;
  readonly clusterPort: number;
  readonly persistent: boolean;
  readonly pluginDirectory: string | undefined;
}

function configurationOf({ directory, port, clusterPort, persistent, pluginDirectory }: Shape): string {
  const file = (name: string) => JSON.stringify(join(directory, name));
  return `
storage ${
    persistent
      ? `"raft" {
  path = ${file("data")}
  # Elections in tenths of a second: there is one node and no network.
  performance_multiplier = "1"
}`
      : '"inmem" {}'
  }
listener "tcp" {
  address         = "127.0.0.1:${port}"
  cluster_address = "127.0.0.1:${clusterPort}"
  tls_cert_file   = ${file("server.crt")}
  tls_key_file    = ${file("server.key")}
  # The default of 1,000 strings refuses every secret of 500 keys or more.
  max_request_json_strings = ${jsonStrings}
}
audit "file" "to-file" {
  options { file_path = ${file("audit.log")} }
}
api_addr          = "https://127.0.0.1:${port}"
cluster_addr      = "https://127.0.0.1:${clusterPort}"
default_lease_ttl = "1h"
max_lease_ttl     = "24h"
${pluginDirectory === undefined ? "" : `plugin_directory  = ${JSON.stringify(pluginDirectory)}`}
`;
}
