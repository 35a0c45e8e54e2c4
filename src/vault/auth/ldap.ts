// LDAP auth: a user of a directory that Vault asks.
import { type Credential, readCredential, required } from "./credential.ts";
import { authEnvironments } from "./environment.ts";
import { type Login, postLogin } from "./login.ts";

/** A user of the directory. */
export interface LdapAuthOptions {
  /** `VAULT_LDAP_USERNAME` */
  readonly username?: string;
  /** `VAULT_LDAP_PASSWORD`, `VAULT_LDAP_PASSWORD_FILE` */
  readonly password: Credential;
  /** `VAULT_LDAP_LOGIN_ENDPOINT`: path below `/v1/`, without the user. */
  readonly loginEndpoint: string;
}

/** @see https://developer.hashicorp.com/vault/api-docs/auth/ldap#login-with-ldap-user */
export function ldapLogin({ username, password, loginEndpoint }: LdapAuthOptions): Login {
  return {
    async logIn(door) {
      const user = required(username, "VAULT_LDAP_USERNAME");
      return postLogin(door, {
        path: `${loginEndpoint}/${encodeURIComponent(user)}`,
        body: { password: await readCredential(password) },
        who: `user "${user}"`,
        remedy: authEnvironments.ldap.remedy,
      });
    },
  };
}
