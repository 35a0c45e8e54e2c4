// The credentials for Vault out of the environment, method by method, by the table that the methods themselves share
// (vault/auth/environment.ts). Whether a method has all that it needs is asked only of the one that the flag names.
import { parseBoolean, parseServerUrl, withoutOuterSlashes } from "./config-values.ts";
import type { PlainValue } from "./base/plaintext.ts";
import { type Credential, isGiven } from "./vault/auth/credential.ts";
import {
  type AuthVariable,
  type AuthVariableName,
  authEnvironments,
  authVariables,
  notSetText,
} from "./vault/auth/environment.ts";
import type { VaultAuthOptions } from "./vault/auth/method.ts";
import type { AuthMethod } from "./vault/vault.ts";

/** How variables are read; what is wrong with them goes to `problems`. */
export interface AuthReader {
  readonly problems: string[];
  /** Undefined when unset or empty. */
  text(name: AuthVariableName): string | undefined;
  /** Undefined when unset or empty. */
  secret(name: AuthVariableName): PlainValue | undefined;
  /** The value, or the default of the table. */
  variable<T>(name: AuthVariableName, parse: (text: string) => T | undefined, expected: string): T;
}

/** Names of variables that `_FILE` can be put behind. */
type CredentialName =
  Extract<AuthVariableName, `${string}_FILE`> extends infer File
    ? File extends `${infer Name}_FILE`
      ? Extract<AuthVariableName, Name>
      : never
    : never;

/** Reads the settings of every method. `hasClientCertificate`: the connections to Vault have one. */
export function vaultAuth(read: AuthReader, hasClientCertificate: boolean): VaultAuthOptions {
  const credential = (name: CredentialName) => credentialOf(read, name);
  const endpoint = (name: AuthVariableName) => read.variable(name, withoutOuterSlashes, "the API path of the login");
  const text = (name: AuthVariableName) => read.variable(name, (given) => given, "a text");
  const optional = <K extends string>(key: K, name: AuthVariableName) => optionalText(read, key, name);
  const options: VaultAuthOptions = {
    k8s: {
      role: text("VAULT_K8S_ROLE"),
      loginEndpoint: endpoint("VAULT_K8S_LOGIN_ENDPOINT"),
      tokenFile: text("VAULT_K8S_TOKEN_FILE"),
    },
    token: { token: credential("VAULT_TOKEN") },
    userpass: {
      ...optional("username", "VAULT_USERNAME"),
      password: credential("VAULT_PASSWORD"),
      loginEndpoint: endpoint("VAULT_USERPASS_LOGIN_ENDPOINT"),
    },
    approle: {
      ...optional("roleId", "VAULT_APPROLE_ROLE_ID"),
      secretId: credential("VAULT_APPROLE_SECRET_ID"),
      wrapped: read.variable("VAULT_APPROLE_SECRET_ID_WRAPPED", parseBoolean, "true or false"),
      loginEndpoint: endpoint("VAULT_APPROLE_ENDPOINT"),
    },
    github: { token: credential("VAULT_GITHUB_TOKEN"), loginEndpoint: endpoint("VAULT_GITHUB_AUTH_ENDPOINT") },
    iam: {
      ...optional("accessKeyId", "VAULT_IAM_AWS_ACCESS_KEY_ID"),
      secretAccessKey: credential("VAULT_IAM_AWS_SECRET_ACCESS_KEY"),
      ...optional("role", "VAULT_IAM_ROLE"),
      loginEndpoint: endpoint("VAULT_IAM_AUTH_ENDPOINT"),
      ...optional("serverId", "VAULT_IAM_SERVER_ID"),
      stsEndpoint: read.variable(
        "VAULT_IAM_STS_ENDPOINT",
        origin,
        "a URL without a path, such as https://sts.amazonaws.com",
      ),
    },
    jwt: {
      ...optional("role", "VAULT_JWT_ROLE"),
      jwt: credential("VAULT_JWT"),
      loginEndpoint: endpoint("VAULT_JWT_LOGIN_ENDPOINT"),
    },
    cert: {
      ...optional("role", "VAULT_CERT_ROLE"),
      loginEndpoint: endpoint("VAULT_CERT_LOGIN_ENDPOINT"),
      hasClientCertificate,
    },
    ldap: {
      ...optional("username", "VAULT_LDAP_USERNAME"),
      password: credential("VAULT_LDAP_PASSWORD"),
      loginEndpoint: endpoint("VAULT_LDAP_LOGIN_ENDPOINT"),
    },
  };
  checkIamPair(options, read);
  return options;
}

/** Says what a method lacks to log in at all. */
export function requireCredentials(method: AuthMethod, auth: VaultAuthOptions, read: AuthReader): void {
  const needed: readonly AuthVariable[] = authEnvironments[method].variables;
  const given: readonly string[] = authVariables
    .map(({ name }) => name)
    .filter((name) => read.text(name) !== undefined);
  for (const { name, required } of needed) {
    if (required && !given.includes(name) && !given.includes(`${name}_FILE`)) read.problems.push(notSetText(name));
  }
  if (method === "cert" && !auth.cert.hasClientCertificate) {
    read.problems.push("--vault-authentication-method cert: needs VAULT_CLIENT_CERT and VAULT_CLIENT_KEY");
  }
}

function credentialOf(read: AuthReader, variable: CredentialName): Credential {
  const value = read.secret(variable);
  const file = read.text(`${variable}_FILE`);
  if (value !== undefined && file !== undefined) {
    read.problems.push(`${variable} and ${variable}_FILE: must not be set both`);
  }
  return { variable, ...(value !== undefined ? { value } : file !== undefined && { file }) };
}

/** One key alone would be replaced by whatever identity the default chain finds. */
function checkIamPair({ iam }: VaultAuthOptions, { problems }: AuthReader): void {
  if ((iam.accessKeyId === undefined) === !isGiven(iam.secretAccessKey)) return;
  problems.push("VAULT_IAM_AWS_ACCESS_KEY_ID and VAULT_IAM_AWS_SECRET_ACCESS_KEY: must be set both or not at all");
}

function optionalText<K extends string>(
  read: AuthReader,
  key: K,
  name: AuthVariableName,
): { readonly [P in K]?: string };
function optionalText(read: AuthReader, key: string, name: AuthVariableName): object {
  const value = read.text(name);
  return value === undefined ? {} : { [key]: value };
}

function origin(text: string): string | undefined {
  const url = parseServerUrl(text);
  return url !== undefined && new URL(url).pathname === "/" ? url : undefined;
}
