// Userpass auth: a user name and password of Vault's own.
import { type Credential, readCredential, required } from "./credential.ts";
import { authEnvironments } from "./environment.ts";
import { type Login, postLogin } from "./login.ts";

/** A user of Vault's own. */
export interface UserpassAuthOptions {
  /** `VAULT_USERNAME` */
  readonly username?: string;
  /** `VAULT_PASSWORD`, `VAULT_PASSWORD_FILE` */
  readonly password: Credential;
  /** `VAULT_USERPASS_LOGIN_ENDPOINT`: path below `/v1/`, without the user. */
  readonly loginEndpoint: string;
}

/** @see https://developer.hashicorp.com/vault/api-docs/auth/userpass#login */
export function userpassLogin({ username, password, loginEndpoint }: UserpassAuthOptions): Login {
  return {
    async logIn(door) {
      const user = required(username, "VAULT_USERNAME");
      return postLogin(door, {
        path: `${loginEndpoint}/${encodeURIComponent(user)}`,
        body: { password: await readCredential(password) },
        who: `user "${user}"`,
        remedy: authEnvironments.userpass.remedy,
      });
    },
  };
}
