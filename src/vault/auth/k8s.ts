// Kubernetes auth: the pod's own service-account token against a role. The token on disk is rotated every hour or so,
// so it is read at each login.
import { readFile } from "node:fs/promises";
import { codeOf } from "../../base/retry.ts";
import { authEnvironments } from "./environment.ts";
import { type Login, loginFailed, postLogin } from "./login.ts";

/** The pod's own service account. */
export interface K8sAuthOptions {
  /** `VAULT_K8S_ROLE` */
  readonly role: string;
  /** `VAULT_K8S_LOGIN_ENDPOINT`: path below `/v1/`, such as `auth/kubernetes/login`. */
  readonly loginEndpoint: string;
  /** `VAULT_K8S_TOKEN_FILE`: file of the service account's token. */
  readonly tokenFile: string;
}

/** @see https://developer.hashicorp.com/vault/api-docs/auth/kubernetes#login */
export function k8sLogin({ role, loginEndpoint, tokenFile }: K8sAuthOptions): Login {
  return {
    logIn: async (door) =>
      postLogin(door, {
        path: loginEndpoint,
        body: { role, jwt: await serviceAccountToken(tokenFile) },
        who: `role "${role}"`,
        remedy: authEnvironments.k8s.remedy,
      }),
  };
}

async function serviceAccountToken(file: string): Promise<string> {
  try {
    const token = (await readFile(file, "utf8")).trim();
    if (token !== "") return token;
  } catch (error) {
    // Without the file's name, which may be the token itself, in the wrong variable.
    throw loginFailed(
      `cannot read the service account's token in the file of VAULT_K8S_TOKEN_FILE (${codeOf(error)}); outside a pod use another method`,
    );
  }
  throw loginFailed("the service account's token in the file of VAULT_K8S_TOKEN_FILE is empty");
}
