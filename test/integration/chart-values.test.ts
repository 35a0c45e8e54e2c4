// Values of the Go operator's two charts, one by one, and what each does in this one: those who had them set go on with
// their values file. Those of the webhook are in chart-values-webhook.test.ts; what is gone is refused, in
// chart-refused.test.ts.
import { expect, test } from "vitest";
import { objectOf, renderChart, type Values } from "../env/helm.ts";
import {
  annotationsOf,
  argsOf,
  envOf,
  imagesOf,
  kindsOf,
  labelsOf,
  limits,
  operator,
  repository,
  secretKey,
  webhook,
  withWebhook,
  type ValueCase,
} from "./chart-cases.ts";
import { containerOf, deploymentOf, deploymentsOf, variableOf } from "./chart-matrix.ts";

const lastChart: readonly ValueCase[] = [
  {
    value: "global.imageVersion",
    values: { global: { imageVersion: "v1.2.3" }, ...withWebhook({}) },
    shows: imagesOf,
    as: [`${repository}:v1.2.3`, `${repository}:v1.2.3`],
  },
  {
    value: "imageVersion over global.imageVersion",
    values: {
      global: { imageVersion: "v1.2.3" },
      imageVersion: "v1.2.4",
      validatingWebhook: { enabled: true, imageVersion: "v1.2.5" },
    },
    shows: (rendered) => [containerOf(rendered).image, containerOf(rendered, webhook).image],
    as: [`${repository}:v1.2.4`, `${repository}:v1.2.5`],
  },
  {
    value: "global.imagePullPolicy",
    values: { global: { imagePullPolicy: "Always" }, ...withWebhook({}) },
    shows: (rendered) => deploymentsOf(rendered).map(({ spec }) => spec.template.spec.containers[0].imagePullPolicy),
    as: ["Always", "Always"],
  },
  {
    value: "imagePullPolicy over global.imagePullPolicy",
    values: { imagePullPolicy: "Never", validatingWebhook: { enabled: true, imagePullPolicy: "Always" } },
    shows: (rendered) => [containerOf(rendered).imagePullPolicy, containerOf(rendered, webhook).imagePullPolicy],
    as: ["Never", "Always"],
  },
  {
    value: "global.podAnnotations",
    values: { global: { podAnnotations: { a: "1" } }, ...withWebhook({}) },
    shows: annotationsOf,
    as: [{ a: "1" }, { a: "1" }],
  },
  {
    value: "podAnnotations in place of global.podAnnotations",
    values: { global: { podAnnotations: { a: "1" } }, podAnnotations: { b: "2" } },
    shows: annotationsOf,
    as: [{ b: "2" }],
  },
  {
    value: "global.resources",
    values: { global: { resources: limits }, ...withWebhook({}) },
    shows: (rendered) => deploymentsOf(rendered).map(({ spec }) => spec.template.spec.containers[0].resources),
    as: [limits, limits],
  },
  {
    value: "resources in place of global.resources",
    values: { global: { resources: { limits: { memory: "2Gi" } } }, resources: limits },
    shows: (rendered) => containerOf(rendered).resources,
    as: limits,
  },
  {
    value: "serviceAccount.name",
    values: { serviceAccount: { name: "other" } },
    shows: (rendered) => [
      objectOf(rendered, "ServiceAccount", "other").metadata.name,
      deploymentOf(rendered).spec.template.spec.serviceAccountName,
      (objectOf(rendered, "ClusterRoleBinding", operator)["subjects"] as { name: string }[]).map(({ name }) => name),
    ],
    as: ["other", "other", ["other"]],
  },
  {
    value: "syncPeriodSeconds",
    values: { syncPeriodSeconds: 0 },
    shows: argsOf(operator),
    as: expect.arrayContaining(["--sync-period-seconds=0"]),
  },
  { value: "watchNamespace", values: { watchNamespace: "team" }, shows: envOf("WATCH_NAMESPACE"), as: "team" },
  { value: "watchNamespace, empty", values: { watchNamespace: "" }, shows: envOf("WATCH_NAMESPACE"), as: undefined },
  {
    value: "tls.enable, tls.mountPath, tls.certFileName, tls.secretName",
    values: { tls: { enable: true, mountPath: "/ca", certFileName: "vault.pem", secretName: "vault-ca" } },
    shows: (rendered) => [
      envOf("VAULT_CAPATH")(rendered),
      envOf("VAULT_SKIP_VERIFY")(rendered),
      containerOf(rendered).volumeMounts,
      deploymentOf(rendered).spec.template.spec.volumes,
    ],
    as: [
      "/ca/vault.pem",
      undefined,
      [{ name: "tls", mountPath: "/ca", readOnly: true }],
      [{ name: "tls", secret: { secretName: "vault-ca" } }],
    ],
  },
  {
    value: "tls.enable: false, as it says",
    values: { tls: { enable: false } },
    shows: (rendered) => [envOf("VAULT_SKIP_VERIFY")(rendered), envOf("VAULT_CAPATH")(rendered)],
    as: ["true", undefined],
  },
  {
    value: "tls.enable: false over tls.secretName, as it was",
    values: { tls: { enable: false, secretName: "vault-ca" } },
    shows: (rendered) => [
      envOf("VAULT_SKIP_VERIFY")(rendered),
      envOf("VAULT_CAPATH")(rendered),
      deploymentOf(rendered).spec.template.spec.volumes,
    ],
    as: ["true", undefined, undefined],
  },
  { value: "tls.enable, unset", values: {}, shows: envOf("VAULT_SKIP_VERIFY"), as: undefined },
  {
    value: "aws.region",
    values: { aws: { region: "eu-west-1" }, ...withWebhook({}) },
    shows: (rendered) => [envOf("AWS_REGION")(rendered), envOf("AWS_REGION", webhook)(rendered)],
    as: ["eu-west-1", "eu-west-1"],
  },
  {
    value: "aws.iamCredentialsSecrets",
    values: { aws: { iamCredentialsSecrets: [secretKey("AWS_ACCESS_KEY_ID")] }, ...withWebhook({}) },
    shows: (rendered) =>
      [operator, webhook].map((name) => variableOf(containerOf(rendered, name), "AWS_ACCESS_KEY_ID")),
    as: [secretKey("AWS_ACCESS_KEY_ID"), secretKey("AWS_ACCESS_KEY_ID")],
  },
  {
    value: "vaultAuthenticationMethod and authMethodVariables",
    values: { vaultAuthenticationMethod: "token", authMethodVariables: [secretKey("VAULT_TOKEN")] },
    shows: (rendered) => [
      containerOf(rendered).args.includes("--vault-authentication-method=token"),
      variableOf(containerOf(rendered), "VAULT_TOKEN"),
      envOf("VAULT_K8S_ROLE")(rendered),
    ],
    as: [true, secretKey("VAULT_TOKEN"), undefined],
  },
  {
    value: "authMethodVariables, none of them",
    values: {},
    shows: (rendered) => [envOf("VAULT_K8S_ROLE")(rendered), envOf("VAULT_K8S_LOGIN_ENDPOINT")(rendered)],
    as: ["kms-vault-operator", "auth/kubernetes/login"],
  },
  {
    value: "authMethodVariables over what the chart sets, for the policy in the webhook too",
    values: {
      authMethodVariables: [
        { name: "VAULT_NAMESPACE", value: "team" },
        { name: "VAULT_ADDR", value: "https://other:8200" },
      ],
      ...withWebhook({}),
    },
    shows: (rendered) => [
      envOf("VAULT_ADDR")(rendered),
      envOf("VAULT_NAMESPACE")(rendered),
      envOf("VAULT_NAMESPACE", webhook)(rendered),
    ],
    as: ["https://other:8200", "team", "team"],
  },
  {
    value: "vault.address",
    values: { vault: { address: "https://v:1" } },
    shows: envOf("VAULT_ADDR"),
    as: "https://v:1",
  },
  {
    value: "global.prometheusMonitoring.enable",
    values: { global: { prometheusMonitoring: { enable: true } }, ...withWebhook({}) },
    shows: kindsOf("ServiceMonitor"),
    as: ["kms-vault-operator", "kms-vault-operator-webhook"],
  },
  {
    value: "prometheusMonitoring.enable",
    values: { prometheusMonitoring: { enable: true }, ...withWebhook({}) },
    shows: kindsOf("ServiceMonitor"),
    as: ["kms-vault-operator"],
  },
  {
    value: "an own enable: false over global.prometheusMonitoring.enable",
    values: { global: { prometheusMonitoring: { enable: true } }, prometheusMonitoring: { enable: false } },
    shows: kindsOf("ServiceMonitor"),
    as: [],
  },
  {
    value: "global.prometheusMonitoring.serviceMonitor.customLabels",
    values: { global: { prometheusMonitoring: { enable: true, serviceMonitor: { customLabels: { release: "p" } } } } },
    shows: labelsOf("kms-vault-operator"),
    as: expect.objectContaining({ release: "p" }),
  },
  {
    value: "prometheusMonitoring.serviceMonitor.customLabels",
    values: { prometheusMonitoring: { enable: true, serviceMonitor: { customLabels: { own: "o" } } } },
    shows: labelsOf("kms-vault-operator"),
    as: expect.objectContaining({ own: "o" }),
  },
];

const firstChart: readonly ValueCase[] = [
  { value: "imageVersion", values: { imageVersion: "latest" }, shows: imagesOf, as: [`${repository}:latest`] },
  {
    value: "serviceAccount.create: false",
    values: { serviceAccount: { create: false } },
    shows: (rendered) => [
      kindsOf("ServiceAccount")(rendered),
      deploymentOf(rendered).spec.template.spec.serviceAccountName,
    ],
    as: [[], "kms-vault-operator"],
  },
  {
    value: "vault.skipVerify: true",
    values: { vault: { skipVerify: true } },
    shows: envOf("VAULT_SKIP_VERIFY"),
    as: "true",
  },
  {
    value: "vault.skipVerify: false over tls.enable: false",
    values: { vault: { skipVerify: false }, tls: { enable: false } },
    shows: envOf("VAULT_SKIP_VERIFY"),
    as: undefined,
  },
  {
    value: "validatingWebhookSidecar that is not enabled, as its values.yaml had it",
    values: { validatingWebhookSidecar: { enabled: false, tlsSecretName: "t" } },
    shows: kindsOf("Deployment"),
    as: [operator],
  },
  {
    value: "authentication with nothing in it, as its values.yaml had it",
    values: { authentication: { k8s: null, token: null, userpass: null } },
    shows: (rendered) => containerOf(rendered).args.includes("--vault-authentication-method=k8s"),
    as: true,
  },
];

test.each([...lastChart, ...firstChart])("$value", async ({ values, shows, as }) => {
  expect(shows(await renderChart(values))).toEqual(as);
});

/** The last chart's own values, for those who copied its file whole; its image is another program, so without that. */
const copied: Values = {
  global: {
    imagePullPolicy: "IfNotPresent",
    prometheusMonitoring: { enable: false, serviceMonitor: { customLabels: null } },
    podAnnotations: {},
    resources: null,
  },
  imageVersion: null,
  imagePullPolicy: null,
  resources: null,
  podAnnotations: null,
  serviceAccount: { name: operator },
  syncPeriodSeconds: 120,
  watchNamespace: "",
  tls: { enable: false, mountPath: "/tls", certFileName: "ca.crt", secretName: null },
  aws: { region: "us-east-1", iamCredentialsSecrets: null },
  vaultAuthenticationMethod: "k8s",
  authMethodVariables: [{ name: "VAULT_K8S_ROLE", value: operator }],
  vault: { address: "https://vault:8200" },
  prometheusMonitoring: { enable: null, serviceMonitor: { customLabels: null } },
  validatingWebhook: {
    enabled: false,
    replicas: 1,
    imageVersion: null,
    certManager: {
      injectSecret: true,
      apiVersion: "cert-manager.io/v1alpha2",
      issuerRef: { name: "i", kind: "ClusterIssuer" },
    },
    caBundle: "Cg==",
    namespaceSelectorExpressions: [{ key: operator, operator: "DoesNotExist" }],
    prometheusMonitoring: { enable: null, serviceMonitor: { customLabels: null } },
    podAnnotations: null,
    resources: null,
    affinity: null,
  },
};

test("a copy of the last chart's values.yaml differs from none in what it says of Vault's certificate alone", async () => {
  const [byCopy, byDefault] = [containerOf(await renderChart(copied)), containerOf(await renderChart())];
  const env = byCopy.env.filter(({ name }) => name !== "VAULT_SKIP_VERIFY");
  expect(env).toEqual(byDefault.env.filter(({ name }) => name !== "VAULT_K8S_LOGIN_ENDPOINT"));
  expect({ ...byCopy, env: [] }).toEqual({ ...byDefault, env: [] });
});
