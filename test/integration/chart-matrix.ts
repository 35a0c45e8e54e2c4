// Values with which the chart is rendered: each is a way somebody installs it. The snapshots show all of what comes out,
// the invariants hold for every one of them.
import type { Manifest } from "../env/kube-client.ts";
import type { Rendered, Values } from "../env/helm.ts";

const secretVariable = (name: string): object => ({
  name,
  valueFrom: { secretKeyRef: { name: "vault-login", key: name } },
});
const login = (method: string, ...variables: readonly object[]): Values => ({
  vaultAuthenticationMethod: method,
  authMethodVariables: variables,
});

/** Each way to log in to Vault. */
const logins: Readonly<Record<string, Values>> = {
  "login-token": login("token", secretVariable("VAULT_TOKEN")),
  "login-userpass": login("userpass", { name: "VAULT_USERNAME", value: "operator" }, secretVariable("VAULT_PASSWORD")),
  "login-approle": login("approle", secretVariable("VAULT_APPROLE_ROLE_ID"), secretVariable("VAULT_APPROLE_SECRET_ID")),
  "login-github": login("github", secretVariable("VAULT_GITHUB_TOKEN")),
  "login-iam": login("iam", { name: "VAULT_IAM_ROLE", value: "operator" }),
  "login-jwt": login("jwt", { name: "VAULT_JWT_FILE", value: "/var/run/secrets/kubernetes.io/serviceaccount/token" }),
  "login-cert": { ...login("cert"), vault: { clientCertificateSecretName: "vault-client" } },
  "login-ldap": login(
    "ldap",
    { name: "VAULT_LDAP_USERNAME", value: "operator" },
    secretVariable("VAULT_LDAP_PASSWORD"),
  ),
};

const policy = { enabled: true, rules: [{ name: "teams", vaultPaths: ["secret/{{namespace}}/**"] }] };
const tenants = {
  name: "tenants",
  namespaces: { labels: { tenant: "*" } },
  vaultPaths: ["secret/{{label:tenant}}/{{namespace}}/**"],
};

/** What both kinds of probes may be told. */
const probe = { initialDelaySeconds: 1, periodSeconds: 3, timeoutSeconds: 2, failureThreshold: 4 };

/** Values by the name of their snapshot. */
export const matrix: Readonly<Record<string, Values>> = {
  defaults: {},
  ...logins,
  "webhook-cert-manager": { validatingWebhook: { enabled: true } },
  "webhook-self-signed": { validatingWebhook: { enabled: true, certificates: "selfSigned", replicas: 2 } },
  "webhook-own-certificate": {
    validatingWebhook: {
      enabled: true,
      certManager: { injectSecret: false },
      tls: { secretName: "webhook-tls", mountPath: "/webhook-tls", certFileName: "crt", privateKeyFileName: "key" },
      caBundle: "Q0E=",
    },
  },
  "watch-namespaces": {
    watchNamespace: "team-a, team-b",
    serviceAccountLogin: { enabled: true },
    validatingWebhook: { enabled: true, certificates: "selfSigned" },
  },
  policy: { policy, validatingWebhook: { enabled: true } },
  "policy-by-labels": { policy: { enabled: true, rules: [tenants] }, validatingWebhook: { enabled: true } },
  // The least that makes the policy need labels: a template, with the spaces that the operator lets stand in it.
  "policy-by-labels-in-templates": {
    policy: { enabled: true, rules: [{ name: "tenants", vaultPaths: ["secret/{{ label:tenant }}/**"] }] },
  },
  shards: { replicas: 3, shards: 12 },
  "one-replica-alone": { leaderElection: { enabled: false } },
  // YAML would take these for numbers and booleans.
  "names-that-are-no-strings-to-yaml": {
    watchNamespace: "456,007",
    serviceAccount: { name: "1234" },
    serviceAccountLogin: { enabled: true },
    tls: { enable: true, secretName: "1" },
    age: { secretName: "2" },
    vault: { clientCertificateSecretName: "3" },
    policy: { enabled: true, existingConfigMap: "4", followsLabels: true },
    priorityClassName: "5",
    prometheusMonitoring: { enable: true, interval: "1", scrapeTimeout: "1" },
    dashboards: { enabled: true, namespace: "456" },
    validatingWebhook: { enabled: true, serviceAccount: { name: "7" }, certManager: { issuerRef: { name: "8" } } },
  },
  monitoring: {
    global: { prometheusMonitoring: { enable: true, serviceMonitor: { customLabels: { release: "prometheus" } } } },
    alerts: { enabled: true },
    validatingWebhook: { enabled: true },
  },
  everything: {
    image: {
      repository: "registry.example.com/operator",
      digest: `sha256:${"a".repeat(64)}`,
      pullSecrets: [{ name: "pull" }],
    },
    replicas: 2,
    podLabels: { team: "platform" },
    podAnnotations: { "iam.amazonaws.com/role": "operator" },
    serviceAccount: { annotations: { "eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/operator" } },
    serviceAccountLogin: { enabled: true, audience: "https://vault.example.com" },
    log: { level: "debug", format: "json" },
    tls: { enable: true, secretName: "vault-ca" },
    aws: {
      region: "eu-west-1",
      iamCredentialsSecrets: [secretVariable("AWS_ACCESS_KEY_ID"), secretVariable("AWS_SECRET_ACCESS_KEY")],
    },
    kms: {
      allowedKeys: ["alias/a", "alias/b"],
      roleArn: "arn:aws:iam::123456789012:role/kms",
      maxInFlight: 8,
      qps: 100,
    },
    age: { secretName: "age-keys" },
    transit: { key: "transit/k", address: "https://transit:8200", namespace: "keys", tokenSecretName: "transit-token" },
    vault: { address: "https://vault.example.com", namespace: "team", serverName: "vault.internal" },
    allowVaultNamespaces: true,
    policy,
    livenessProbe: { ...probe, successThreshold: 1, terminationGracePeriodSeconds: 20 },
    readinessProbe: { ...probe, successThreshold: 2 },
    extraArgs: ["--adopt=always"],
    extraEnv: [{ name: "VAULT_CLIENT_TIMEOUT", value: "30s" }],
    extraEnvFrom: [{ configMapRef: { name: "more" } }],
    extraVolumes: [{ name: "more", emptyDir: {} }],
    extraVolumeMounts: [{ name: "more", mountPath: "/more" }],
    nodeSelector: { "kubernetes.io/os": "linux" },
    tolerations: [{ key: "dedicated", operator: "Exists" }],
    affinity: { nodeAffinity: {} },
    priorityClassName: "system-cluster-critical",
    networkPolicy: { enabled: true, metricsFrom: [{ podSelector: {} }], egress: [{ ports: [{ port: 443 }] }] },
    prometheusMonitoring: { enable: true, kind: "PodMonitor", interval: "30s", scrapeTimeout: "10s" },
    dashboards: { enabled: true, annotations: { grafana_folder: "Vault" } },
    alerts: { enabled: true, labels: { release: "prometheus" } },
    validatingWebhook: {
      enabled: true,
      replicas: 2,
      certificates: "selfSigned",
      decrypt: "warn",
      timeoutSeconds: 5,
      failurePolicy: "Ignore",
      prometheusMonitoring: { enable: true },
      extraArgs: ["--kms-qps=50"],
      extraEnv: [{ name: "HTTPS_PROXY", value: "http://proxy:3128" }],
      extraEnvFrom: [{ configMapRef: { name: "more" } }],
      extraVolumes: [{ name: "more", emptyDir: {} }],
      extraVolumeMounts: [{ name: "more", mountPath: "/more" }],
      affinity: { podAntiAffinity: {} },
      namespaceSelectorExpressions: [{ key: "kubernetes.io/metadata.name", operator: "In", values: ["team-a"] }],
    },
  },
};

/** A variable of a container. */
export interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: object;
}

/** A container as far as the tests look at it. */
export interface Container {
  readonly name: string;
  readonly image: string;
  readonly imagePullPolicy: string;
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly env: readonly Variable[];
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly resources: object;
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly subPath?: string }[];
}

/** A Deployment as far as the tests look at it. */
export interface Deployment extends Manifest {
  readonly spec: {
    readonly replicas: number;
    readonly strategy?: { readonly type: string };
    readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
    readonly template: {
      readonly metadata: {
        readonly labels: Readonly<Record<string, string>>;
        readonly annotations?: Readonly<Record<string, string>>;
      };
      readonly spec: {
        readonly serviceAccountName: string;
        readonly securityContext: Readonly<Record<string, unknown>>;
        readonly affinity?: object;
        readonly containers: readonly [Container];
        readonly volumes?: readonly { readonly name: string; readonly [source: string]: unknown }[];
      };
    };
  };
}

/** The Deployments among what was rendered. */
export function deploymentsOf({ manifests }: Rendered): Deployment[] {
  return manifests.filter(({ kind }) => kind === "Deployment") as Deployment[];
}

/**
 * The Deployment of that name.
 * @throws Error when there is none
 */
export function deploymentOf(rendered: Rendered, name = "kms-vault-operator"): Deployment {
  const found = deploymentsOf(rendered).find(({ metadata }) => metadata.name === name);
  if (found === undefined) throw new Error(`no Deployment ${name} was rendered`);
  return found;
}

/** The container of the Deployment of that name. */
export function containerOf(rendered: Rendered, name = "kms-vault-operator"): Container {
  return deploymentOf(rendered, name).spec.template.spec.containers[0];
}

/** The variable's entry in a container, or undefined. */
export function variableOf({ env }: Container, name: string): Variable | undefined {
  return env.find((variable) => variable.name === name);
}
