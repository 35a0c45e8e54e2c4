// Logins as a service account that an object names, by a token that the API server makes for it (TokenRequest). The
// token comes from outside, because this folder knows no Kubernetes; whoever makes it also knows who may have one.
import type { OperatorError } from "../../base/errors.ts";
import type { AuthMethod, ServiceAccount } from "../vault.ts";
import { authEnvironments } from "./environment.ts";
import { type Login, loginFailed, postLogin } from "./login.ts";
import type { VaultAuthOptions } from "./method.ts";

/** Where tokens of service accounts come from. */
export interface ServiceAccountTokens {
  /**
   * A token for Vault.
   * @throws OperatorError `VaultLoginFailed` when the account may have none, `KubernetesError` when nobody can be asked
   */
  token(account: ServiceAccount): Promise<string>;
  /** Why the account may not (any more) log in to Vault; undefined when it may, or nobody can be asked now. */
  refusal(account: ServiceAccount): Promise<OperatorError | undefined>;
}

/** How a service account logs in by a method; by most it cannot, which shows at the login. */
export function serviceAccountLogin(
  method: AuthMethod,
  account: ServiceAccount & { readonly role?: string },
  { auth, tokens }: { readonly auth: VaultAuthOptions; readonly tokens: ServiceAccountTokens | undefined },
): Login {
  return {
    async logIn(door) {
      if (method !== "k8s" && method !== "jwt") {
        throw loginFailed(
          `a service account logs in by k8s or jwt, not by ${method}: set spec.vaultAuthMethod to one of them`,
        );
      }
      if (tokens === undefined) throw loginFailed("logins as a service account are not available here");
      const { loginEndpoint, role: preset } = auth[method];
      const role = account.role ?? preset;
      const name = `service account ${account.namespace}/${account.name}`;
      return postLogin(door, {
        path: loginEndpoint,
        body: { jwt: await tokens.token(account), ...(role !== undefined && { role }) },
        who: role === undefined ? name : `role "${role}" and ${name}`,
        remedy: authEnvironments[method].serviceAccountRemedy,
      });
    },
    refusal: async () => tokens?.refusal(account),
  };
}
