// GitHub auth: a personal access token, with which Vault asks GitHub who we are.
import { type Credential, readCredential } from "./credential.ts";
import { authEnvironments } from "./environment.ts";
import { type Login, postLogin } from "./login.ts";

/** A user of GitHub. */
export interface GithubAuthOptions {
  /** `VAULT_GITHUB_TOKEN`, `VAULT_GITHUB_TOKEN_FILE` */
  readonly token: Credential;
  /** `VAULT_GITHUB_AUTH_ENDPOINT`: path below `/v1/`. */
  readonly loginEndpoint: string;
}

/** @see https://developer.hashicorp.com/vault/api-docs/auth/github#login */
export function githubLogin({ token, loginEndpoint }: GithubAuthOptions): Login {
  return {
    logIn: async (door) =>
      postLogin(door, {
        path: loginEndpoint,
        body: { token: await readCredential(token) },
        who: "the owner of the GitHub token",
        remedy: authEnvironments.github.remedy,
      }),
  };
}
