// TLS to the real server: which CA is believed, and files that change while we run.
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { OperatorError } from "../../src/base/errors.ts";
import type { ClosableVault } from "../../src/vault/factory.ts";
import { TlsFiles } from "../../src/vault/tls-files.ts";
import type { VaultTransportOptions } from "../../src/vault/transport.ts";
import { type Authority, createAuthority } from "../env/certificates.ts";
import { testEnv } from "../env/context.ts";
import { eventually } from "../env/eventually.ts";
import { startVault } from "../env/openbao.ts";
import { freePort } from "../env/ports.ts";
import { ProcessGroup } from "../env/processes.ts";
import { uniqueName } from "../env/unique.ts";
import { FakeClock } from "../gen/fake-clock.ts";
import { Logs, vaultOn } from "./vault-fixture.ts";

const { vault: shared, programs } = testEnv().stack;
const { address, caFile, caPem, rootToken } = shared;
/** The server, and a product that is told no CA but by the options of each test. */
const server = { address, caPem, rootToken };
const identity = { method: "token", namespace: "" } as const;
let directory = "";
let other: Authority;

beforeAll(async () => {
  [directory, other] = await Promise.all([mkdtemp(join(tmpdir(), "vault-tls-")), createAuthority("another CA")]);
});

afterAll(() => rm(directory, { recursive: true }));

/** One request that reaches Vault, if any does. @returns "ok", or the error */
async function tryOnce(vault: ClosableVault): Promise<"ok" | OperatorError> {
  try {
    await vault.access(identity).observe({ namespace: "", mount: "nowhere", engineVersion: "v1", path: "x" });
    return "ok";
  } catch (error) {
    return error as OperatorError;
  }
}

/** The same with a Vault of its own. */
async function tryWith(transport: Partial<VaultTransportOptions>): Promise<"ok" | OperatorError> {
  const { vault } = vaultOn(server, { transport: { maxRetries: 0, ...transport } });
  try {
    return await tryOnce(vault);
  } finally {
    await vault.close();
  }
}

/** A file of this test file's. @returns its path */
async function file(content: string, name = uniqueName("file")): Promise<string> {
  const path = join(directory, name);
  // Replaced in one step, as whoever rotates certificates does.
  await writeFile(`${path}.new`, content);
  await rename(`${path}.new`, path);
  return path;
}

describe("which server is believed", () => {
  test("one of the CA in a file, be it VAULT_CACERT or VAULT_CAPATH", async () => {
    expect(await tryWith({ caCert: caFile })).toBe("ok");
    expect(await tryWith({ caPath: caFile })).toBe("ok");
    expect(await tryWith({ caCert: await file(`${other.caPem}\n# and\n${caPem}`) })).toBe("ok");
  });

  test("one of a CA somewhere below a directory, whatever else is there", async () => {
    const root = join(directory, "path");
    await mkdir(join(root, "a", "b"), { recursive: true });
    await writeFile(join(root, "README"), "no certificate");
    await writeFile(join(root, "other.pem"), other.caPem);
    await writeFile(join(root, "a", "b", "ca.pem"), caPem);
    expect(await tryWith({ caPath: root })).toBe("ok");
  });

  test("one of a CA in a Secret as Kubernetes mounts it", async () => {
    const root = join(directory, "mounted");
    await mkdir(join(root, "..2026"), { recursive: true });
    await writeFile(join(root, "..2026", "ca.crt"), caPem);
    await symlink("..2026", join(root, "..data"));
    await symlink(join("..data", "ca.crt"), join(root, "ca.crt"));
    expect(await tryWith({ caPath: root })).toBe("ok");
  });

  test("any, with VAULT_SKIP_VERIFY", async () => {
    expect(await tryWith({ skipVerify: true })).toBe("ok");
  });

  test("one of the name in VAULT_TLS_SERVER_NAME", async () => {
    expect(await tryWith({ caCert: caFile, tlsServerName: "localhost" })).toBe("ok");
    expect(await tryWith({ caCert: caFile, tlsServerName: "vault.example" })).toMatchObject({
      code: "VaultUnavailable",
      message: expect.stringMatching(/ERR_TLS_CERT_ALTNAME_INVALID.*VAULT_TLS_SERVER_NAME/),
    });
  });

  test("none of another CA, and the message says what to check", async () => {
    for (const transport of [{}, { caCert: await file(other.caPem) }]) {
      const result = await tryWith(transport);
      expect(result).toMatchObject({ code: "VaultUnavailable", retry: "backoff" });
      expect((result as OperatorError).message).toContain(address);
      expect((result as OperatorError).message).toContain("VAULT_CACERT");
    }
  });

  test.each([
    ["that is not there", undefined, "ENOENT"],
    ["without a certificate", "no certificate", "no certificate in"],
    ["with a broken one", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be parsed"],
  ])("a CA file %s is told about", async (_what, content, problem) => {
    const caCert = content === undefined ? join(directory, "none") : await file(content);
    const result = await tryWith({ caCert });
    expect(result).toMatchObject({ code: "VaultUnavailable", message: expect.stringContaining(problem) });
    // A file that cannot be read is not named: its name may be the key itself, in the wrong variable.
    const { message } = result as OperatorError;
    if (content === undefined) expect(message).not.toContain(caCert);
    else expect(message).toContain(caCert);
  });
});

describe("files that change", () => {
  test("another CA counts within about a second, and so does the right one again", async () => {
    const name = uniqueName("rotated");
    const caCert = await file(other.caPem, name);
    const { vault } = vaultOn(server, { transport: { caCert, maxRetries: 0 } });
    expect(await tryOnce(vault)).toMatchObject({ code: "VaultUnavailable" });
    await file(caPem, name);
    await eventually(async () => expect(await tryOnce(vault)).toBe("ok"), { timeoutMs: 5_000 });
    await file(other.caPem, name);
    await eventually(async () => expect(await tryOnce(vault)).not.toBe("ok"), { timeoutMs: 5_000 });
    await vault.close();
  });

  test("a change counts at the first request after half a second, not before", async () => {
    const name = uniqueName("noticed");
    const clock = new FakeClock();
    const files = new TlsFiles({ caCert: await file(caPem, name) }, { clock, logger: new Logs() });
    const first = await files.current();
    await file(other.caPem, name);
    await clock.advance(499);
    expect(await files.current()).toBe(first);
    await clock.advance(1);
    const second = await files.current();
    expect(second).not.toBe(first);
    await clock.advance(60_000);
    expect(await files.current()).toBe(second);
  });

  test("no request fails while the bundle is rotated again and again", async () => {
    const name = uniqueName("bundle");
    const caCert = await file(caPem, name);
    const { vault } = vaultOn(server, { transport: { caCert, maxRetries: 0 } });
    const failures: unknown[] = [];
    const until = performance.now() + 3_500;
    const workers = Array.from({ length: 8 }, async () => {
      while (performance.now() < until) {
        const result = await tryOnce(vault);
        if (result !== "ok") failures.push(result);
      }
    });
    for (let turn = 0; performance.now() < until; turn += 1) {
      await file(turn % 2 === 0 ? `${other.caPem}${caPem}` : caPem, name);
      await tryOnce(vault);
    }
    await Promise.all(workers);
    expect(failures).toEqual([]);
    await vault.close();
  });

  test("a file that breaks never replaces one that worked", async () => {
    const name = uniqueName("breaks");
    const caCert = await file(caPem, name);
    const { vault, logs } = vaultOn(server, { transport: { caCert, maxRetries: 0 } });
    expect(await tryOnce(vault)).toBe("ok");
    await file("garbage canary-garbage", name);
    const results = new Set<unknown>();
    await eventually(async () => {
      results.add(await tryOnce(vault));
      expect(logs.count("TLS files for Vault unusable")).toBe(1);
    });
    expect(results).toEqual(new Set(["ok"]));
    await rm(caCert);
    expect(await tryOnce(vault)).toBe("ok");
    expect(logs.count("canary")).toBe(0);
    await vault.close();
  });

  test("the server's own certificate, from a new CA that the bundle already holds", async () => {
    const group = await ProcessGroup.create();
    const running = await startVault(group, programs.bao, { persistent: true });
    const { info } = running;
    const own = { address: info.address, caPem: info.caPem, rootToken: info.rootToken };
    const { vault } = vaultOn(own, {
      transport: { caCert: await file(`${info.caPem}${other.caPem}`), maxRetries: 0 },
    });
    expect(await tryOnce(vault)).toBe("ok");
    await running.stop();
    expect(await tryOnce(vault)).toMatchObject({ code: "VaultUnavailable" });
    const { certPem, keyPem } = await other.server("openbao");
    const files = join(group.directory, "openbao");
    await writeFile(join(files, "server.crt"), certPem);
    await writeFile(join(files, "server.key"), keyPem);
    const port = Number(new URL(info.address).port);
    const args = ["server", `-config=${join(files, "config.hcl")}`];
    await group.start({ name: "rotated", program: programs.bao, args, ready: () => isListening(port) });
    expect(await tryOnce(vault)).toMatchObject({ code: "VaultSealed" });
    await vault.close();
    await group.stop();
  });
});

test("a client certificate for a server that asks for one", async () => {
  const group = await ProcessGroup.create();
  const port = await freePort();
  const { certPem, keyPem } = await other.server("openbao");
  const client = await other.client("operator", "operators");
  const tcp = {
    address: `127.0.0.1:${port}`,
    tls_cert_file: await file(certPem),
    tls_key_file: await file(keyPem),
    tls_client_ca_file: await file(other.caPem),
    tls_require_and_verify_client_cert: true,
  };
  const config = await file(JSON.stringify({ storage: { inmem: {} }, listener: { tcp } }), "mtls.json");
  await group.start({
    name: "mtls",
    program: programs.bao,
    args: ["server", `-config=${config}`],
    ready: () => isListening(port),
  });
  const there = { address: `https://127.0.0.1:${port}`, caCert: tcp.tls_client_ca_file };
  expect(await tryWith(there)).toMatchObject({ code: "VaultUnavailable" });
  const clientCert = await file(client.certPem);
  // Not initialised, so it answers that it is sealed: the handshake was good.
  const clientKey = await file(client.keyPem);
  expect(await tryWith({ ...there, clientCert, clientKey })).toMatchObject({ code: "VaultSealed" });
  const wrongKey = await file(keyPem);
  expect(await tryWith({ ...there, clientCert, clientKey: wrongKey })).toMatchObject({
    code: "VaultUnavailable",
    message: expect.stringContaining("VAULT_CLIENT_KEY"),
  });
  await group.stop();
});

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const end = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}
