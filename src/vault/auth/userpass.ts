// Userpass auth: a user name and password of Vault's own.
import type { PlainValue } from "../../base/plaintext.ts";
import { type Login, loginFailed, postLogin } from "./login.ts";

/** A user of Vault's own. */
export interface UserpassAuthOptions {
  /** `VAULT_USERNAME` */
  readonly username?: string;
  /** `VAULT_PASSWORD` */
  readonly password?: PlainValue;
}

/** @see https://developer.hashicorp.com/vault/api-docs/auth/userpass#login */
export function userpassLogin({ username, password }: UserpassAuthOptions): Login {
  return async (door) => {
    if (username === undefined) throw notSet("VAULT_USERNAME");
    if (password === undefined) throw notSet("VAULT_PASSWORD");
    return postLogin(door, {
      path: `auth/userpass/login/${encodeURIComponent(username)}`,
      body: { password: password.open() },
      who: `user "${username}"`,
      remedy: "check VAULT_USERNAME and VAULT_PASSWORD, and that userpass is enabled at auth/userpass",
    });
  };
}

/** The text is the contract's. */
function notSet(variable: string): Error {
  return loginFailed(`Environment variable ${variable} not set`);
}
