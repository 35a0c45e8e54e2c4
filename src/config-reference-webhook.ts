// Everything that `webhook` can be told, as config-reference.ts has it of `run`: config-webhook.ts reads by these tables,
// and the help and docs/reference/configuration.md print them.
import { type Flag, kmsFlags, runFlags, type Variable, type VariableName, variables } from "./config-reference.ts";

const sharedFlags = ["policy", "kubeconfig", "log-level", "log-format"] as const;
type SharedFlag = Extract<(typeof runFlags)[number], { readonly name: (typeof sharedFlags)[number] }>;

/** Every flag of `webhook`, in the order of the help; those of the original first. */
export const webhookFlags = [
  {
    name: "tls-cert-file",
    original: true,
    value: "file",
    default: "",
    description: "PEM file with the serving certificate and its issuers; re-read when it changes",
  },
  { name: "tls-key-file", original: true, value: "file", default: "", description: "PEM file with its private key" },
  {
    name: "listen-addr",
    original: true,
    value: "address",
    default: ":4443",
    description: "where the API server's reviews are answered, by HTTPS",
  },
  {
    name: "metrics-addr",
    original: true,
    value: "address",
    default: ":8081",
    description: "where metrics (at / and /metrics), /healthz and /readyz are served; 0 turns them off",
  },
  {
    name: "decrypt",
    value: "mode",
    default: "deny",
    description: "what becomes of an object with a value that cannot be decrypted: deny, warn; off: nobody looks",
  },
  ...kmsFlags.filter((flag) => flag.name !== "kms-qps"),
  {
    name: "kms-qps",
    value: "count",
    default: "500",
    description:
      "requests to KMS per second; what would have to wait for more than a second is let through unchecked; 0: no limit",
  },
  {
    name: "self-signed",
    default: "false",
    description:
      "make and rotate the serving certificate, and write caBundle into the webhook's configuration, in place of the files",
  },
  {
    name: "service-name",
    value: "name",
    default: "kms-vault-validating-webhook",
    description: "the webhook's Service, in its own namespace: for whom --self-signed makes the certificate",
  },
  {
    name: "self-signed-names",
    value: "names",
    default: "",
    description: "other names and addresses that it is for, separated by commas",
  },
  {
    name: "vault-authentication-method",
    value: "method",
    default: "token",
    description: "as the operator is told; only the policy goes by it, the webhook logs in nowhere",
  },
  {
    name: "allow-vault-namespaces",
    default: "false",
    description: "as the operator is told; only the policy goes by it",
  },
  ...runFlags.filter((flag): flag is SharedFlag => sharedFlags.some((name) => name === flag.name)),
] as const satisfies readonly Flag[];

export type WebhookFlagName = (typeof webhookFlags)[number]["name"];

const proxies: readonly VariableName[] = [
  "VAULT_PROXY_ADDR",
  "VAULT_HTTP_PROXY",
  "HTTPS_PROXY",
  "https_proxy",
  "HTTP_PROXY",
  "http_proxy",
  "NO_PROXY",
  "no_proxy",
];

/** Every environment variable that `webhook` reads itself, in the order of the help. */
export const webhookVariables: readonly (Variable & { readonly name: VariableName })[] = [
  {
    name: "POD_NAMESPACE",
    default: "",
    description: "the webhook's own namespace, for --self-signed; else the service account's or the kubeconfig's",
  },
  ...variables.filter(({ name }) => name === "KUBECONFIG"),
  { name: "VAULT_NAMESPACE", default: "", description: "as the operator is told; only the policy goes by it" },
  ...variables.filter(({ name }) => name.startsWith("AWS_")),
  {
    name: "VAULT_TRANSIT_ADDR",
    default: "",
    description: "the Vault that has the transit keys; unset: values of transit are let through unchecked",
  },
  ...variables.filter(({ name }) => /^VAULT_TRANSIT_(TOKEN|CACERT)/.test(name)),
  {
    name: "VAULT_TRANSIT_NAMESPACE",
    default: "",
    description: "Vault namespace of transit keys; else the root namespace",
  },
  ...variables.filter(({ name }) => proxies.includes(name)),
];
