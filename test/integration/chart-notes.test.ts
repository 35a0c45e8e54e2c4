// What Helm prints at the end of an installation: what to do next, and what somebody should know of the values.
import { expect, test } from "vitest";
import { chartDirectory, releaseNamespace, runHelm, type Values } from "../env/helm.ts";

async function notes(values: Values): Promise<string> {
  const line = ["install", "kms-vault-operator", chartDirectory, `--namespace=${releaseNamespace}`, "--values=-"];
  const { code, stdout, stderr } = await runHelm([...line, "--dry-run=client", "--hide-secret"], values);
  if (code !== 0) throw new Error(stderr);
  return stdout.slice(stdout.indexOf("\nNOTES:\n"));
}

test("with the default values there is nothing to warn of", async () => {
  const said = await notes({});
  expect(said).toContain("kubectl -n kms-vault-operator rollout status deployment kms-vault-operator");
  // In this order: without the operator, objects with a finalizer are never gone, not even with their CRD.
  expect(said).toMatch(
    /kubectl delete kmsvaultsecrets,[^]*helm uninstall kms-vault-operator [^]*kubectl delete crd kmsvaultsecrets[.]/,
  );
  expect(said).not.toContain("WARNING");
});

test.each<[string, Values]>([
  ["WARNING: Vault's certificate is not verified", { tls: { enable: false } }],
  ["WARNING: Vault's certificate is not verified", { vault: { skipVerify: true } }],
  [
    "WARNING: the values hold in plain text: VAULT_TOKEN.",
    { authMethodVariables: [{ name: "VAULT_TOKEN", value: "canary" }] },
  ],
  ["VAULT_PASSWORD", { authMethodVariables: [{ name: "VAULT_PASSWORD", value: "canary" }] }],
  ["AWS_SECRET_ACCESS_KEY", { aws: { iamCredentialsSecrets: [{ name: "AWS_SECRET_ACCESS_KEY", value: "canary" }] } }],
  ["Only the namespaces team-a are watched", { watchNamespace: "team-a" }],
  ...[{ rules: [] }, { existingConfigMap: "p" }].map((kept): [string, Values] => [
    `WARNING: policy.enabled is false, so policy.${Object.keys(kept).join()} is not looked at`,
    { policy: { enabled: false, ...kept } },
  ]),
  ["WARNING: validatingWebhook.caBundle is empty", { validatingWebhook: { enabled: true, certificates: "own" } }],
])("%s", async (says, values) => {
  const said = await notes(values);
  expect(said).toContain(says);
  expect(said).not.toContain("canary");
});

test("a policy that is off, with nothing kept of it, is nothing to warn of", async () => {
  expect(await notes({ policy: { enabled: false } })).not.toContain("WARNING");
});

test("a variable from a Secret is no credential in plain text", async () => {
  const valueFrom = { secretKeyRef: { name: "vault", key: "token" } };
  expect(await notes({ authMethodVariables: [{ name: "VAULT_TOKEN", valueFrom }] })).not.toContain("WARNING");
});
