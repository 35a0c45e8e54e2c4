// What each authentication method is told by the environment, as one table: the configuration reads by it, the help and
// the reference print it, and a login that lacks something or is refused speaks with its words.
import type { AuthMethod } from "../vault.ts";

/** An environment variable of one method. */
export interface AuthVariable {
  readonly name: string;
  /** "": unset. */
  readonly default: string;
  readonly description: string;
  /** No login without it, or without the variable of the same name and `_FILE`. */
  readonly required?: true;
}

/** What is known of one method. */
export interface AuthEnvironment {
  /** What to check when Vault refuses a login. */
  readonly remedy: string;
  /** The same for a login as a service account that an object names. */
  readonly serviceAccountRemedy?: string;
  readonly variables: readonly AuthVariable[];
}

/** In the order of the help. A variable whose name ends in `_FILE` names a file that is read again at each login. */
export const authEnvironments = {
  k8s: {
    remedy:
      "check VAULT_K8S_ROLE, that the role is bound to this service account and namespace, and that Vault may review tokens",
    serviceAccountRemedy:
      "check spec.vaultRole, that the role is bound to this service account, its namespace and the audience of --vault-audience, and that Vault has a reviewer token",
    variables: [
      { name: "VAULT_K8S_ROLE", default: "kms-vault-operator", description: "k8s: role to log in to" },
      { name: "VAULT_K8S_LOGIN_ENDPOINT", default: "auth/kubernetes/login", description: "k8s: API path of the login" },
      {
        name: "VAULT_K8S_TOKEN_FILE",
        default: "/var/run/secrets/kubernetes.io/serviceaccount/token",
        description: "k8s: file with the service account token, re-read at each login",
      },
    ],
  },
  token: {
    remedy: "it is wrong, expired or revoked; set a new one",
    variables: [
      { name: "VAULT_TOKEN", default: "", description: "token: the token", required: true },
      {
        name: "VAULT_TOKEN_FILE",
        default: "",
        description: "token: file with it; a changed one is taken up by itself",
      },
    ],
  },
  userpass: {
    remedy: "check VAULT_USERNAME and VAULT_PASSWORD, and that userpass is enabled at VAULT_USERPASS_LOGIN_ENDPOINT",
    variables: [
      { name: "VAULT_USERNAME", default: "", description: "userpass: the user", required: true },
      { name: "VAULT_PASSWORD", default: "", description: "userpass: the password", required: true },
      { name: "VAULT_PASSWORD_FILE", default: "", description: "userpass: file with it, re-read at each login" },
      {
        name: "VAULT_USERPASS_LOGIN_ENDPOINT",
        default: "auth/userpass/login",
        description: "userpass: API path of the login, without the user",
      },
    ],
  },
  approle: {
    remedy:
      "check VAULT_APPROLE_ROLE_ID and the secret id: it may be wrong, expired, used up or bound to other addresses",
    variables: [
      { name: "VAULT_APPROLE_ROLE_ID", default: "", description: "approle: the role's id", required: true },
      { name: "VAULT_APPROLE_SECRET_ID", default: "", description: "approle: the secret id, if the role asks for one" },
      {
        name: "VAULT_APPROLE_SECRET_ID_FILE",
        default: "",
        description: "approle: file with it, re-read at each login",
      },
      {
        name: "VAULT_APPROLE_SECRET_ID_WRAPPED",
        default: "false",
        description: "approle: true: what is given is a response-wrapping token, unwrapped once to the secret id",
      },
      { name: "VAULT_APPROLE_ENDPOINT", default: "auth/approle/login", description: "approle: API path of the login" },
    ],
  },
  github: {
    remedy: "check VAULT_GITHUB_TOKEN (it needs the scope read:org) and that the user's organisation or team is mapped",
    variables: [
      { name: "VAULT_GITHUB_TOKEN", default: "", description: "github: a personal access token", required: true },
      { name: "VAULT_GITHUB_TOKEN_FILE", default: "", description: "github: file with it, re-read at each login" },
      {
        name: "VAULT_GITHUB_AUTH_ENDPOINT",
        default: "auth/github/login",
        description: "github: API path of the login",
      },
    ],
  },
  iam: {
    remedy:
      "check that VAULT_IAM_ROLE is bound to this AWS identity, VAULT_IAM_SERVER_ID, VAULT_IAM_STS_ENDPOINT and the clock of this machine",
    variables: [
      {
        name: "VAULT_IAM_AWS_ACCESS_KEY_ID",
        default: "",
        description: "iam: AWS access key; without the pair the AWS SDK's default chain (IRSA, Pod Identity, …)",
      },
      { name: "VAULT_IAM_AWS_SECRET_ACCESS_KEY", default: "", description: "iam: its secret key" },
      {
        name: "VAULT_IAM_AWS_SECRET_ACCESS_KEY_FILE",
        default: "",
        description: "iam: file with it, re-read at each login",
      },
      { name: "VAULT_IAM_ROLE", default: "", description: "iam: role to log in to; else the AWS identity's own name" },
      { name: "VAULT_IAM_AUTH_ENDPOINT", default: "auth/aws/login", description: "iam: API path of the login" },
      {
        name: "VAULT_IAM_SERVER_ID",
        default: "",
        description: "iam: value of the header X-Vault-AWS-IAM-Server-ID, which is signed too",
      },
      {
        name: "VAULT_IAM_STS_ENDPOINT",
        default: "https://sts.amazonaws.com",
        description: "iam: the STS endpoint that the request is signed for; a regional one names its region",
      },
    ],
  },
  jwt: {
    remedy: "check VAULT_JWT_ROLE, and that the role accepts the token's issuer, audience, subject and age",
    serviceAccountRemedy:
      "check spec.vaultRole, that the role is bound to this service account and the audience of --vault-audience, and that Vault knows the cluster's keys",
    variables: [
      { name: "VAULT_JWT_ROLE", default: "", description: "jwt: role to log in to; else the mount's default role" },
      { name: "VAULT_JWT", default: "", description: "jwt: the token", required: true },
      { name: "VAULT_JWT_FILE", default: "", description: "jwt: file with it, re-read at each login" },
      { name: "VAULT_JWT_LOGIN_ENDPOINT", default: "auth/jwt/login", description: "jwt: API path of the login" },
    ],
  },
  cert: {
    remedy:
      "check that the certificate in VAULT_CLIENT_CERT is one that a cert role trusts, and that no proxy ends the TLS connection on the way",
    variables: [
      { name: "VAULT_CERT_ROLE", default: "", description: "cert: name of the cert role; else any that fits" },
      { name: "VAULT_CERT_LOGIN_ENDPOINT", default: "auth/cert/login", description: "cert: API path of the login" },
    ],
  },
  ldap: {
    remedy: "check VAULT_LDAP_USERNAME and VAULT_LDAP_PASSWORD, and that Vault reaches the directory",
    variables: [
      { name: "VAULT_LDAP_USERNAME", default: "", description: "ldap: the user", required: true },
      { name: "VAULT_LDAP_PASSWORD", default: "", description: "ldap: the password", required: true },
      { name: "VAULT_LDAP_PASSWORD_FILE", default: "", description: "ldap: file with it, re-read at each login" },
      {
        name: "VAULT_LDAP_LOGIN_ENDPOINT",
        default: "auth/ldap/login",
        description: "ldap: API path of the login, without the user",
      },
    ],
  },
} as const satisfies Record<AuthMethod, AuthEnvironment>;

/** The variables of all methods. */
export const authVariables = Object.values(authEnvironments).flatMap(
  ({ variables }): readonly (typeof variables)[number][] => variables,
);

/** The name of a variable of a method. */
export type AuthVariableName = (typeof authVariables)[number]["name"];

/** That a variable is missing; the texts are the contract's. */
export function notSetText(variable: string): string {
  return variable === "VAULT_TOKEN"
    ? "VAULT_TOKEN environment variable not found"
    : `Environment variable ${variable} not set`;
}
