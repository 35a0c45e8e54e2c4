// The authentication methods as one table, for the matrix (authentication.test.ts): how each is set up on a server, what
// the operator is told in its environment, and what a right and a wrong credential are.
import type { AuthMethod } from "../../src/vault/vault.ts";
import type { AwsIdentity } from "../env/aws-identity.ts";
import { createAuthority } from "../env/certificates.ts";
import { createIssuer } from "../env/issuer.ts";
import type { KubeClient } from "../env/kube-client.ts";
import type { KubernetesInfo } from "../env/kubernetes.ts";
import { githubTeam, type LoginServers, userName } from "../env/login-servers.ts";
import { uniqueName } from "../env/unique.ts";
import { joinKubernetes } from "../env/vault-auth.ts";
import type { VaultClient } from "../env/vault-client.ts";

type Environment = Readonly<Record<string, string>>;

/** Where a method is set up. */
interface Ground {
  /** As root. */
  readonly vault: VaultClient;
  /** The backend is enabled at `auth/<mount>`. */
  readonly mount: string;
  /** What whoever logs in gets. */
  readonly policy: string;
  readonly servers: LoginServers;
  readonly kubernetes: KubernetesInfo;
  readonly kube: KubeClient;
  /** Of the service accounts. */
  readonly namespace: string;
}

/** What the operator is told. */
export interface Credentials {
  /** Everything but the secret. */
  readonly env: Environment;
  /** The secret by the name of its variable; a new one where there can be several. */
  right(): Promise<Environment>;
  /** One that is refused. */
  wrong(): Promise<Environment>;
}

/** A row of the table. */
export interface MethodRow {
  readonly method: AuthMethod;
  /** The backend; OpenBao has its own unless it is `hashicorpOnly`. */
  readonly backend: string;
  readonly hashicorpOnly?: boolean;
  /** The secret can only be given in files. */
  readonly filesOnly?: boolean;
  readonly endpointVariable: string;
  setUp(ground: Ground): Promise<Credentials>;
}

/** Name of everything: user, role, certificate. */
const name = userName;

/** Every method but `token`, which has no backend to log in to. */
export const methodRows: readonly MethodRow[] = [
  {
    method: "userpass",
    backend: "userpass",
    endpointVariable: "VAULT_USERPASS_LOGIN_ENDPOINT",
    async setUp({ vault, mount, policy }) {
      const password = `${uniqueName("password")} with a blank and ü`;
      await vault.write(`auth/${mount}/users/${name}`, { password, token_policies: [policy] });
      return { env: { VAULT_USERNAME: name }, ...secret("VAULT_PASSWORD", password) };
    },
  },
  {
    method: "approle",
    backend: "approle",
    endpointVariable: "VAULT_APPROLE_ENDPOINT",
    async setUp({ vault, mount, policy }) {
      const role = `auth/${mount}/role/${name}`;
      await vault.write(role, { token_policies: [policy] });
      const { role_id: roleId } = await vault.read(`${role}/role-id`);
      return {
        env: { VAULT_APPROLE_ROLE_ID: roleId },
        async right() {
          return { VAULT_APPROLE_SECRET_ID: (await vault.write(`${role}/secret-id`)).data.secret_id };
        },
        wrong: async () => ({ VAULT_APPROLE_SECRET_ID: uniqueName("no-secret-id") }),
      };
    },
  },
  {
    method: "ldap",
    backend: "ldap",
    // OpenBao 2.7 has it as a plugin to be installed, no longer built in.
    hashicorpOnly: true,
    endpointVariable: "VAULT_LDAP_LOGIN_ENDPOINT",
    async setUp({ vault, mount, policy, servers: { directory, ldapPassword } }) {
      const { url, caPem: certificate, userDn: userdn } = directory;
      await vault.write(`auth/${mount}/config`, { url, certificate, userdn, userattr: "cn" });
      await vault.write(`auth/${mount}/users/${name}`, { policies: policy });
      return { env: { VAULT_LDAP_USERNAME: name }, ...secret("VAULT_LDAP_PASSWORD", ldapPassword) };
    },
  },
  {
    method: "github",
    backend: "github",
    hashicorpOnly: true,
    endpointVariable: "VAULT_GITHUB_AUTH_ENDPOINT",
    async setUp({ vault, mount, policy, servers: { github, githubToken } }) {
      await vault.write(`auth/${mount}/config`, { organization: github.organization, base_url: github.url });
      await vault.write(`auth/${mount}/map/teams/${githubTeam}`, { value: policy });
      return { env: {}, ...secret("VAULT_GITHUB_TOKEN", githubToken) };
    },
  },
  {
    method: "iam",
    backend: "aws",
    hashicorpOnly: true,
    endpointVariable: "VAULT_IAM_AUTH_ENDPOINT",
    async setUp({ vault, mount, policy, servers: { aws } }) {
      await configureAws(vault, mount, aws);
      await vault.write(`auth/${mount}/role/${name}`, {
        auth_type: "iam",
        bound_iam_principal_arn: aws.operator.arn,
        token_policies: [policy],
      });
      const env = {
        VAULT_IAM_AWS_ACCESS_KEY_ID: aws.operator.id,
        VAULT_IAM_ROLE: name,
        VAULT_IAM_SERVER_ID: awsServerId,
      };
      return { env, ...secret("VAULT_IAM_AWS_SECRET_ACCESS_KEY", aws.operator.secret) };
    },
  },
  {
    method: "jwt",
    backend: "jwt",
    endpointVariable: "VAULT_JWT_LOGIN_ENDPOINT",
    async setUp({ vault, mount, policy }) {
      const [ours, others] = [createIssuer(audience), createIssuer(audience)];
      await vault.write(`auth/${mount}/config`, { jwt_validation_pubkeys: [ours.publicPem] });
      await vault.write(`auth/${mount}/role/${name}`, {
        role_type: "jwt",
        bound_audiences: [audience],
        bound_subject: name,
        user_claim: "sub",
        token_policies: [policy],
      });
      return {
        env: { VAULT_JWT_ROLE: name },
        right: async () => ({ VAULT_JWT: ours.token(name) }),
        wrong: async () => ({ VAULT_JWT: others.token(name) }),
      };
    },
  },
  {
    method: "cert",
    backend: "cert",
    filesOnly: true,
    endpointVariable: "VAULT_CERT_LOGIN_ENDPOINT",
    async setUp({ vault, mount, policy }) {
      const [ours, others] = await Promise.all([createAuthority("client CA"), createAuthority("another client CA")]);
      const role = { certificate: ours.caPem, allowed_common_names: [name], token_policies: [policy] };
      await vault.write(`auth/${mount}/certs/${name}`, role);
      const pair = async (authority: typeof ours) => {
        const { certPem, keyPem } = await authority.client(name, "operators");
        return { VAULT_CLIENT_CERT: certPem, VAULT_CLIENT_KEY: keyPem };
      };
      return { env: { VAULT_CERT_ROLE: name }, right: () => pair(ours), wrong: () => pair(others) };
    },
  },
  {
    method: "k8s",
    backend: "kubernetes",
    filesOnly: true,
    endpointVariable: "VAULT_K8S_LOGIN_ENDPOINT",
    async setUp({ vault, mount, policy, kubernetes, kube, namespace }) {
      await joinKubernetes(vault, mount, kubernetes);
      await vault.write(`auth/${mount}/role/${name}`, {
        bound_service_account_names: [name],
        bound_service_account_namespaces: [namespace],
        token_policies: [policy],
      });
      const token = async (account: string) => {
        const metadata = { namespace, name: account };
        await kube.apply({ apiVersion: "v1", kind: "ServiceAccount", metadata });
        return { VAULT_K8S_TOKEN: await kube.serviceAccountToken(metadata) };
      };
      return { env: { VAULT_K8S_ROLE: name }, right: () => token(name), wrong: () => token("another") };
    },
  },
];

/** The name of the variable that names the file in which a secret stands. */
export function fileVariable(variable: string): string {
  return variable.startsWith("VAULT_CLIENT_") ? variable : `${variable}_FILE`;
}

/** What the header X-Vault-AWS-IAM-Server-ID must say. */
export const awsServerId = "vault.example.com";

/** Tells an aws method how it reaches AWS, and as whom. */
async function configureAws(vault: VaultClient, mount: string, aws: AwsIdentity): Promise<void> {
  await vault.write(`auth/${mount}/config/client`, {
    access_key: aws.vault.id,
    secret_key: aws.vault.secret,
    sts_endpoint: aws.url,
    sts_region: "us-east-1",
    iam_endpoint: aws.url,
    iam_server_id_header_value: awsServerId,
  });
}

const audience = "vault";

/** A secret in one variable, and one that differs. */
function secret(variable: string, right: string): Pick<Credentials, "right" | "wrong"> {
  return {
    right: async () => ({ [variable]: right }),
    wrong: async () => ({ [variable]: `not-${right}` }),
  };
}
