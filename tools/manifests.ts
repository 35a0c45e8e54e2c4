// deploy/, for those who install without Helm: the chart rendered with fixed values and cut into files by the table
// below, so that the chart and the plain manifests cannot differ. What stands above each file is said here.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Document, isMap, isNode, isScalar, parseAllDocuments, visit } from "yaml";
import { timedProgress } from "./toolchain/progress.ts";
import { resolveToolchain } from "./toolchain/resolve.ts";

/** A file of deploy/; the path is relative to the repository. */
export interface ManifestFile {
  readonly path: string;
  /** @throws Error with what helm says, or that names an object which the chart does not render */
  readonly render: () => Promise<string>;
}

interface FileDefinition {
  readonly path: string;
  /** Above the first object, one line each. */
  readonly head: readonly string[];
  /** `Kind/name`, in this order. */
  readonly objects: readonly string[];
  readonly values: Values;
}

/** Arguments of helm's `--set`. */
type Values = readonly string[];

const chart = join(import.meta.dirname, "..", "helm", "kms-vault-operator");
const release = "kms-vault-operator";
const operator = "kms-vault-operator";
const webhook = "kms-vault-validating-webhook";

const defaults: Values = [];
const sharded: Values = ["shards=2"];
const withLogin: Values = ["serviceAccountLogin.enabled=true"];
const withWebhook: Values = ["validatingWebhook.enabled=true", "validatingWebhook.replicas=2"];
const selfSigned: Values = [...withWebhook, "validatingWebhook.certificates=selfSigned"];
const certManager: Values = [...withWebhook, "validatingWebhook.certificates=certManager"];
const followingLabels: Values = [
  ...selfSigned,
  "policy.enabled=true",
  "policy.existingConfigMap=kms-vault-operator-policy",
  "policy.followsLabels=true",
];
const namespaced: Values = ["watchNamespace=team-a"];
const namespacedLogin: Values = [...namespaced, ...withLogin];

const operatorFiles: readonly FileDefinition[] = [
  {
    path: "deploy/service_account.yaml",
    head: [
      "As whom the operator runs. With IAM roles for service accounts it carries the annotation",
      "eks.amazonaws.com/role-arn: arn:aws:iam::123456789012:role/kms-vault-operator.",
    ],
    objects: [`ServiceAccount/${operator}`],
    values: defaults,
  },
  {
    path: "deploy/role.yaml",
    head: [
      "In all namespaces the operator reads both kinds, saves statuses, takes its finalizer away and writes events.",
    ],
    objects: [`ClusterRole/${operator}`, `Role/${operator}`],
    values: defaults,
  },
  {
    path: "deploy/role_binding.yaml",
    head: [],
    objects: [`ClusterRoleBinding/${operator}`, `RoleBinding/${operator}`],
    values: defaults,
  },
  {
    path: "deploy/operator.yaml",
    head: [
      "The operator, with Vault's Kubernetes method. Set VAULT_ADDR and AWS_REGION. WATCH_NAMESPACE (team-a,team-b) keeps it",
      "to these namespaces; VAULT_CACERT names the CA of Vault's certificate, where it is not a public one: mount it. Every",
      "flag and variable: kms-vault-operator run --help",
    ],
    objects: [`Deployment/${operator}`, `Service/${operator}-metrics`],
    values: defaults,
  },
];

const webhookFiles: readonly FileDefinition[] = [
  {
    path: "deploy/webhook/rbac.yaml",
    head: ["What the webhook may do in the cluster. At KMS it needs kms:Decrypt, and nothing else."],
    objects: [`ServiceAccount/${webhook}`, `ClusterRole/${webhook}`, `ClusterRoleBinding/${webhook}`],
    values: selfSigned,
  },
  {
    path: "deploy/webhook/self-signed-role.yaml",
    head: ["Only for webhook --self-signed, so it is not part of rbac.yaml."],
    objects: ["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"].map(
      (kind) => `${kind}/${webhook}-self-signed`,
    ),
    values: selfSigned,
  },
  {
    path: "deploy/webhook/webhook.yaml",
    head: [
      "The webhook. Set AWS_REGION. It makes its own certificate (--self-signed, self-signed-role.yaml); with one of",
      "cert-manager or of your own, mount its Secret and name it in --tls-cert-file=/tls/tls.crt and",
      "--tls-key-file=/tls/tls.key instead. Where the operator has --policy, --allow-vault-namespaces, --kms-allowed-keys,",
      "--kms-role-arn, --age-key-file or --transit-key, it needs them too (docs/concepts/admission.md). Every flag:",
      "kms-vault-operator webhook --help",
    ],
    objects: [
      `Deployment/${webhook}`,
      `PodDisruptionBudget/${webhook}`,
      `Service/${webhook}`,
      `Service/${webhook}-metrics`,
    ],
    values: selfSigned,
  },
  {
    path: "deploy/webhook/webhookconfiguration.yaml",
    head: [
      "For Kubernetes 1.30 or newer, which has matchConditions. kubectl applies the files of a directory by their names: this",
      "one is the last, after what it calls. With --self-signed the webhook writes caBundle itself.",
    ],
    objects: [`ValidatingWebhookConfiguration/${webhook}`],
    values: selfSigned,
  },
];

const rolePolicy: FileDefinition = {
  path: "deploy/opt-in/role-policy.yaml",
  head: [
    "Only for a --policy that goes by labels of namespaces (namespaces.labels, or {{label:KEY}} in a pattern). A policy",
    "that goes by names alone needs no right of its own. Where there is no webhook, its subject at the end does no harm.",
  ],
  objects: [`ClusterRole/${operator}-policy`, `ClusterRoleBinding/${operator}-policy`],
  values: followingLabels,
};

const roleLogin: FileDefinition = {
  path: "deploy/opt-in/role-service-account-login.yaml",
  head: [
    "Only for objects with spec.serviceAccountRef: the operator logs in to Vault as service accounts of the objects' own",
    'namespaces, those that carry the annotation k8s.patoarvizu.dev/vault-login: "true". A RoleBinding in place of the',
    "ClusterRoleBinding keeps it to one namespace.",
  ],
  objects: [`ClusterRole/${operator}-service-account-login`, `ClusterRoleBinding/${operator}-service-account-login`],
  values: withLogin,
};

const roleShards: FileDefinition = {
  path: "deploy/opt-in/role-shards.yaml",
  head: ["Only for an operator with --shards."],
  objects: [`Role/${operator}-shards`, `RoleBinding/${operator}-shards`],
  values: sharded,
};

const kustomizeFiles: readonly FileDefinition[] = [
  // A kustomization takes no files from beside its own directory.
  { ...rolePolicy, path: "kustomize/components/policy-labels/role.yaml" },
  { ...roleLogin, path: "kustomize/components/service-account-login/role.yaml" },
  { ...roleShards, path: "kustomize/components/shards/role.yaml" },
  {
    path: "kustomize/components/service-account-login-namespaced/role.yaml",
    head: ["For each namespace that is watched, with its name in the place of team-a."],
    objects: [`Role/${operator}-service-account-login`, `RoleBinding/${operator}-service-account-login`],
    values: namespacedLogin,
  },
  {
    path: "kustomize/components/namespaced/role.yaml",
    head: ["Takes the place of the rights in all namespaces."],
    objects: [`ClusterRole/${operator}`],
    values: namespaced,
  },
  {
    path: "kustomize/components/namespaced/objects.yaml",
    head: ["For each namespace that is watched, with its name in the place of team-a."],
    objects: [`Role/${operator}-objects`, `RoleBinding/${operator}-objects`],
    values: namespaced,
  },
  {
    path: "kustomize/components/webhook-cert-manager/certificate.yaml",
    head: ["cert-manager makes the certificate and renews it. Set the issuer."],
    objects: [`Certificate/${webhook}`],
    values: certManager,
  },
];

/** Everything that is rendered from the chart. */
export const manifestFiles: readonly ManifestFile[] = [
  ...operatorFiles,
  ...webhookFiles,
  rolePolicy,
  roleLogin,
  roleShards,
  ...kustomizeFiles,
].map((definition) => ({ path: definition.path, render: () => renderFile(definition) }));

const origin = [
  "Generated from helm/kms-vault-operator by `make generate`. To change it, take a copy, a kustomization (kustomize/) or",
  "the chart.",
];

async function renderFile({ path, head, objects, values }: FileDefinition): Promise<string> {
  const rendered = parseAllDocuments((await template(values)).replaceAll(/^# Source: .*\n/gm, "")) as Document[];
  const documents = objects.map((wanted) => {
    const found = rendered.find((document) => nameOf(document) === wanted);
    if (found === undefined) throw new Error(`${path}: helm/kms-vault-operator renders no ${wanted}`);
    return plain(found);
  });
  const comment = [...head, ...origin].map((line) => `# ${line}\n`).join("");
  const text = documents.map((document) => document.toString(yamlStyle)).join("---\n");
  // A comment of the chart's on the first object is not part of ours.
  return `${comment}${text.startsWith("#") ? "\n" : ""}${text}`;
}

const yamlStyle = { lineWidth: 120, flowCollectionPadding: false } as const;

function nameOf(document: Document): string {
  return `${String(document.get("kind"))}/${String(document.getIn(["metadata", "name"]))}`;
}

/** Without what belongs to Helm, and without the blank lines and quotes that templates leave behind. */
function plain(document: Document): Document {
  const copy = document.clone();
  const labels = copy.getIn(["metadata", "labels"]);
  if (isMap(labels)) {
    for (const label of [
      "helm.sh/chart",
      ...["managed-by", "instance", "version"].map((name) => `app.kubernetes.io/${name}`),
    ]) {
      labels.delete(label);
    }
  }
  visit(copy, (_, node) => {
    if (isNode(node)) node.spaceBefore = false;
    // The chart quotes what users may set, and cannot know that these names need none.
    if (isScalar(node) && /^[a-z]+(-[a-z]+)+$/.test(String(node.value))) node.type = "PLAIN";
  });
  if (copy.directives !== undefined) copy.directives.docStart = null;
  return copy;
}

const renderings = new Map<string, Promise<string>>();

/** `helm template`, once for the same values. */
function template(values: Values): Promise<string> {
  const key = values.join();
  const rendering = renderings.get(key) ?? runHelm(values);
  renderings.set(key, rendering);
  return rendering;
}

async function runHelm(values: Values): Promise<string> {
  const { helm } = await resolveToolchain(["helm"], timedProgress(process.stderr));
  const settings = values.flatMap((value) => ["--set", value]);
  const args = ["template", release, chart, "--namespace", "kms-vault-operator", ...settings];
  // The CRDs are most of the output, and files of their own.
  const { stdout } = await promisify(execFile)(helm, [...args, "--set", "crds.install=false"], { timeout: 60_000 });
  return stdout;
}
