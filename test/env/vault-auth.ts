// Lets people and pods log in to the stack's Vault: the userpass and kubernetes methods, the latter joined to the
// stack's API server by a reviewer's token. Roles, policies and users are for the tests to write.
import { KubeClient } from "./kube-client.ts";
import type { KubernetesInfo } from "./kubernetes.ts";
import type { VaultInfo } from "./openbao.ts";
import { VaultClient } from "./vault-client.ts";

const reviewer = "test-token-reviewer";
const day = 24 * 60 * 60;

/** Enables `userpass/` and, when there is an API server, `kubernetes/`. */
export async function enableLogins(vault: VaultInfo, kubernetes?: KubernetesInfo): Promise<void> {
  const client = new VaultClient(vault);
  await client.write("sys/auth/userpass", { type: "userpass" });
  if (kubernetes !== undefined) {
    await client.write("sys/auth/kubernetes", { type: "kubernetes" });
    await joinKubernetes(client, "kubernetes", kubernetes);
  }
  await client.close();
}

/** Tells a Kubernetes method that is mounted at `auth/<mount>` about the API server. */
export async function joinKubernetes(client: VaultClient, mount: string, kubernetes: KubernetesInfo): Promise<void> {
  await client.write(`auth/${mount}/config`, {
    kubernetes_host: kubernetes.server,
    kubernetes_ca_cert: kubernetes.caPem,
    token_reviewer_jwt: await createReviewer(new KubeClient(kubernetes)),
    disable_local_ca_jwt: true,
  });
}

/** A service account that may ask for TokenReviews, and a token of it for a day. */
async function createReviewer(kube: KubeClient): Promise<string> {
  const namespace = "default";
  await kube.apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: reviewer, namespace } });
  await kube.apply({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: reviewer },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "system:auth-delegator" },
    subjects: [{ kind: "ServiceAccount", name: reviewer, namespace }],
  });
  const token = await kube.serviceAccountToken({ name: reviewer, namespace, expirationSeconds: day });
  await kube.close();
  return token;
}
