// GitHub auth: a personal access token, with which Vault asks GitHub who we are.
import { OperatorError } from "../../base/errors.ts";
import { type Credential, readCredential } from "./credential.ts";
import { authEnvironments } from "./environment.ts";
import { type Login, loginFailed, postLogin } from "./login.ts";

/** A user of GitHub. */
export interface GithubAuthOptions {
  /** `VAULT_GITHUB_TOKEN`, `VAULT_GITHUB_TOKEN_FILE` */
  readonly token: Credential;
  /** `VAULT_GITHUB_AUTH_ENDPOINT`: path below `/v1/`. */
  readonly loginEndpoint: string;
}

/** GitHub's own refusals as they stand in an answer of Vault's: `GET https://api.github.com/user: 401 Bad credentials`. */
const refusals = /: 40[134] |not part of required org/;

/** @see https://developer.hashicorp.com/vault/api-docs/auth/github#login */
export function githubLogin({ token, loginEndpoint }: GithubAuthOptions): Login {
  const { remedy } = authEnvironments.github;
  return {
    async logIn(door) {
      const body = { token: await readCredential(token) };
      try {
        return await postLogin(door, { path: loginEndpoint, body, who: "the owner of the GitHub token", remedy });
      } catch (error) {
        // Vault reports what GitHub refuses as a failure of its own, HTTP 500, as if it would pass.
        if (!(error instanceof OperatorError && error.code === "VaultUnavailable" && refusals.test(error.message))) {
          throw error;
        }
        const where = `the login at ${loginEndpoint} as the owner of the GitHub token`;
        throw loginFailed(`GitHub refuses ${where}, so Vault does: ${remedy}`, error);
      }
    },
  };
}
