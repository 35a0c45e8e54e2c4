// The authentication methods as one table: what each needs to be told, and the file that knows how it logs in.
import type { AuthMethod } from "../vault.ts";
import { type ApproleAuthOptions, approleLogin } from "./approle.ts";
import { type CertAuthOptions, certLogin } from "./cert.ts";
import { type GithubAuthOptions, githubLogin } from "./github.ts";
import { type IamAuthOptions, iamLogin } from "./iam.ts";
import { type JwtAuthOptions, jwtLogin } from "./jwt.ts";
import { type K8sAuthOptions, k8sLogin } from "./k8s.ts";
import { type LdapAuthOptions, ldapLogin } from "./ldap.ts";
import type { Login } from "./login.ts";
import { type TokenAuthOptions, tokenLogin } from "./token.ts";
import { type UserpassAuthOptions, userpassLogin } from "./userpass.ts";

/** What the methods need; config-vault.ts reads it from the environment by environment.ts. */
export interface VaultAuthOptions {
  readonly k8s: K8sAuthOptions;
  readonly token: TokenAuthOptions;
  readonly userpass: UserpassAuthOptions;
  readonly approle: ApproleAuthOptions;
  readonly github: GithubAuthOptions;
  readonly iam: IamAuthOptions;
  readonly jwt: JwtAuthOptions;
  readonly cert: CertAuthOptions;
  readonly ldap: LdapAuthOptions;
}

/**
 * How to log in by each method; one of each for all sessions, because an AWS chain and an unwrapped secret id are had
 * once. What is missing for a method shows at its login, as `VaultLoginFailed`.
 */
export function loginsOf(options: VaultAuthOptions): Readonly<Record<AuthMethod, Login>> {
  return {
    k8s: k8sLogin(options.k8s),
    token: tokenLogin(options.token),
    userpass: userpassLogin(options.userpass),
    approle: approleLogin(options.approle),
    github: githubLogin(options.github),
    iam: iamLogin(options.iam),
    jwt: jwtLogin(options.jwt),
    cert: certLogin(options.cert),
    ldap: ldapLogin(options.ldap),
  };
}
