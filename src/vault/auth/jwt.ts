// JWT auth: a signed token of an issuer that Vault trusts, such as a projected service-account token.
import { type Credential, readCredential } from "./credential.ts";
import { authEnvironments } from "./environment.ts";
import { type Login, postLogin } from "./login.ts";

/** The bearer of a JWT. */
export interface JwtAuthOptions {
  /** `VAULT_JWT_ROLE`; absent: the mount's default role. */
  readonly role?: string;
  /** `VAULT_JWT`, `VAULT_JWT_FILE` */
  readonly jwt: Credential;
  /** `VAULT_JWT_LOGIN_ENDPOINT`: path below `/v1/`. */
  readonly loginEndpoint: string;
}

/** @see https://developer.hashicorp.com/vault/api-docs/auth/jwt#jwt-login */
export function jwtLogin({ role, jwt, loginEndpoint }: JwtAuthOptions): Login {
  return {
    logIn: async (door) =>
      postLogin(door, {
        path: loginEndpoint,
        body: { jwt: await readCredential(jwt), ...(role !== undefined && { role }) },
        who: role === undefined ? "the default role" : `role "${role}"`,
        remedy: authEnvironments.jwt.remedy,
      }),
  };
}
