// Userpass auth: a user name and password of Vault's own.
import type { Login } from "./login.ts";
import { type PasswordAuthOptions, passwordLogin } from "./password.ts";

/** A user of Vault's own: `VAULT_USERNAME`, `VAULT_PASSWORD` or its `_FILE`, `VAULT_USERPASS_LOGIN_ENDPOINT`. */
export type UserpassAuthOptions = PasswordAuthOptions;

/** @see https://developer.hashicorp.com/vault/api-docs/auth/userpass#login */
export function userpassLogin(options: UserpassAuthOptions): Login {
  return passwordLogin("userpass", "VAULT_USERNAME", options);
}
