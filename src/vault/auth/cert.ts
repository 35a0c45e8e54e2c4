// Cert auth: the client certificate of the TLS connection itself says who we are.
import { authEnvironments } from "./environment.ts";
import { type Login, loginFailed, postLogin } from "./login.ts";

/** The owner of the client certificate. */
export interface CertAuthOptions {
  /** `VAULT_CERT_ROLE`; absent: Vault takes any role that fits. */
  readonly role?: string;
  /** `VAULT_CERT_LOGIN_ENDPOINT`: path below `/v1/`. */
  readonly loginEndpoint: string;
  /** Whether `VAULT_CLIENT_CERT` and `VAULT_CLIENT_KEY` are set. */
  readonly hasClientCertificate: boolean;
}

/** @see https://developer.hashicorp.com/vault/api-docs/auth/cert#login-with-tls-certificate-method */
export function certLogin({ role, loginEndpoint, hasClientCertificate }: CertAuthOptions): Login {
  return {
    async logIn(door) {
      if (!hasClientCertificate) {
        throw loginFailed("the cert login needs a client certificate: set VAULT_CLIENT_CERT and VAULT_CLIENT_KEY");
      }
      return postLogin(door, {
        path: loginEndpoint,
        body: role === undefined ? {} : { name: role },
        who: role === undefined ? "the owner of the client certificate" : `role "${role}"`,
        remedy: authEnvironments.cert.remedy,
      });
    },
  };
}
