// Vault by way of a proxy: tunnels (CONNECT) to an https address, plain requests to an http one. VAULT_PROXY_ADDR is what
// is tried, because HTTPS_PROXY and HTTP_PROXY are never for loopback; which of them counts is a pure function with tests
// of its own (src/config-vault-proxy.test.ts, src/config.test.ts).
import { once } from "node:events";
import { createServer, type Server as HttpServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect } from "node:net";
import type { SecureContextOptions } from "node:tls";
import { expect, test } from "vitest";
import type { OperatorError } from "../../src/base/errors.ts";
import { parseProxy } from "../../src/config-vault-proxy.ts";
import { createAuthority } from "../env/certificates.ts";
import { testEnv } from "../env/context.ts";
import { freePort } from "../env/ports.ts";
import { withFiles } from "./temporary-files.ts";
import { Admin, opened, plain, vaultOn } from "./vault-fixture.ts";
import { startFront } from "./vault-front.ts";

const { vault: shared } = testEnv().stack;
const identity = { method: "token", namespace: "" } as const;
const place = { namespace: "", mount: "nowhere", engineVersion: "v1", path: "x" } as const;
const user = "canary-user";
const password = "canary-p@ss";

interface Proxy extends AsyncDisposable {
  readonly origin: string;
  /** What tunnels were asked for. */
  readonly tunnels: string[];
}

interface ProxyOptions {
  readonly tls?: SecureContextOptions;
  /** What a CONNECT is answered with in place of a tunnel; "": nothing. */
  readonly refuse?: string;
}

/** A proxy that makes tunnels for one user. */
async function startProxy({ tls, refuse }: ProxyOptions = {}): Promise<Proxy> {
  const tunnels: string[] = [];
  const server: HttpServer = tls ? createTlsServer(tls) : createServer();
  const expected = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
  server.on("connect", (incoming, near) => {
    near.on("error", () => {});
    if (refuse === "") return;
    if (refuse !== undefined || incoming.headers["proxy-authorization"] !== expected) {
      near.end(`HTTP/1.1 ${refuse ?? "407 Proxy Authentication Required"}\r\n\r\n`);
      return;
    }
    tunnels.push(incoming.url ?? "");
    const { hostname, port } = new URL(`http://${incoming.url}`);
    const far = connect(Number(port), hostname, () => {
      near.write("HTTP/1.1 200 Connection established\r\n\r\n");
      near.pipe(far).pipe(near);
    });
    far.on("error", () => near.destroy());
    near.once("close", () => far.destroy());
    far.once("close", () => near.destroy());
  });
  const port = await freePort();
  await once(server.listen(port, "127.0.0.1"), "listening");
  return {
    origin: `http${tls ? "s" : ""}://127.0.0.1:${port}`,
    tunnels,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** As the configuration reads it. */
function withCredentials(origin: string) {
  const proxy = parseProxy(origin.replace("//", `//${user}:${encodeURIComponent(password)}@`));
  if (proxy === undefined) throw new Error("no proxy");
  return proxy;
}

test("a tunnel for each connection, not for each request; TLS is with Vault, not with the proxy", async () => {
  const admin = new Admin(shared);
  const mount = await admin.mount("v2");
  await admin.close();
  await using proxy = await startProxy();
  const { vault, logs } = vaultOn(shared, { transport: { proxy: withCredentials(proxy.origin) } });
  const access = vault.access(identity);
  const destination = await access.resolve(`${mount}/x`);
  await access.write(destination, plain({ a: "b" }), 0);
  expect(opened(await access.read(destination))).toMatchObject({ data: { a: "b" } });
  for (let round = 0; round < 10; round += 1) await access.read(destination);
  expect(new Set(proxy.tunnels)).toEqual(new Set([new URL(shared.address).host]));
  expect(proxy.tunnels.length).toBeLessThan(5);
  await vault.close();

  const { caFile: _, ...noCa } = shared;
  const distrustful = vaultOn(noCa, { transport: { proxy: withCredentials(proxy.origin) } });
  await expect(distrustful.vault.access(identity).read(place)).rejects.toMatchObject({
    code: "VaultUnavailable",
    message: expect.stringMatching(/TLS handshake fails.*VAULT_CACERT/),
  });
  await distrustful.vault.close();
  expect([...logs.lines, ...distrustful.logs.lines].join("\n")).not.toContain("canary");
});

test("VAULT_TLS_SERVER_NAME is the name in Vault's certificate, behind a proxy too", async () => {
  await using proxy = await startProxy();
  const transport = { proxy: withCredentials(proxy.origin), maxRetries: 0 };
  const right = vaultOn(shared, { transport: { ...transport, tlsServerName: "localhost" } });
  expect((await right.vault.access(identity).read(place)).state).toBe("absent");
  const wrong = vaultOn(shared, { transport: { ...transport, tlsServerName: "vault.example", timeoutMs: 3_000 } });
  await expect(wrong.vault.access(identity).read(place)).rejects.toMatchObject({
    message: expect.stringContaining("ERR_TLS_CERT_ALTNAME_INVALID"),
  });
  await Promise.all([right.vault.close(), wrong.vault.close()]);
});

test("a proxy that speaks TLS is believed when Vault's CA knows it", async () => {
  const authority = await createAuthority("the proxy's");
  const { certPem, keyPem } = await authority.server("proxy");
  await using proxy = await startProxy({ tls: { cert: certPem, key: keyPem } });
  await using files = await withFiles({ both: authority.caPem + shared.caPem });
  const transport = { proxy: withCredentials(proxy.origin), maxRetries: 0 };
  const good = vaultOn(shared, { transport: { ...transport, caCert: files.path("both") } });
  expect((await good.vault.access(identity).read(place)).state).toBe("absent");
  const tunnels = proxy.tunnels.length;
  const bad = vaultOn(shared, { transport });
  await expect(bad.vault.access(identity).read(place)).rejects.toMatchObject({
    code: "VaultUnavailable",
    message: expect.stringMatching(/through the proxy.*TLS handshake fails.*VAULT_CACERT/),
  });
  expect(proxy.tunnels).toHaveLength(tunnels);
  await Promise.all([good.vault.close(), bad.vault.close()]);
});

test("plain HTTP is not tunnelled: the proxy is asked for the whole URL, with its own password", async () => {
  const seen: (string | undefined)[] = [];
  await using proxy = await startFront(shared, {
    inPlace: (_response, { headers }) => {
      seen.push(headers["proxy-authorization"]);
      return false;
    },
  });
  const server = { ...shared, address: "http://127.0.0.1:9" };
  const { vault } = vaultOn(server, { transport: { proxy: withCredentials(proxy.address) } });
  expect((await vault.access(identity).read(place)).state).toBe("absent");
  expect(proxy.arrived.at(-1)?.path).toBe("http://127.0.0.1:9/v1/nowhere/x");
  expect(seen[0]).toMatch(/^Basic /);
  await vault.close();
});

test.each([
  ["is down", undefined],
  ["asks for another password", "407 Proxy Authentication Required"],
  ["does not let us through", "403 Forbidden"],
])("a proxy that %s is named, without its password", async (_what, refuse) => {
  await using proxy = await startProxy({ ...(refuse !== undefined && { refuse }) });
  if (refuse === undefined) await proxy[Symbol.asyncDispose]();
  const { vault, logs } = vaultOn(shared, { transport: { proxy: withCredentials(proxy.origin), maxRetries: 1 } });
  const error = (await vault
    .access(identity)
    .read(place)
    .catch((thrown: unknown) => thrown)) as OperatorError;
  expect(error.code).toBe("VaultUnavailable");
  expect(error.message).toContain(`through the proxy ${proxy.origin}`);
  expect(error.message).toContain(refuse === undefined ? "ECONNREFUSED" : `HTTP ${refuse.slice(0, 3)}`);
  expect(error.message + logs.lines.join("\n")).not.toContain("canary");
  await vault.close();
});

test("a proxy that says nothing costs VAULT_CLIENT_TIMEOUT, and does not hold up the stop", async () => {
  await using proxy = await startProxy({ refuse: "" });
  const transport = { proxy: withCredentials(proxy.origin), timeoutMs: 300 };
  const { vault } = vaultOn(shared, { transport });
  const start = performance.now();
  const reads = Array.from({ length: 3 }, () =>
    vault
      .access(identity)
      .read(place)
      .catch((error: unknown) => error),
  );
  for (const error of await Promise.all(reads)) {
    expect(error).toMatchObject({ message: expect.stringContaining("VAULT_CLIENT_TIMEOUT") });
  }
  await vault.close();
  // Five seconds is what a stop waits for answers.
  expect(performance.now() - start).toBeLessThan(4_000);
});
