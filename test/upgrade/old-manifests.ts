// What a cluster holds of the Go operator where no release of a chart that Helm knows installed it: its manifests as kubectl,
// kustomize or Terraform applied them, what the operator of 2019 made itself, and the notes of Helm 2.
import { type Cluster, release } from "./cluster.ts";
import { applyOldCrds } from "./old-crds.ts";

export interface ManifestOptions {
  readonly namespace?: string;
  /** By kubectl were those of the first generation, by the others those of the last. */
  readonly by?: "kubectl" | "kustomize" | "Terraform";
}

/** The Deployment, the ServiceAccount and the rights of manifests that no chart made. */
export async function applyManifests(
  cluster: Cluster,
  labels: object,
  { namespace = release, by = "kubectl" }: ManifestOptions = {},
): Promise<void> {
  await applyOldCrds(cluster.kube, by === "kubectl" ? "first" : "last");
  if (namespace !== release)
    await cluster.kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  const metadata = { name: release, namespace };
  const container = { name: release, image: "patoarvizu/kms-vault-operator:latest" };
  const spec = {
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: { containers: [container] } },
  };
  await cluster.kubectlApply(
    { apiVersion: "v1", kind: "ServiceAccount", metadata },
    { apiVersion: "apps/v1", kind: "Deployment", metadata, spec },
    ...rightsOf(namespace, by === "kustomize"),
  );
}

function rightsOf(namespace: string, kustomize: boolean) {
  const rbac = "rbac.authorization.k8s.io";
  const rules = [{ apiGroups: ["k8s.patoarvizu.dev"], resources: ["*"], verbs: ["*"] }];
  const pair = (kind: "Role" | "ClusterRole", name: string, binding: string) => {
    const at = kind === "Role" ? { namespace } : {};
    return [
      { apiVersion: `${rbac}/v1`, kind, metadata: { name, ...at }, rules },
      {
        apiVersion: `${rbac}/v1`,
        kind: `${kind}Binding`,
        metadata: { name: binding, ...at },
        roleRef: { apiGroup: rbac, kind, name },
        subjects: [{ kind: "ServiceAccount", name: release, namespace }],
      },
    ];
  };
  if (!kustomize) return pair("Role", release, release);
  return [
    ...pair("ClusterRole", "manager-role", "manager-rolebinding"),
    ...pair("Role", "leader-election-role", "leader-election-rolebinding"),
  ];
}

/** A record of Helm 2's of a release. */
export async function createTillersNotes(cluster: Cluster, name: string): Promise<void> {
  const metadata = { name: `${name}.v1`, namespace: "kube-system", labels: { OWNER: "TILLER", NAME: name } };
  await cluster.kube.create({ apiVersion: "v1", kind: "ConfigMap", metadata, data: { release: "H4sI" } });
}

/** As the operator of 2019 made it at its start. */
export async function createMetricsService(cluster: Cluster): Promise<void> {
  const metadata = { name: "kms-vault-operator-metrics", namespace: release };
  const spec = { selector: { name: release }, ports: [{ name: "metrics", port: 8383 }] };
  await cluster.kube.create({ apiVersion: "v1", kind: "Service", metadata, spec });
}
