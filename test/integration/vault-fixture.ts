// What the tests of the door to Vault share: the product's Vault on the real server, an administrator beside it, and
// what was logged, so that each test can say that no secret was.
import { inspect } from "node:util";
import { systemClock } from "../../src/base/clock.ts";
import type { Logger } from "../../src/base/log.ts";
import { type PlainMap, PlainValue } from "../../src/base/plaintext.ts";
import type { Environment } from "../../src/config-reader.ts";
import { type ClosableVault, createVault, type VaultOptions } from "../../src/vault/factory.ts";
import type { Observed } from "../../src/vault/kv/engine.ts";
import type { VaultTransportOptions } from "../../src/vault/transport.ts";
import { eventually } from "../env/eventually.ts";
import { JsonClient, type JsonResponse } from "../env/http.ts";
import { uniqueName } from "../env/unique.ts";
import { vaultAuthOf } from "../gen/vault-auth.ts";

/** How a server is reached, and its root token. */
export interface Server {
  readonly address: string;
  /** Absent: the product is told no CA. */
  readonly caFile?: string;
  readonly caPem: string;
  readonly rootToken: string;
}

/** Everything that was logged, as text. */
export class Logs implements Logger {
  readonly lines: string[] = [];

  debug = (fields: object, message: string) => this.#add("debug", fields, message);
  info = (fields: object, message: string) => this.#add("info", fields, message);
  warn = (fields: object, message: string) => this.#add("warn", fields, message);
  error = (fields: object, message: string) => this.#add("error", fields, message);

  /** How many lines hold the text. */
  count(text: string): number {
    return this.lines.filter((line) => line.includes(text)).length;
  }

  #add(level: string, fields: object, message: string): void {
    this.lines.push(`${level} ${message} ${inspect(fields, { depth: 8 })}`);
  }
}

/** Options that reach a server. */
function transportTo(server: Server, changes: Partial<VaultTransportOptions> = {}): VaultTransportOptions {
  const { address, caFile } = server;
  const ca = caFile === undefined ? {} : { caCert: caFile };
  return { address, timeoutMs: 5_000, maxRetries: 2, ...ca, ...changes };
}

/** How the product's Vault is made; credentials as a user sets them, or a token alone. Without any: the root token. */
export interface VaultOnOptions
  extends Partial<Pick<VaultOptions, "beforeMutation" | "metrics" | "clock" | "serviceAccounts">> {
  readonly env?: Environment;
  readonly auth?: { readonly token: { readonly token: PlainValue } };
  readonly transport?: Partial<VaultTransportOptions>;
}

/** The product's Vault. */
export function vaultOn(
  server: Server,
  { env = {}, auth, transport, ...rest }: VaultOnOptions = {},
): { readonly vault: ClosableVault; readonly logs: Logs } {
  const logs = new Logs();
  const token = auth === undefined ? server.rootToken : String(auth.token.token.open());
  const isGiven = "VAULT_TOKEN" in env || "VAULT_TOKEN_FILE" in env;
  const vault = createVault({
    transport: transportTo(server, transport),
    auth: vaultAuthOf(isGiven ? env : { VAULT_TOKEN: token, ...env }),
    clock: systemClock,
    logger: logs,
    ...rest,
  });
  return { vault, logs };
}

/** An administrator with the root token, who shares no code with what is tested. */
export class Admin {
  readonly #client: JsonClient;

  constructor({ address, caPem, rootToken }: Server) {
    this.#client = new JsonClient(address, { caPem }, { "x-vault-token": rootToken });
  }

  /** The answer, whatever its status. */
  ask(method: string, path: string, body?: object | string): Promise<JsonResponse> {
    return this.#client.ask({ method, path: `/v1/${path}`, ...(body !== undefined && { body }) });
  }

  /** The body of a 2xx answer. */
  send(method: string, path: string, body?: object | string): Promise<JsonResponse["body"]> {
    return this.#client.send({ method, path: `/v1/${path}`, ...(body !== undefined && { body }) });
  }

  /** Mounts a KV engine under a new name. */
  async mount(engineVersion: "v1" | "v2", below = ""): Promise<string> {
    const path = `${below}${uniqueName("kv")}`;
    await this.send("POST", `sys/mounts/${path}`, { type: "kv", options: { version: engineVersion.slice(1) } });
    // A new KV v2 mount refuses requests until it has set itself up.
    if (engineVersion === "v2") await eventually(() => this.send("GET", `${path}/config`));
    return path;
  }

  /** @param rules path → capabilities; @returns the name of the new policy */
  async policy(rules: Readonly<Record<string, readonly string[]>>): Promise<string> {
    const name = uniqueName("policy");
    const path = Object.fromEntries(Object.entries(rules).map(([at, capabilities]) => [at, { capabilities }]));
    await this.send("PUT", `sys/policies/acl/${name}`, { policy: JSON.stringify({ path }) });
    return name;
  }

  /** A token with a policy of its own. */
  async token(rules: Readonly<Record<string, readonly string[]>>, options: object = {}): Promise<string> {
    const policies = [await this.policy(rules)];
    return (await this.send("POST", "auth/token/create", { policies, ttl: "1h", ...options })).auth.client_token;
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}

/** Text values as what the operator writes. */
export function plain(values: Readonly<Record<string, string>>): PlainMap {
  return new Map(Object.entries(values).map(([key, value]) => [key, new PlainValue(value)]));
}

/** What was found, with values opened. */
export function opened(observed: Observed): object {
  if (observed.state !== "present" || observed.data === undefined) return observed;
  return { ...observed, data: Object.fromEntries([...observed.data].map(([key, value]) => [key, value.open()])) };
}

/** Counts what the product asks of Vault. */
export class Requests {
  readonly list: string[] = [];
  readonly logins: string[] = [];

  requestDone = (method: string, status: string) => {
    this.list.push(`${method} ${status}`);
  };

  loginDone = (method: string, outcome: string) => {
    this.logins.push(`${method} ${outcome}`);
  };

  /** Logins, renewals and revocations are the only POSTs here. */
  get posts(): number {
    return this.list.filter((request) => request.startsWith("POST")).length;
  }
}
