// Logins by a user's name and password, whoever knows the user: Vault itself (userpass) or a directory that it asks (ldap).
// They differ in the path and in the words.
import { type Credential, readCredential, required } from "./credential.ts";
import { authEnvironments } from "./environment.ts";
import { type Login, postLogin } from "./login.ts";

/** A user, and where the login goes. */
export interface PasswordAuthOptions {
  readonly username?: string;
  readonly password: Credential;
  /** Path below `/v1/`, without the user. */
  readonly loginEndpoint: string;
}

/** @param variable by which people know the user's name */
export function passwordLogin(
  method: "userpass" | "ldap",
  variable: string,
  { username, password, loginEndpoint }: PasswordAuthOptions,
): Login {
  return {
    async logIn(door) {
      const user = required(username, variable);
      return postLogin(door, {
        path: `${loginEndpoint}/${encodeURIComponent(user)}`,
        body: { password: await readCredential(password) },
        who: `user "${user}"`,
        remedy: authEnvironments[method].remedy,
      });
    },
  };
}
