import { expect, test } from "vitest";
import { webhookVariables } from "./config-reference-webhook.ts";
import { loadWebhookConfig, type WebhookConfig, type WebhookConfigSources } from "./config-webhook.ts";

const files = { "tls-cert-file": "/tls/tls.crt", "tls-key-file": "/tls/tls.key" };

function configOf(sources: Partial<WebhookConfigSources> = {}): WebhookConfig {
  const loaded = loadWebhookConfig({ flags: files, env: {}, ...sources });
  if ("problems" in loaded) throw new Error(loaded.problems.join("; "));
  return loaded.config;
}

test("defaults are the contract's, and those that suit a webhook", () => {
  expect(configOf()).toEqual({
    listenAddress: { port: 4443 },
    metricsAddress: { port: 8081 },
    certificate: { files: { certFile: "/tls/tls.crt", keyFile: "/tls/tls.key" } },
    decrypt: "deny",
    kms: { maxInFlight: 64, perSecond: 500 },
    vault: { namespace: "", authMethod: "token", allowNamespaces: true },
    log: { level: "info", format: "auto" },
  });
});

test("a certificate of its own is for the Service in its own namespace", () => {
  const flags = { "self-signed": "true" };
  const selfSigned = { service: "kms-vault-validating-webhook", namespace: "default", names: [] };
  expect(configOf({ flags }).certificate).toEqual({ selfSigned });
  expect(configOf({ flags, namespace: "there" }).certificate).toEqual({
    selfSigned: { ...selfSigned, namespace: "there" },
  });
  const named = configOf({
    flags: { ...flags, "service-name": "hook", "self-signed-names": "10.0.0.1, hook.example" },
    env: { POD_NAMESPACE: "here" },
    namespace: "there",
  });
  expect(named.certificate).toEqual({
    selfSigned: { service: "hook", namespace: "here", names: ["10.0.0.1", "hook.example"] },
  });
});

test("what the policy goes by is read as the operator reads it", () => {
  const flags = { ...files, "vault-authentication-method": "k8s", "allow-vault-namespaces": "true", policy: "/p.yaml" };
  expect(configOf({ flags, env: { VAULT_NAMESPACE: "/team/a/" } })).toMatchObject({
    policyFile: "/p.yaml",
    vault: { namespace: "team/a", authMethod: "k8s", allowNamespaces: true },
  });
  expect(configOf({ flags: { ...files, policy: "/p.yaml" } }).vault.allowNamespaces).toBe(false);
});

test("without a policy Vault namespaces are the operator's to judge, which knows whether they are allowed", () => {
  expect(configOf({ flags: { ...files, "allow-vault-namespaces": "false" } }).vault.allowNamespaces).toBe(true);
});

test("its help names the variables that it reads, and no others", () => {
  const read = new Set<string>();
  for (const address of ["https://vault:8200", "http://vault:8200"]) {
    const set: Record<string, string> = { VAULT_TRANSIT_ADDR: address, VAULT_TRANSIT_TOKEN_FILE: "/transit/token" };
    const env = new Proxy(set, {
      get(target, name: string) {
        read.add(name);
        return target[name];
      },
    });
    expect(configOf({ env }).kms.transitVault?.transport.address).toBe(address);
  }
  // What the connection to the API server is read from (cli/kube-connection.ts).
  read.add("KUBECONFIG");
  expect([...read].toSorted()).toEqual(webhookVariables.map(({ name }) => name).toSorted());
});
