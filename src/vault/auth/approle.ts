// AppRole auth: a role id and a secret id. The secret id may be delivered as a response-wrapping token
// (wrapped-secret-id.ts), or not be asked for at all.
import { type Credential, isGiven, readCredential, required } from "./credential.ts";
import { authEnvironments } from "./environment.ts";
import { type Login, postLogin } from "./login.ts";
import { WrappedSecretId } from "./wrapped-secret-id.ts";

/** The holder of a role's id. */
export interface ApproleAuthOptions {
  /** `VAULT_APPROLE_ROLE_ID` */
  readonly roleId?: string;
  /** `VAULT_APPROLE_SECRET_ID`, `VAULT_APPROLE_SECRET_ID_FILE`; absent for roles with `bind_secret_id=false`. */
  readonly secretId: Credential;
  /** `VAULT_APPROLE_SECRET_ID_WRAPPED`: `secretId` holds a response-wrapping token. */
  readonly wrapped: boolean;
  /** `VAULT_APPROLE_ENDPOINT`: path below `/v1/`. */
  readonly loginEndpoint: string;
}

/** @see https://developer.hashicorp.com/vault/api-docs/auth/approle#login-with-approle */
export function approleLogin({ roleId, secretId, wrapped, loginEndpoint }: ApproleAuthOptions): Login {
  const unwrapped = wrapped ? new WrappedSecretId(secretId, loginEndpoint.replace(/\/login$/, "")) : undefined;
  return {
    async logIn(door) {
      const role = required(roleId, "VAULT_APPROLE_ROLE_ID");
      const isAsked = wrapped || isGiven(secretId);
      const secret = isAsked ? await (unwrapped?.read(door) ?? readCredential(secretId)) : undefined;
      return postLogin(door, {
        path: loginEndpoint,
        body: { role_id: role, ...(secret !== undefined && { secret_id: secret }) },
        who: "the role of VAULT_APPROLE_ROLE_ID",
        remedy: authEnvironments.approle.remedy,
      });
    },
  };
}
