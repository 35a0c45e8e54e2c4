// Every authentication method on every server that has it: OpenBao's own backends, and HashiCorp's as plugins. One
// table (authentication-methods.ts) says what differs; what holds for all stands here.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { type Config, loadConfig } from "../../src/config.ts";
import { type ClosableVault, createVault } from "../../src/vault/factory.ts";
import type { AuthMethod } from "../../src/vault/vault.ts";
import { pluginTypes, vaultWithAuthPlugins } from "../env/auth-plugins.ts";
import { testEnv } from "../env/context.ts";
import type { VaultInfo } from "../env/openbao.ts";
import { type LoginServers, startLoginServers } from "../env/login-servers.ts";
import { mountKv, uniqueName } from "../env/unique.ts";
import { VaultClient } from "../env/vault-client.ts";
import { Logs, plain } from "../integration/vault-fixture.ts";
import { awsServerId, type Credentials, fileVariable, type MethodRow, methodRows } from "./authentication-methods.ts";

type Environment = Readonly<Record<string, string | undefined>>;

const cleanUp = new AsyncDisposableStack();
const page = await readFile(join(import.meta.dirname, "../../docs/reference/authentication.md"), "utf8");
const policy = uniqueName("matrix");
const shared = testEnv();
let info: VaultInfo;
let vault: VaultClient;
let servers: LoginServers;
let namespace: string;
let directory: string;
let kv: string;

beforeAll(async () => {
  namespace = await shared.freshNamespace();
  info = cleanUp.use(await vaultWithAuthPlugins()).info;
  vault = new VaultClient(info);
  servers = cleanUp.use(await startLoginServers());
  directory = await mkdtemp(join(tmpdir(), "authentication-"));
  cleanUp.defer(() => rm(directory, { recursive: true }));
  kv = await mountKv(vault, "v1");
  const path = { [`${kv}/*`]: { capabilities: ["create", "read", "update", "delete"] } };
  await vault.write(`sys/policies/acl/${policy}`, { policy: JSON.stringify({ path }) });
});
afterAll(() => cleanUp.disposeAsync());

const cells = methodRows.flatMap((row) => [
  ...(row.hashicorpOnly ? [] : [{ ...row, server: "OpenBao", type: row.backend }]),
  { ...row, server: "HashiCorp", type: pluginTypes[row.backend as keyof typeof pluginTypes] },
]);

describe.each(cells)("$method on the backend of $server", (row) => {
  let mount: string;
  let credentials: Credentials;

  beforeAll(async () => {
    ({ mount, credentials } = await setUp(row, row.type));
  });

  test("writes, and leaves no token behind", async () => {
    await using operator = product(row.method, await given(row, credentials, await credentials.right()));
    await operator.write();
    expect(await tokensOf(mount)).toHaveLength(1);
    await operator.close();
    expect(await tokensOf(mount)).toEqual([]);
  });

  test("a wrong credential is refused, with what to check and without the credential", async () => {
    const wrong = await credentials.wrong();
    await using operator = product(row.method, await given(row, credentials, wrong));
    const failure = await operator.write().then(
      () => undefined,
      (error: Error) => error,
    );
    expect(failure).toMatchObject({ code: "VaultLoginFailed", message: expect.stringContaining(`auth/${mount}/`) });
    expect(failure?.message).toMatch(/check .*VAULT_/);
    expect(refusalsOnPage(row.method).filter((text) => failure?.message.includes(text))).not.toEqual([]);
    for (const secret of Object.values(wrong)) expect(`${failure?.message} ${operator.log()}`).not.toContain(secret);
    expect(await tokensOf(mount)).toEqual([]);
  });

  test("a file with the credential is read at each login", async () => {
    const right = await credentials.right();
    await using operator = product(row.method, {
      ...credentials.env,
      ...endpoint(row, mount),
      ...(await files(right)),
    });
    await operator.write();
    await endLogins(mount);
    await files(await credentials.wrong());
    // Certificates are looked at once a second.
    operator.pass(2_000);
    await expect(operator.write()).rejects.toMatchObject({ code: "VaultLoginFailed" });
    await files(right);
    // The backoff of a refused login ends, too.
    operator.pass(2_000);
    await operator.write();
    expect(operator.log()).not.toContain(Object.values(right)[0]);
  });

  /** The credential by variables where that can be, else by files. */
  async function given({ filesOnly }: MethodRow, { env }: Credentials, secrets: Environment): Promise<Environment> {
    return { ...env, ...endpoint(row, mount), ...(filesOnly ? await files(secrets) : secrets) };
  }
});

describe("token", () => {
  const method = "token";
  const token = async () =>
    (await vault.write("auth/token/create", { policies: [policy], ttl: "1h", no_parent: true })).auth.client_token;
  const isKnown = async (given: string) =>
    (await new VaultClient(info, given).ask({ method: "GET", path: "/v1/auth/token/lookup-self" })).status === 200;

  test("writes, and leaves the token that it was given", async () => {
    const right = await token();
    await using operator = product(method, { VAULT_TOKEN: right });
    await operator.write();
    await operator.close();
    expect(await isKnown(right)).toBe(true);
    expect(operator.log()).not.toContain(right);
  });

  test("a wrong token is refused, with what to do and without the token", async () => {
    const wrong = uniqueName("no-token");
    await using operator = product(method, { VAULT_TOKEN: wrong });
    const [message] = refusalsOnPage(method);
    await expect(operator.write()).rejects.toMatchObject({
      code: "VaultLoginFailed",
      message: expect.stringMatching(`^${message}.*VAULT_TOKEN.*`),
    });
    expect(operator.log()).not.toContain(wrong);
  });

  test("another token in its file is taken when Vault does not know the old one any more", async () => {
    const [first, second] = [await token(), await token()];
    await using operator = product(method, await files({ VAULT_TOKEN: first }));
    await operator.write();
    await files({ VAULT_TOKEN: second });
    await vault.write("auth/token/revoke", { token: first });
    await operator.write();
    expect(await isKnown(second)).toBe(true);
  });
});

test("github: the owner of a token who is no member of the organisation is refused as well", async () => {
  const row = methodRows.find(({ method }) => method === "github") as MethodRow;
  const { mount, credentials } = await setUp(row, "github");
  const others = { organization: "others", organization_id: 1, base_url: servers.github.url };
  await vault.write(`auth/${mount}/config`, others);
  await using operator = product("github", { ...endpoint(row, mount), ...(await credentials.right()) });
  await expect(operator.write()).rejects.toMatchObject({ code: "VaultLoginFailed" });
});

describe("iam", () => {
  const row = methodRows.find(({ method }) => method === "iam") as MethodRow;
  let mount: string;
  let env: Environment;

  beforeAll(async () => {
    const found = await setUp(row, "aws");
    ({ mount } = found);
    env = { ...found.credentials.env, ...endpoint(row, mount), ...(await found.credentials.right()) };
  });

  test("a header for another Vault is refused", async () => {
    await using operator = product("iam", { ...env, VAULT_IAM_SERVER_ID: `not-${awsServerId}` });
    await expect(operator.write()).rejects.toMatchObject({
      code: "VaultLoginFailed",
      message: expect.stringContaining("VAULT_IAM_SERVER_ID"),
    });
  });

  test("without the pair the keys come from the chain of the AWS SDK", async () => {
    const { VAULT_IAM_AWS_ACCESS_KEY_ID: id, VAULT_IAM_AWS_SECRET_ACCESS_KEY: secret, ...rest } = env;
    vi.stubEnv("AWS_ACCESS_KEY_ID", id);
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", secret);
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    await using operator = product("iam", rest);
    await operator.write();
  });

  test("the STS of a region is signed for that region", async () => {
    const regional = { ...env, VAULT_IAM_STS_ENDPOINT: "https://sts.eu-central-1.amazonaws.com" };
    await using operator = product("iam", regional);
    await operator.write();
  });

  test("without VAULT_IAM_ROLE the role is the principal's name", async () => {
    await using operator = product("iam", { ...env, VAULT_IAM_ROLE: undefined });
    await operator.write();
  });
});

/** Enables a backend and sets the method up on it. */
async function setUp(row: MethodRow, type: string): Promise<{ mount: string; credentials: Credentials }> {
  const mount = uniqueName(row.method);
  await vault.write(`sys/auth/${mount}`, { type });
  const cluster = { kubernetes: shared.stack.kubernetes, kube: shared.kube, namespace };
  return { mount, credentials: await row.setUp({ vault, mount, policy, servers, ...cluster }) };
}

function endpoint({ endpointVariable }: MethodRow, mount: string): Environment {
  return { [endpointVariable]: `auth/${mount}/login` };
}

/** Writes secrets to files, over those that are there. @returns the variables that name the files */
async function files(secrets: Environment): Promise<Environment> {
  const named: Record<string, string> = {};
  for (const [variable, content = ""] of Object.entries(secrets)) {
    const file = join(directory, variable);
    await writeFile(file, `${content}\n`, { mode: 0o600 });
    named[fileVariable(variable)] = file;
  }
  return named;
}

/** The operator's door to Vault, as it is made from an environment. */
function product(method: AuthMethod, env: Environment): Product {
  const loaded = loadConfig({ flags: {}, env: { VAULT_ADDR: info.address, VAULT_CACERT: info.caFile, ...env } });
  if ("problems" in loaded) throw new Error(loaded.problems.join("\n"));
  return new Product(loaded.config.vault, method);
}

class Product implements AsyncDisposable {
  readonly #vault: ClosableVault;
  readonly #method: AuthMethod;
  readonly #logs = new Logs();
  #passedMs = 0;

  constructor(options: Config["vault"], method: AuthMethod) {
    const monotonic = () => systemClock.monotonic() + this.#passedMs;
    this.#vault = createVault({ ...options, logger: this.#logs, clock: { ...systemClock, monotonic } });
    this.#method = method;
  }

  /** Lets time pass for the operator, so that nobody has to wait. */
  pass(ms: number): void {
    this.#passedMs += ms;
  }

  /** Writes a value to a path of its own, and makes sure that it is there. */
  async write(): Promise<void> {
    const access = this.#vault.access({ method: this.#method, namespace: "" });
    const path = `${kv}/${uniqueName(this.#method)}`;
    await access.write(await access.resolve(path), plain({ k: path }));
    expect(await vault.read(path)).toEqual({ k: path });
  }

  log(): string {
    return this.#logs.lines.join("\n");
  }

  close(): Promise<void> {
    return this.#vault.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The texts of refusals for which the method's section of the page says what to do. */
function refusalsOnPage(method: AuthMethod): string[] {
  const section = page.split(/^## /m).find((text) => text.startsWith(`\`${method}\``)) ?? "";
  const [, refusals = ""] = section.split("**When it is refused.**");
  return [...refusals.matchAll(/\*([^*]+)\*/g)].map(([, text = ""]) => text.replaceAll(/\s+/g, " "));
}

/** The accessors of the tokens that logins at a mount made. */
async function tokensOf(mount: string): Promise<string[]> {
  const found: string[] = [];
  for (const accessor of await vault.list("auth/token/accessors")) {
    const answer = await vault.ask({
      method: "POST",
      path: "/v1/auth/token/lookup-accessor",
      body: { accessor },
    });
    // A token may end while we look.
    if (answer.status === 200 && answer.body.data.path.startsWith(`auth/${mount}/`)) found.push(accessor);
  }
  return found;
}

async function endLogins(mount: string): Promise<void> {
  for (const accessor of await tokensOf(mount)) await vault.write("auth/token/revoke-accessor", { accessor });
}
