import { inspect } from "node:util";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Config, loadConfig } from "./config.ts";
import type { Environment, FlagValues } from "./config-reader.ts";
import { runFlags, variables } from "./config-reference.ts";

function configOf(flags: FlagValues = {}, env: Environment = {}, namespace?: string): Config {
  const loaded = loadConfig({ flags, env, namespace });
  if ("problems" in loaded) throw new Error(loaded.problems.join("; "));
  return loaded.config;
}

function problemsOf(flags: FlagValues, env: Environment = {}): readonly string[] {
  const loaded = loadConfig({ flags, env });
  return "problems" in loaded ? loaded.problems : [];
}

function notSet(...names: readonly string[]): string[] {
  return names.map((name) => `Environment variable ${name} not set`);
}

test("defaults are the contract's", () => {
  expect(configOf()).toEqual({
    metricsAddress: { port: 8080 },
    leaderElection: false,
    shards: 1,
    kubeRateLimit: { perSecond: 500, burst: 1_000 },
    authMethod: "token",
    vaultAudience: "vault",
    adoption: "original",
    allowVaultNamespaces: false,
    syncPeriodMs: 120_000,
    maxConcurrentReconciles: 16,
    kms: { maxInFlight: 64 },
    log: { level: "info", format: "auto" },
    namespace: "default",
    watchNamespaces: [],
    vault: {
      namespace: "",
      transport: {
        address: "https://127.0.0.1:8200",
        timeoutMs: 60_000,
        maxRetries: 2,
        skipVerify: false,
      },
      auth: {
        k8s: {
          role: "kms-vault-operator",
          loginEndpoint: "auth/kubernetes/login",
          tokenFile: "/var/run/secrets/kubernetes.io/serviceaccount/token",
        },
        token: { token: { variable: "VAULT_TOKEN" } },
        userpass: { password: { variable: "VAULT_PASSWORD" }, loginEndpoint: "auth/userpass/login" },
        approle: {
          secretId: { variable: "VAULT_APPROLE_SECRET_ID" },
          wrapped: false,
          loginEndpoint: "auth/approle/login",
        },
        github: { token: { variable: "VAULT_GITHUB_TOKEN" }, loginEndpoint: "auth/github/login" },
        iam: {
          secretAccessKey: { variable: "VAULT_IAM_AWS_SECRET_ACCESS_KEY" },
          loginEndpoint: "auth/aws/login",
          stsEndpoint: "https://sts.amazonaws.com",
        },
        jwt: { jwt: { variable: "VAULT_JWT" }, loginEndpoint: "auth/jwt/login" },
        cert: { loginEndpoint: "auth/cert/login", hasClientCertificate: false },
        ldap: { password: { variable: "VAULT_LDAP_PASSWORD" }, loginEndpoint: "auth/ldap/login" },
      },
    },
  });
});

describe("flags", () => {
  test.each<[FlagValues, Partial<Config>]>([
    [{ "metrics-addr": "127.0.0.1:9" }, { metricsAddress: { host: "127.0.0.1", port: 9 } }],
    [{ "metrics-addr": "0" }, { metricsAddress: "off" }],
    [{ "metrics-addr": "" }, { metricsAddress: "off" }],
    [{ "health-probe-bind-address": ":8081" }, { probeAddress: { port: 8081 } }],
    [{ "health-probe-bind-address": "0" }, { probeAddress: "off" }],
    [{ "enable-leader-election": "true" }, { leaderElection: true }],
    [{ "enable-leader-election": "F" }, { leaderElection: false }],
    [{ "vault-authentication-method": "k8s" }, { authMethod: "k8s" }],
    [{ adopt: "never" }, { adoption: "never" }],
    [{ "allow-vault-namespaces": "true" }, { allowVaultNamespaces: true }],
    [{ "cluster-id": "eu-1.prod" }, { clusterId: "eu-1.prod" }],
    [{ "sync-period-seconds": "0" }, { syncPeriodMs: 0 }],
    [{ "sync-period-seconds": "0x3c" }, { syncPeriodMs: 60_000 }],
    [{ "max-concurrent-reconciles": "1" }, { maxConcurrentReconciles: 1 }],
    [{ "kms-max-in-flight": "8" }, { kms: { maxInFlight: 8 } }],
    [{ "kms-qps": "50" }, { kms: { perSecond: 50 } }],
    [{ "kms-allowed-keys": "alias/app, age1x" }, { kms: { allowedKeys: ["alias/app", "age1x"] } }],
    [
      { "kms-role-arn": "arn:aws:iam::123456789012:role/kms" },
      { kms: { roleArn: "arn:aws:iam::123456789012:role/kms" } },
    ],
    [{ "age-key-file": "/keys" }, { kms: { ageKeyFile: "/keys" } }],
    [{ "transit-key": "teams/transit/shop" }, { kms: { transitKey: "teams/transit/shop" } }],
    [{ "log-level": "debug", "log-format": "json" }, { log: { level: "debug", format: "json" } }],
  ])("%j", (flags, part) => {
    expect(configOf(flags)).toMatchObject(part);
  });

  test.each<[FlagValues, string]>([
    [{ "metrics-addr": "8080" }, 'an address such as :8080 or 127.0.0.1:8080, or 0, not "8080"'],
    [{ "health-probe-bind-address": "x" }, 'an address such as :8081, or 0, not "x"'],
    [{ "enable-leader-election": "yes" }, 'true or false, not "yes"'],
    [
      { "vault-authentication-method": "kerberos" },
      'one of k8s, token, userpass, approle, github, iam, jwt, cert, ldap, not "kerberos"',
    ],
    [
      { "vault-authentication-method": "" },
      'one of k8s, token, userpass, approle, github, iam, jwt, cert, ldap, not ""',
    ],
    [{ "vault-audience": "" }, "an audience of Vault's own, not the API server's, not \"\""],
    [
      { "vault-audience": "https://kubernetes.default.svc" },
      "an audience of Vault's own, not the API server's, not \"https://kubernetes.default.svc\"",
    ],
    [{ "sync-period-seconds": "-1" }, 'a whole number from 0 to 2000000, not "-1"'],
    [{ "sync-period-seconds": "1.5" }, 'a whole number from 0 to 2000000, not "1.5"'],
    [{ "max-concurrent-reconciles": "0" }, 'a whole number from 1 to 1000, not "0"'],
    [{ "kms-max-in-flight": "many" }, 'a whole number from 1 to 10000, not "many"'],
    [{ "kms-qps": "-1" }, 'a whole number from 0 to 100000, not "-1"'],
    [{ "kms-role-arn": "kms" }, 'the ARN of an IAM role, not "kms"'],
    [{ "transit-key": "shop" }, '<mount>/<key>, such as transit/shop, not "shop"'],
    [{ "log-level": "INFO" }, 'one of debug, info, warn, error, not "INFO"'],
    [{ "log-format": "xml" }, 'one of auto, json, text, not "xml"'],
  ])("%j is refused", (flags, expected) => {
    expect(problemsOf(flags)).toEqual([`--${Object.keys(flags)[0]}: must be ${expected}`]);
  });

  test.each(["", "a,,b", "*,alias/a", "alias/*", "arn:aws:kms:nowhere:123456789012:key/x", "arn:aws:s3:::bucket"])(
    "--kms-allowed-keys %j is refused",
    (text) => {
      expect(problemsOf({ "kms-allowed-keys": text })).toEqual([
        `--kms-allowed-keys: must be * alone, or keys separated by commas, each in full and those with arn: ARNs of KMS keys or aliases, not "${text}"`,
      ]);
    },
  );

  test("an empty probe address is the metrics address", () => {
    expect(configOf({ "health-probe-bind-address": "" })).not.toHaveProperty("probeAddress");
  });
});

describe("environment", () => {
  test.each<[Environment, object]>([
    [{ WATCH_NAMESPACE: "a, b" }, { watchNamespaces: ["a", "b"] }],
    [{ WATCH_NAMESPACE: "" }, { watchNamespaces: [] }],
    [{ POD_NAMESPACE: "ops" }, { namespace: "ops" }],
    // The first version's Deployment sets these as well.
    [{ POD_NAME: "x", OPERATOR_NAME: "y" }, { namespace: "default" }],
    [{ VAULT_ADDR: "http://vault:8200/" }, { vault: { transport: { address: "http://vault:8200" } } }],
    [
      { VAULT_ADDR: "http://vault:8200", VAULT_AGENT_ADDR: "http://localhost:8100" },
      { vault: { transport: { address: "http://localhost:8100" } } },
    ],
    [{ VAULT_ADDR: "unix:///run/vault.sock" }, { vault: { transport: { address: "unix:///run/vault.sock" } } }],
    [{ VAULT_AGENT_ADDR: "unix:///agent.sock" }, { vault: { transport: { address: "unix:///agent.sock" } } }],
    [
      { VAULT_REDIRECT_ADDRS: "https://a:8200, https://b/ignored,https://a:8200/" },
      { vault: { transport: { redirects: [{ address: "https://a:8200" }, { address: "https://b" }] } } },
    ],
    [
      { VAULT_ADDR: "https://vault", VAULT_PROXY_ADDR: "http://p:1", VAULT_HTTP_PROXY: "http://q", HTTPS_PROXY: "h" },
      { vault: { transport: { proxy: { origin: "http://p:1" } } } },
    ],
    // VAULT_PROXY_ADDR knows no exceptions, HTTPS_PROXY does: loopback, and what NO_PROXY names.
    [
      { VAULT_HTTP_PROXY: "q:3128", NO_PROXY: "*" },
      { vault: { transport: { address: "https://127.0.0.1:8200", proxy: { origin: "http://q:3128" } } } },
    ],
    [
      { VAULT_ADDR: "https://vault", VAULT_REDIRECT_ADDRS: "https://a,https://b", https_proxy: "p:1", no_proxy: "a" },
      {
        vault: {
          transport: {
            proxy: { origin: "http://p:1" },
            redirects: [{ address: "https://a" }, { address: "https://b", proxy: { origin: "http://p:1" } }],
          },
        },
      },
    ],
    [
      { VAULT_ADDR: "http://vault", HTTPS_PROXY: "http://s", HTTP_PROXY: "http://p", http_proxy: "http://q" },
      { vault: { transport: { proxy: { origin: "http://p" } } } },
    ],
    [{ AWS_REGION: "eu-west-1", AWS_DEFAULT_REGION: "us-west-2" }, { kms: { region: "eu-west-1" } }],
    [{ AWS_DEFAULT_REGION: "us-west-2" }, { kms: { region: "us-west-2" } }],
    [{ VAULT_TRANSIT_NAMESPACE: "/keys/" }, { kms: { transitNamespace: "keys" } }],
    [
      {
        VAULT_TRANSIT_ADDR: "https://keys:8200/",
        VAULT_TRANSIT_TOKEN_FILE: "/t",
        VAULT_TRANSIT_CACERT: "/c",
        VAULT_PROXY_ADDR: "p:1",
      },
      {
        kms: {
          transitVault: {
            transport: {
              address: "https://keys:8200",
              proxy: { origin: "http://p:1" },
              caCert: "/c",
              timeoutMs: 10_000,
            },
            token: { variable: "VAULT_TRANSIT_TOKEN", file: "/t" },
          },
        },
      },
    ],
    [{ VAULT_NAMESPACE: "/team/a/" }, { vault: { namespace: "team/a" } }],
    [
      { VAULT_CACERT: "/a", VAULT_CAPATH: "/b", VAULT_TLS_SERVER_NAME: "c" },
      { vault: { transport: { caCert: "/a", caPath: "/b", tlsServerName: "c" } } },
    ],
    [
      { VAULT_CLIENT_CERT: "/a", VAULT_CLIENT_KEY: "/b" },
      { vault: { transport: { clientCert: "/a", clientKey: "/b" } } },
    ],
    [{ VAULT_SKIP_VERIFY: "T" }, { vault: { transport: { skipVerify: true } } }],
    [{ VAULT_CLIENT_TIMEOUT: "5" }, { vault: { transport: { timeoutMs: 5_000 } } }],
    [{ VAULT_CLIENT_TIMEOUT: "1m30s" }, { vault: { transport: { timeoutMs: 90_000 } } }],
    [{ VAULT_MAX_RETRIES: "0" }, { vault: { transport: { maxRetries: 0 } } }],
    [{ VAULT_RATE_LIMIT: "10:20" }, { vault: { transport: { rateLimit: { perSecond: 10, burst: 20 } } } }],
    [
      { VAULT_K8S_ROLE: "r", VAULT_K8S_LOGIN_ENDPOINT: "/auth/other/login/", VAULT_K8S_TOKEN_FILE: "/t" },
      { vault: { auth: { k8s: { role: "r", loginEndpoint: "auth/other/login", tokenFile: "/t" } } } },
    ],
    [{ VAULT_USERNAME: "u" }, { vault: { auth: { userpass: { username: "u" } } } }],
    [{ VAULT_TOKEN_FILE: "/t" }, { vault: { auth: { token: { token: { file: "/t" } } } } }],
    [{ VAULT_APPROLE_SECRET_ID_WRAPPED: "T" }, { vault: { auth: { approle: { wrapped: true } } } }],
    [{ VAULT_LDAP_LOGIN_ENDPOINT: "/auth/a/login/" }, { vault: { auth: { ldap: { loginEndpoint: "auth/a/login" } } } }],
    [{ VAULT_IAM_STS_ENDPOINT: "http://sts:80/" }, { vault: { auth: { iam: { stsEndpoint: "http://sts" } } } }],
    [
      { VAULT_CLIENT_CERT: "/a", VAULT_CLIENT_KEY: "/b", VAULT_CERT_ROLE: "r" },
      { vault: { auth: { cert: { role: "r", hasClientCertificate: true } } } },
    ],
  ])("%j", (env, part) => {
    expect(configOf({}, env)).toMatchObject(part);
  });

  test.each<[string, string]>([
    ["WATCH_NAMESPACE", "a,,b"],
    ["POD_NAMESPACE", "Not A Name"],
    ["VAULT_ADDR", "vault:8200"],
    ["VAULT_AGENT_ADDR", "https://user:hunter2@vault"],
    ["VAULT_ADDR", "unix://relative.sock"],
    ["VAULT_REDIRECT_ADDRS", "https://a,b"],
    ["VAULT_REDIRECT_ADDRS", "http://a"],
    ["VAULT_PROXY_ADDR", "socks5://user:hunter2@proxy"],
    ["VAULT_HTTP_PROXY", "http://user:%zz@proxy"],
    ["VAULT_SKIP_VERIFY", "yes"],
    ["VAULT_CLIENT_TIMEOUT", "soon"],
    ["VAULT_CLIENT_TIMEOUT", "0"],
    ["VAULT_CLIENT_TIMEOUT", "1000h"],
    ["VAULT_MAX_RETRIES", "-1"],
    ["VAULT_RATE_LIMIT", "fast"],
    ["VAULT_APPROLE_SECRET_ID_WRAPPED", "yes"],
    ["VAULT_IAM_STS_ENDPOINT", "https://sts.amazonaws.com/path"],
  ])("%s=%s is refused and not quoted", (name, value) => {
    const problems = problemsOf({}, { [name]: value });
    expect(problems).toEqual([expect.stringMatching(`^${name}: must be `)]);
    expect(problems[0]?.replaceAll(/60s|vault:8200/g, "")).not.toContain(value);
  });

  test("a proxy that is not used for Vault is not looked at, one that is used once", () => {
    const unusable = { HTTPS_PROXY: "socks5://p", HTTP_PROXY: "socks5://p" };
    const direct = configOf({}, unusable);
    expect(direct.vault.transport).not.toHaveProperty("proxy");
    const elsewhere = { ...unusable, VAULT_ADDR: "https://vault", VAULT_REDIRECT_ADDRS: "https://other" };
    expect(problemsOf({}, elsewhere)).toEqual([expect.stringMatching("^HTTPS_PROXY: must be ")]);
    expect(configOf({}, { ...elsewhere, NO_PROXY: "*" }).vault.transport).not.toHaveProperty("proxy");
  });

  test.each<[Environment, string]>([
    [
      { VAULT_TRANSIT_ADDR: "https://keys" },
      "VAULT_TRANSIT_ADDR: needs VAULT_TRANSIT_TOKEN or VAULT_TRANSIT_TOKEN_FILE",
    ],
    [
      { VAULT_TRANSIT_TOKEN: "hunter2" },
      "VAULT_TRANSIT_TOKEN: is for the Vault that VAULT_TRANSIT_ADDR names, which is not set",
    ],
    [
      { VAULT_TRANSIT_CACERT: "/c" },
      "VAULT_TRANSIT_CACERT: is for the Vault that VAULT_TRANSIT_ADDR names, which is not set",
    ],
    [
      { VAULT_TRANSIT_ADDR: "https://keys", VAULT_TRANSIT_TOKEN: "hunter2", VAULT_TRANSIT_TOKEN_FILE: "/t" },
      "VAULT_TRANSIT_TOKEN and VAULT_TRANSIT_TOKEN_FILE: must not be set both",
    ],
    [
      {
        VAULT_TRANSIT_ADDR: "https://keys",
        VAULT_TRANSIT_TOKEN: "t",
        VAULT_TRANSIT_CACERT: "-----BEGIN CERTIFICATE-----",
      },
      "VAULT_TRANSIT_CACERT: must name a file, not hold what is in it",
    ],
    [
      { VAULT_TRANSIT_ADDR: "https://u:hunter2@keys", VAULT_TRANSIT_TOKEN: "t" },
      "VAULT_TRANSIT_ADDR: must be an http:// or https:// URL without credentials, such as https://vault:8200, or unix:// and the path of a socket",
    ],
  ])("another Vault for transit keys: %j is refused", (env, problem) => {
    expect(problemsOf({}, env)).toEqual([problem]);
  });

  test.each(["VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY"])("%s needs its counterpart", (name) => {
    expect(problemsOf({}, { [name]: "/a" })).toEqual([
      "VAULT_CLIENT_CERT and VAULT_CLIENT_KEY: must be set both or not at all",
    ]);
  });

  test.each(variables.map(({ name }) => name).filter((name) => variables.some((file) => file.name === `${name}_FILE`)))(
    "%s is given itself or in a file, not both",
    (name) => {
      const problems = problemsOf({}, { [name]: "hunter2", [`${name}_FILE`]: "/hunter2" });
      expect(problems).toContain(`${name} and ${name}_FILE: must not be set both`);
      expect(problems.join()).not.toContain("hunter2");
    },
  );

  test.each(["VAULT_IAM_AWS_ACCESS_KEY_ID", "VAULT_IAM_AWS_SECRET_ACCESS_KEY", "VAULT_IAM_AWS_SECRET_ACCESS_KEY_FILE"])(
    "%s needs its counterpart",
    (name) => {
      expect(problemsOf({}, { [name]: "/a" })).toEqual([
        "VAULT_IAM_AWS_ACCESS_KEY_ID and VAULT_IAM_AWS_SECRET_ACCESS_KEY: must be set both or not at all",
      ]);
    },
  );

  test("every variable counts as unset when empty", () => {
    const empty = Object.fromEntries(variables.map(({ name }) => [name, ""]));
    expect(configOf({}, empty)).toEqual(configOf());
  });

  test("the connection's namespace is used without POD_NAMESPACE", () => {
    expect(configOf({}, {}, "from-connection").namespace).toBe("from-connection");
    expect(configOf({}, { POD_NAMESPACE: "ops" }, "from-connection").namespace).toBe("ops");
  });
});

test.each(["VAULT_CACERT", "VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY"])(
  "%s that holds a certificate or key in place of a file's name is refused, and not quoted",
  (name) => {
    const pem = "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n";
    const loaded = loadConfig({ flags: {}, env: { VAULT_CLIENT_CERT: "/c", VAULT_CLIENT_KEY: "/k", [name]: pem } });
    expect(loaded).toEqual({ problems: [`${name}: must name a file, not hold what is in it`] });
  },
);

describe("credentials", () => {
  test.each([
    ["k8s", []],
    ["token", ["VAULT_TOKEN environment variable not found"]],
    ["userpass", notSet("VAULT_USERNAME", "VAULT_PASSWORD")],
    // A role may do without a secret id.
    ["approle", notSet("VAULT_APPROLE_ROLE_ID")],
    ["github", notSet("VAULT_GITHUB_TOKEN")],
    // The AWS SDK's default chain may have some.
    ["iam", []],
    ["jwt", notSet("VAULT_JWT")],
    ["cert", ["--vault-authentication-method cert: needs VAULT_CLIENT_CERT and VAULT_CLIENT_KEY"]],
    ["ldap", notSet("VAULT_LDAP_USERNAME", "VAULT_LDAP_PASSWORD")],
  ])("those of %s that are missing stop the start when the flag names it", (method, problems) => {
    expect(problemsOf({ "vault-authentication-method": method })).toEqual(problems);
    const pairs = { VAULT_CLIENT_CERT: "/c", VAULT_CLIENT_KEY: "/k", VAULT_IAM_AWS_ACCESS_KEY_ID: "x" };
    const given = { ...pairs, VAULT_TRANSIT_ADDR: "https://keys" };
    const files = variables.map(({ name }) => name).filter((name) => name.endsWith("_FILE"));
    const names = [...files, "VAULT_USERNAME", "VAULT_APPROLE_ROLE_ID", "VAULT_LDAP_USERNAME"];
    const env = { ...Object.fromEntries(names.map((name) => [name, "x"])), ...given };
    expect(problemsOf({ "vault-authentication-method": method }, env)).toEqual([]);
  });

  test("that are missing stop nothing when the flag is not given", () => {
    expect(problemsOf({})).toEqual([]);
  });

  test("are there, without the line end of a file, and never printed", () => {
    const config = configOf(
      {},
      {
        VAULT_TOKEN: "canary-token\n",
        VAULT_USERNAME: "u",
        VAULT_PASSWORD: " canary \n",
        VAULT_PROXY_ADDR: "http://canary:canary@proxy",
      },
    );
    expect(config.vault.auth.token.token.value?.open()).toBe("canary-token");
    expect(config.vault.auth.userpass.password.value?.open()).toBe(" canary ");
    for (const printed of [JSON.stringify(config), inspect(config, { depth: null })]) {
      expect(printed).toContain("[redacted]");
      expect(printed).not.toContain("canary");
    }
  });
});

test("every problem is listed at once", () => {
  const flags = { "metrics-addr": "x", "log-level": "x", "vault-authentication-method": "x" };
  expect(problemsOf(flags, { VAULT_MAX_RETRIES: "x", VAULT_CLIENT_KEY: "x" })).toHaveLength(5);
});

test("the configuration is frozen throughout", () => {
  const config = configOf({}, { VAULT_TOKEN: "t" });
  for (const part of [config, config.log, config.vault.transport, config.vault.auth.k8s, config.watchNamespaces]) {
    expect(Object.isFrozen(part)).toBe(true);
  }
});

test("any input gives a configuration or problems that name the flag or variable, and never throws", () => {
  const text = fc.oneof(fc.string(), fc.constantFrom("0", "1", "true", "a,b", ":80", "token", "https://v", "5s"));
  const flags = fc.dictionary(fc.constantFrom(...runFlags.map(({ name }) => name)), text);
  const env = fc.dictionary(fc.constantFrom(...variables.map(({ name }) => name)), text);
  fc.assert(
    fc.property(flags, env, (givenFlags, givenEnv) => {
      const given = [...Object.keys(givenFlags).map((name) => `--${name}`), ...Object.keys(givenEnv)];
      for (const problem of problemsOf(givenFlags, givenEnv)) {
        const isAboutCredentials = /VAULT_(TOKEN|USERNAME|PASSWORD|APPROLE|IAM_AWS|GITHUB|JWT|LDAP|CLIENT)/.test(
          problem,
        );
        expect(isAboutCredentials || given.some((name) => problem.includes(name))).toBe(true);
      }
    }),
  );
});
