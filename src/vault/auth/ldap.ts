// LDAP auth: a user of a directory that Vault asks.
import type { Login } from "./login.ts";
import { type PasswordAuthOptions, passwordLogin } from "./password.ts";

/** A user of the directory: `VAULT_LDAP_USERNAME`, `VAULT_LDAP_PASSWORD` or its `_FILE`, `VAULT_LDAP_LOGIN_ENDPOINT`. */
export type LdapAuthOptions = PasswordAuthOptions;

/** @see https://developer.hashicorp.com/vault/api-docs/auth/ldap#login-with-ldap-user */
export function ldapLogin(options: LdapAuthOptions): Login {
  return passwordLogin("ldap", "VAULT_LDAP_USERNAME", options);
}
