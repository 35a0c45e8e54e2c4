import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { type KubeAccess, loadKubeAccess } from "./kube-connection.ts";

let directory = "";

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "kubeconfig-"));
});

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** A kubeconfig with one cluster and one user. */
function kubeconfig(user: object, { cluster = {}, context = {}, name = "one" } = {}): object {
  return {
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    clusters: [{ name, cluster: { server: `https://${name}:6443`, ...cluster } }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name, ...context } }],
  };
}

function save(name: string, content: object | string): string {
  const file = join(directory, name);
  writeFileSync(file, typeof content === "string" ? content : stringify(content));
  return file;
}

async function accessBy(file: string, env = {}): Promise<KubeAccess> {
  const access = await loadKubeAccess({ kubeconfig: file, env });
  if ("problem" in access) throw new Error(access.problem);
  return access;
}

async function problemOf(file: string): Promise<string | undefined> {
  const access = await loadKubeAccess({ kubeconfig: file, env: {} });
  return "problem" in access ? access.problem : undefined;
}

const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("a kubeconfig", () => {
  test("with inline data", async () => {
    const user = { "client-certificate-data": base64("CERT"), "client-key-data": base64("KEY") };
    const cluster = { "certificate-authority-data": base64("CA"), "tls-server-name": "name" };
    const file = save("inline", kubeconfig(user, { cluster, context: { namespace: "ops" } }));
    expect(await accessBy(file)).toEqual({
      connection: {
        server: "https://one:6443",
        caPem: "CA",
        clientCertPem: "CERT",
        clientKeyPem: "KEY",
        tlsServerName: "name",
      },
      namespace: "ops",
    });
  });

  test("with files, relative to itself", async () => {
    const user = { "client-certificate": "c.pem", "client-key": "/abs/k.pem" };
    const cluster = { "certificate-authority": "ca.pem" };
    const { connection } = await accessBy(save("files", kubeconfig(user, { cluster })));
    expect(connection).toEqual({
      server: "https://one:6443",
      caFile: join(directory, "ca.pem"),
      clientCertFile: join(directory, "c.pem"),
      clientKeyFile: "/abs/k.pem",
    });
  });

  test("with a token, or a file of it that is re-read", async () => {
    expect((await accessBy(save("token", kubeconfig({ token: "t" })))).connection.token).toBe("t");
    const { connection } = await accessBy(save("tokenfile", kubeconfig({ token: "t", tokenFile: "f" })));
    expect(connection).toEqual({ server: "https://one:6443", tokenFile: join(directory, "f") });
  });

  test("that skips verification", async () => {
    const file = save("insecure", kubeconfig({}, { cluster: { "insecure-skip-tls-verify": true } }));
    expect((await accessBy(file)).connection.insecureSkipTlsVerify).toBe(true);
  });

  test("with a credential plugin is asked for the token when one is needed", async () => {
    const counter = join(directory, "count");
    const expired = "2001-01-01T00:00:00Z";
    const script = `
      const { appendFileSync, readFileSync } = require("node:fs");
      appendFileSync(${JSON.stringify(counter)}, "x");
      const token = "t" + readFileSync(${JSON.stringify(counter)}, "utf8").length;
      console.log(JSON.stringify({ status: { token, expirationTimestamp: ${JSON.stringify(expired)} } }));`;
    const exec = { apiVersion: "client.authentication.k8s.io/v1", command: process.execPath, args: ["-e", script] };
    const { connection } = await accessBy(save("exec", kubeconfig({ exec })));
    expect(connection).toEqual({ server: "https://one:6443", tokenProvider: expect.any(Function) });
    // The first run was at loading; those who ask at the same time share one run.
    expect(await Promise.all([connection.tokenProvider?.(), connection.tokenProvider?.()])).toEqual(["t2", "t2"]);
    expect(await connection.tokenProvider?.()).toBe("t3");
  });

  test("with a credential plugin that gives a certificate", async () => {
    const script = `console.log(JSON.stringify({ status: { clientCertificateData: "CERT", clientKeyData: "KEY" } }))`;
    const exec = { command: process.execPath, args: ["-e", script] };
    const { connection } = await accessBy(save("execcert", kubeconfig({ exec })));
    expect(connection).toEqual({ server: "https://one:6443", clientCertPem: "CERT", clientKeyPem: "KEY" });
  });
});

describe("several kubeconfigs", () => {
  test("are one, the earlier ones winning, missing ones passed over", async () => {
    const first = save("first", { ...kubeconfig({ token: "1" }), "current-context": "" });
    const second = save("second", kubeconfig({ token: "2" }, { name: "two" }));
    const third = save("third", kubeconfig({ token: "3" }, { name: "two" }));
    const env = { KUBECONFIG: `${first}:${join(directory, "none")}:${second}:${third}` };
    expect(await loadKubeAccess({ env })).toEqual({ connection: { server: "https://two:6443", token: "2" } });
  });
});

describe("the order", () => {
  test("is flag, KUBECONFIG, service account, home", async () => {
    const [flag, variable, home] = ["flag", "variable", "home"].map((name) => kubeconfig({}, { name }));
    const cluster = { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "6443" };
    mkdirSync(join(directory, ".kube"), { recursive: true });
    save(".kube/config", home ?? {});
    const env = { KUBECONFIG: save("variable", variable ?? {}), ...cluster, HOME: directory };
    const serverOf = async (sources: Parameters<typeof loadKubeAccess>[0]) => {
      const access = await loadKubeAccess(sources);
      return "problem" in access ? access.problem : access.connection.server;
    };
    expect(await serverOf({ kubeconfig: save("flag", flag ?? {}), env })).toBe("https://flag:6443");
    expect(await serverOf({ kubeconfig: "", env })).toBe("https://variable:6443");
    expect(await serverOf({ env: { ...cluster, HOME: directory } })).toBe("https://[fd00::1]:6443");
    expect(await serverOf({ env: { HOME: directory } })).toBe("https://home:6443");
    expect(await serverOf({ env: { HOME: "/nonexistent" } })).toMatch(/^no API server: .*give --kubeconfig/);
  });
});

describe("a problem", () => {
  test("names the file and quotes nothing of it", async () => {
    const canary = "canary-77";
    for (const content of [`a: [${canary}`, canary, `users: {x: ${canary}}`, `clusters: [${canary}]`, "[]"]) {
      const file = save("broken", content);
      const problem = await problemOf(file);
      expect(problem).toContain(file);
      expect(problem).not.toContain(canary);
    }
  });

  test.each([
    ["proxy-url", {}, { "proxy-url": "http://p" }],
    ["username", { username: "u", password: "p" }, {}],
    ["as", { as: "someone", token: "t" }, {}],
  ])("is %s, which is not supported", async (field, user, cluster) => {
    const file = save(field, kubeconfig(user, { cluster }));
    expect(await problemOf(file)).toBe(`kubeconfig ${file} uses ${field}, not supported here`);
  });

  test("is a file that is not there, or a context that is not", async () => {
    expect(await problemOf("/nonexistent/x")).toBe("kubeconfig /nonexistent/x does not exist");
    const file = save("nocontext", { ...kubeconfig({}), "current-context": "other" });
    expect(await problemOf(file)).toMatch(/has no current context that names a cluster/);
  });

  test("is a plugin that fails, in its own words", async () => {
    const script = `console.error("log in first"); process.exit(1)`;
    const file = save("failing", kubeconfig({ exec: { command: process.execPath, args: ["-e", script] } }));
    expect(await problemOf(file)).toBe("the kubeconfig's credential plugin failed: log in first");
  });
});
