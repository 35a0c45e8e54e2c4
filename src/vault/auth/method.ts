// The authentication methods as one table: what each needs to be told, and the file that knows how it logs in.
import type { AuthMethod } from "../vault.ts";
import { type K8sAuthOptions, k8sLogin } from "./k8s.ts";
import type { Login } from "./login.ts";
import { type TokenAuthOptions, tokenLogin } from "./token.ts";
import { type UserpassAuthOptions, userpassLogin } from "./userpass.ts";

/** What the methods need; config.ts reads it from the environment and knows the defaults. */
export interface VaultAuthOptions {
  readonly k8s: K8sAuthOptions;
  readonly token: TokenAuthOptions;
  readonly userpass: UserpassAuthOptions;
}

const logins: { readonly [method in AuthMethod]: (options: VaultAuthOptions) => Login } = {
  k8s: ({ k8s }) => k8sLogin(k8s),
  token: ({ token }) => tokenLogin(token),
  userpass: ({ userpass }) => userpassLogin(userpass),
};

/** How to log in by a method. What is missing for it shows at the login, as `VaultLoginFailed`. */
export function loginBy(method: AuthMethod, options: VaultAuthOptions): Login {
  return logins[method](options);
}
