// What the chart refuses, and the words in which it says what to write instead. Whatever is not in the schema is refused
// too, so a mistyped value is never passed over in silence.
import { describe, expect, test } from "vitest";
import { chartSchema, type ValueSchema } from "../../tools/helm-values.ts";
import { authEnvironments, type AuthVariable, authVariables } from "../../src/vault/auth/environment.ts";
import { imagesOf } from "./chart-cases.ts";
import { objectOf, refusalOf, renderChart, type Values } from "../env/helm.ts";

/** Values that are refused, and what is said. */
type Refusal = readonly [says: string, values: Values];

const webhook = (values: Values): Values => ({ validatingWebhook: { enabled: true, ...values } });

const former: readonly Refusal[] = [
  [
    "authentication.k8s is now vaultAuthenticationMethod: k8s and authMethodVariables: [{name: VAULT_K8S_ROLE, value: r}, {name: VAULT_K8S_LOGIN_ENDPOINT, value: e}]",
    { authentication: { k8s: { role: "r", endpoint: "e" } } },
  ],
  [
    "authentication.token is now vaultAuthenticationMethod: token and authMethodVariables: [{name: VAULT_TOKEN, valueFrom: {secretKeyRef: {name: n, key: k}}}]",
    { authentication: { token: { secretName: "n", secretKey: "k" } } },
  ],
  [
    "authentication.userpass is now vaultAuthenticationMethod: userpass and authMethodVariables: [{name: VAULT_USERNAME, value: u}, {name: VAULT_PASSWORD, valueFrom: {secretKeyRef: {name: n, key: k}}}]",
    { authentication: { userpass: { username: "u", password: { secretName: "n", secretKey: "k" } } } },
  ],
  [
    "aws.accessKeyId is now an entry of aws.iamCredentialsSecrets: {name: AWS_ACCESS_KEY_ID, valueFrom: {secretKeyRef: {name: n, key: k}}}",
    { aws: { accessKeyId: { secretName: "n", secretKey: "k" } } },
  ],
  [
    "aws.secretAccessKey is now an entry of aws.iamCredentialsSecrets: {name: AWS_SECRET_ACCESS_KEY, valueFrom: {secretKeyRef: {name: n, key: k}}}",
    { aws: { secretAccessKey: { secretName: "n", secretKey: "k" } } },
  ],
  [
    `validatingWebhookSidecar is now validatingWebhook: {"caBundle":"Q0E=","certManager":{"injectSecret":false},"enabled":true,"tls":{"secretName":"t"}}`,
    { validatingWebhookSidecar: { enabled: true, tlsSecretName: "t", caBundle: "Q0E=" } },
  ],
  ["v0.15.0 of the operator is an image of the Go operator", { global: { imageVersion: "v0.15.0" } }],
  ["v0.17.0 of the webhook is an image of the Go operator", webhook({ imageVersion: "v0.17.0" })],
  [
    "certManager.apiVersion cert-manager.io/v1alpha2 is gone from cert-manager: leave it out for cert-manager.io/v1",
    webhook({ certManager: { apiVersion: "cert-manager.io/v1alpha2" } }),
  ],
];

const contradictions: readonly Refusal[] = [
  ["tls.enable needs tls.secretName or tls.configMapName", { tls: { enable: true } }],
  ["only one of them can hold the CA", { tls: { enable: true, secretName: "a", configMapName: "b" } }],
  [
    "tls.enable: true and vault.skipVerify: true contradict each other",
    { tls: { enable: true, secretName: "a" }, vault: { skipVerify: true } },
  ],
  ["shards: 2 is less than replicas: 3", { shards: 2, replicas: 3 }],
  ["replicas: 2 needs leaderElection.enabled: true or shards", { replicas: 2, leaderElection: { enabled: false } }],
  ["policy.enabled needs policy.rules or policy.existingConfigMap", { policy: { enabled: true } }],
  [
    "policy.rules and policy.existingConfigMap: only one of them",
    { policy: { enabled: true, existingConfigMap: "p", rules: [{ name: "a", vaultPaths: [] }] } },
  ],
  ["policy.rules without policy.enabled: true would be no policy", { policy: { rules: [] } }],
  [
    "policy.rules without policy.enabled: true would be no policy",
    { policy: { rules: [{ name: "a", vaultPaths: [] }] } },
  ],
  ["policy.existingConfigMap without policy.enabled: true would be no policy", { policy: { existingConfigMap: "p" } }],
  ["tls.secretName needs tls.enable: true", { tls: { secretName: "a" } }],
  ["tls.configMapName needs tls.enable: true", { tls: { configMapName: "a" }, vault: { skipVerify: true } }],
  ["transit.address needs transit.tokenSecretName", { transit: { address: "https://v:1" } }],
  [
    "transit.address needs transit.tokenSecretName, or VAULT_TRANSIT_TOKEN or VAULT_TRANSIT_TOKEN_FILE in extraEnv and validatingWebhook.extraEnv",
    {
      transit: { address: "https://v:1" },
      extraEnv: [{ name: "VAULT_TRANSIT_TOKEN_FILE", value: "/t" }],
      ...webhook({}),
    },
  ],
  ["transit.tokenSecretName needs transit.address", { transit: { tokenSecretName: "t" } }],
  [
    "transit.tokenSecretName needs transit.address",
    {
      transit: { tokenSecretName: "t" },
      extraEnv: [{ name: "VAULT_TRANSIT_ADDR", value: "https://v:1" }],
      ...webhook({}),
    },
  ],
  [
    "vaultAuthenticationMethod: cert needs vault.clientCertificateSecretName",
    { vaultAuthenticationMethod: "cert", authMethodVariables: [] },
  ],
  ...["VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY"].map(
    (name): Refusal => [
      "the Secret with the certificate that logs in, or VAULT_CLIENT_CERT and VAULT_CLIENT_KEY in extraEnv",
      { vaultAuthenticationMethod: "cert", extraEnv: [{ name, value: "/c" }] },
    ],
  ),
  ["extraArgs: --shards belongs into shards", { extraArgs: ["--shards=3"] }],
  ["extraArgs: --shards belongs into shards", { extraArgs: ["-shards", "3"], leaderElection: { enabled: false } }],
  [
    "extraArgs: --enable-leader-election belongs into leaderElection.enabled",
    { extraArgs: ["-enable-leader-election"], leaderElection: { enabled: false } },
  ],
  [
    "extraArgs: --enable-leader-election belongs into leaderElection.enabled",
    { extraArgs: ["--adopt=always", "--enable-leader-election=false"] },
  ],
  [
    "validatingWebhook.serviceAccount.annotations: the webhook shares the operator's account, so they belong into serviceAccount.annotations",
    webhook({ serviceAccount: { name: "kms-vault-operator", annotations: { a: "b" } } }),
  ],
  [
    "pdb.minAvailable or pdb.maxUnavailable must be given, or pdb.enabled: false",
    { replicas: 2, pdb: { maxUnavailable: null } },
  ],
  [
    "validatingWebhook.pdb.minAvailable or validatingWebhook.pdb.maxUnavailable must be given",
    webhook({ pdb: { enabled: true, maxUnavailable: null } }),
  ],
  ["tls.mountPath, tls.certFileName must not be null; leave them out for their defaults", { tls: null }],
  ["crds.keep must not be null", { crds: { keep: null } }],
  ["validatingWebhook.timeoutSeconds must not be null", { validatingWebhook: { timeoutSeconds: null } }],
];

/** By the schema: the path of the value, and what Helm says of it. */
const bySchema: readonly Refusal[] = [
  ["additional properties 'replicaCount' not allowed", { replicaCount: 2 }],
  ["additional properties 'skipverify' not allowed", { vault: { skipverify: true } }],
  ["additional properties 'enabled' not allowed", { tls: { enabled: true } }],
  ["additional properties 'valuesFrom' not allowed", { extraEnv: [{ name: "A", valuesFrom: {} }] }],
  ["'/vaultAuthenticationMethod': value must be one of 'k8s', 'token'", { vaultAuthenticationMethod: "kubernetes" }],
  ["'/watchNamespace'", { watchNamespace: "Team A" }],
  ["'/syncPeriodSeconds'", { syncPeriodSeconds: "2m" }],
  ["'/image/digest'", { image: { digest: "latest" } }],
  ["'/image/repository'", { image: { repository: "registry:5000/operator:v1" } }],
  ["'/image/repository'", { image: { repository: `operator@sha256:${"a".repeat(64)}` } }],
  ["'/image/repository'", { image: { repository: "[::1]:5000/operator:v1" } }],
  ["'/podLabels/app'", { podLabels: { app: "mine" } }],
  ["'/validatingWebhook/podLabels/app'", webhook({ podLabels: { app: "mine" } })],
  ["'/livenessProbe'", { livenessProbe: { periodSecond: 5 } }],
  ["'/livenessProbe'", { livenessProbe: { httpGet: { path: "/" } } }],
  ["'/livenessProbe/successThreshold'", { livenessProbe: { successThreshold: 2 } }],
  ["'/livenessProbe/terminationGracePeriodSeconds'", { livenessProbe: { terminationGracePeriodSeconds: 0 } }],
  ["'/readinessProbe'", { readinessProbe: { terminationGracePeriodSeconds: 5 } }],
  ["'/validatingWebhook/livenessProbe/successThreshold'", webhook({ livenessProbe: { successThreshold: 2 } })],
  ["'/validatingWebhook/readinessProbe'", webhook({ readinessProbe: { terminationGracePeriodSeconds: 5 } })],
  ["'/readinessProbe/periodSeconds'", { readinessProbe: { periodSeconds: "5s" } }],
  ["'/validatingWebhook/livenessProbe'", webhook({ livenessProbe: { httpGet: { path: "/" } } })],
  ["'/validatingWebhook/readinessProbe/periodSeconds'", webhook({ readinessProbe: { periodSeconds: 0.5 } })],
  ["'/authentication'", { authentication: "k8s" }],
  ["additional properties 'kubernetes' not allowed", { authentication: { kubernetes: { role: "r" } } }],
  ["'/validatingWebhook/caBundle'", webhook({ caBundle: "-----BEGIN CERTIFICATE-----" })],
  ["'/authMethodVariables/0/value'", { authMethodVariables: [{ name: "VAULT_K8S_ROLE", value: 1 }] }],
  ["'/validatingWebhook/failurePolicy'", webhook({ failurePolicy: "fail" })],
  ["'/validatingWebhook/timeoutSeconds'", webhook({ timeoutSeconds: 31 })],
  ["'/validatingWebhook/certificates'", webhook({ certificates: "self-signed" })],
  ["'/policy/rules/0'", { policy: { enabled: true, rules: [{ name: "no paths" }] } }],
];

describe.each([
  ["values of the Go operator's charts", former],
  ["values that contradict each other", contradictions],
  ["what the schema does not know", bySchema],
])("%s", (_, refusals) => {
  test.each(refusals)("%s", async (says, values) => {
    expect(await refusalOf(values)).toContain(says);
    // Helm 3's words for the schema are others, by its version.
    expect(await refusalOf(values, { helm: "helm3" })).toContain(refusals === bySchema ? "schema" : says);
  });
});

describe("a login that the operator would not start with", () => {
  const required = Object.entries(authEnvironments).flatMap(([method, { variables }]) =>
    (variables as readonly AuthVariable[]).filter((one) => one.required).map(({ name }) => [method, name] as const),
  );

  const known: readonly string[] = authVariables.map(({ name }) => name);
  const hasFile = (name: string) => known.includes(`${name}_FILE`);

  test.each(required)("%s without %s is refused, with what to write", async (method, name) => {
    const said = await refusalOf({ vaultAuthenticationMethod: method });
    expect(said).toContain(`vaultAuthenticationMethod: ${method} needs in authMethodVariables: `);
    expect(said).toContain(`{name: ${name}, ${hasFile(name) ? "valueFrom" : "value"}: `);
    expect(said.includes(`${name}_FILE`)).toBe(hasFile(name));
  });

  const others = required.map(([, name]) => name);
  test.each(required.filter(([, name]) => !hasFile(name)))("%s: nothing reads a file for %s", async (method, name) => {
    const variables = others.map((other) => ({ name: other === name ? `${name}_FILE` : other, value: "/x" }));
    const said = await refusalOf({ vaultAuthenticationMethod: method, authMethodVariables: variables });
    expect(said).toContain(`needs in authMethodVariables: [{name: ${name}, value: …}]\n`);
  });

  test.each<[string, Values]>([
    ["a variable", { authMethodVariables: others.map((name) => ({ name, value: "x" })) }],
    ["a further variable", { extraEnv: others.map((name) => ({ name, value: "x" })) }],
    [
      "a file, where it may be one,",
      { authMethodVariables: others.map((name) => ({ name: hasFile(name) ? `${name}_FILE` : name, value: "/x" })) },
    ],
    ["what a Secret holds", { extraEnvFrom: [{ secretRef: { name: "login" } }] }],
    ["another method in a flag", { extraArgs: ["--vault-authentication-method=k8s"] }],
  ])("%s may be what it needs", async (_, values) => {
    for (const [method] of required) await renderChart({ vaultAuthenticationMethod: method, ...values });
  });

  test.each<[string, Values]>([
    [
      "cert by variables",
      {
        extraEnv: [
          { name: "VAULT_CLIENT_CERT", value: "/c" },
          { name: "VAULT_CLIENT_KEY", value: "/k" },
        ],
      },
    ],
    ["cert by what a Secret holds", { extraEnvFrom: [{ secretRef: { name: "login" } }] }],
    ["iam, which needs none", { vaultAuthenticationMethod: "iam" }],
    [
      "transit by variables",
      {
        vaultAuthenticationMethod: "k8s",
        transit: { tokenSecretName: "t" },
        extraEnv: [{ name: "VAULT_TRANSIT_ADDR", value: "https://v:1" }],
        ...webhook({ extraEnvFrom: [{ configMapRef: { name: "transit" } }] }),
      },
    ],
    [
      "the token for transit by variables",
      {
        vaultAuthenticationMethod: "k8s",
        transit: { address: "https://v:1" },
        extraEnv: [{ name: "VAULT_TRANSIT_TOKEN_FILE", value: "/t" }],
        ...webhook({
          extraEnv: [{ name: "VAULT_TRANSIT_TOKEN", valueFrom: { secretKeyRef: { name: "t", key: "t" } } }],
        }),
      },
    ],
    [
      "the token for transit by what a Secret holds",
      {
        vaultAuthenticationMethod: "k8s",
        transit: { address: "https://v:1" },
        extraEnvFrom: [{ secretRef: { name: "transit" } }],
      },
    ],
  ])("%s", async (_, values) => {
    await renderChart({ vaultAuthenticationMethod: "cert", ...values });
  });
});

test.each<Values>([
  { policy: { enabled: false, rules: [{ name: "a", vaultPaths: [] }] } },
  { policy: { enabled: false, existingConfigMap: "p", followsLabels: true } },
])("what a base says of the policy may stay where another file turns it off: %j", async (values) => {
  expect((await renderChart(values)).manifests).toEqual((await renderChart()).manifests);
});

test("a webhook of the first chart goes on with the values that its refusal holds", async () => {
  const issuerRef = { name: "i", kind: "Issuer" };
  const old = { failurePolicy: "Ignore", certManager: { injectSecret: true, issuerRef }, tlsSecretName: "t" };
  const said = await refusalOf({ validatingWebhookSidecar: { ...old, enabled: true } });
  const line = /validatingWebhookSidecar is now validatingWebhook: (.*)$/m.exec(said)?.[1] ?? "";
  const rendered = await renderChart({ validatingWebhook: JSON.parse(line) as Values });
  expect(objectOf(rendered, "Certificate", "kms-vault-validating-webhook")["spec"]).toMatchObject({ issuerRef });
});

test.each(groupsOf(chartSchema()))("%s: null is refused by name", async (group) => {
  const values = group.split(".").reduceRight<unknown>((inner, name) => ({ [name]: inner }), null) as Values;
  const said = await refusalOf(values);
  expect(said).toMatch(new RegExp(`cannot be installed so: ${group.replaceAll(".", "[.]")}([.][^ ,]+)?[ ,]`));
  expect(said).toContain("must not be null");
});

test("everything that is wrong is said at once", async () => {
  const said = await refusalOf({ tls: { enable: true }, policy: { enabled: true }, imageVersion: "v0.17.0" });
  expect(said.match(/^ {2}- /gm)).toHaveLength(3);
});

test("a secret in the place of a reference to one is not repeated", async () => {
  const aws = { accessKeyId: "canary", secretAccessKey: "canary" };
  const said = await refusalOf({ authentication: { token: "canary", userpass: { password: "canary" } }, aws });
  expect(said).toContain("{name: VAULT_TOKEN, valueFrom: {secretKeyRef: {name: SECRET, key: KEY}}}");
  expect(said).not.toContain("canary");
});

test("as a part of another chart: its condition and its global values are let through", async () => {
  const { manifests } = await renderChart({ enabled: true, global: { imageRegistry: "registry.example.com" } });
  expect(manifests.length).toBeGreaterThan(0);
});

test.each(["[2001:db8::1]:5000/a/b", "[::1]/a/b", "registry:5000/a", "a/b", "b"])(
  "an image may be pulled from %s",
  async (from) => {
    expect(imagesOf(await renderChart({ image: { repository: from }, imageVersion: "v9" }))).toEqual([`${from}:v9`]);
  },
);

/** Names of all groups of values. */
function groupsOf({ properties }: ValueSchema, prefix = ""): string[] {
  return Object.entries(properties ?? {}).flatMap(([name, value]) =>
    value.properties === undefined || value.deprecated === true
      ? []
      : [`${prefix}${name}`, ...groupsOf(value, `${prefix}${name}.`)],
  );
}
