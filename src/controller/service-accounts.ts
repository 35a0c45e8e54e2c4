// Which service accounts may log in to Vault for the objects of their namespace, and their tokens for it. An object may
// name any account of its own namespace, so the account itself has to say that it is meant for this: whoever may write
// objects must not thereby become whatever service account happens to be there.
import { group } from "../api/kinds.ts";
import { OperatorError } from "../base/errors.ts";
import type { KubeClient } from "../runtime/client.ts";
import { isForbidden, isNotFound, type KubeError } from "../runtime/kube-error.ts";
import type { KubeObject, Request, Resource } from "../runtime/objects.ts";
import { createToken } from "../runtime/service-account-token.ts";

/** On a service account: it may log in to Vault. The value is `true`. */
export const vaultLoginAnnotation = `${group}/vault-login`;

export interface ServiceAccountsOptions {
  readonly client: Pick<KubeClient, "get" | "create">;
  /** `--vault-audience`: whom the tokens are for. Never the API server's own audience, or Vault could act as the account. */
  readonly audience: string;
  /** Whether the policy lets an account log in that does not say so itself. @throws OperatorError `KubernetesError` */
  readonly mayLogIn: (account: Request) => boolean;
}

const resource: Resource = { group: "", version: "v1", plural: "serviceaccounts", kind: "ServiceAccount" };
/** The least that the API server grants; a token is used once, at once. */
const expirationSeconds = 600;
const rbacFile = "deploy/opt-in/role-service-account-login.yaml";

/** The `ServiceAccountTokens` of a cluster. */
export class ServiceAccounts {
  readonly #options: ServiceAccountsOptions;

  constructor(options: ServiceAccountsOptions) {
    this.#options = options;
  }

  /**
   * A token for Vault, good for ten minutes.
   * @throws OperatorError `VaultLoginFailed` when the account is not there, may not log in or is kept from us;
   *   KubeError when the API server cannot be asked
   */
  async token(account: Request): Promise<string> {
    const refusal = this.#refusalBy(account, await this.#find(account));
    if (refusal !== undefined) throw refusal;
    return this.#createToken(account);
  }

  /**
   * Why the account may not log in any more. Undefined when it may, and when that cannot be said now: the API server does
   * not answer, or the account went with its namespace, whose objects still have to be removed from Vault.
   */
  async refusal(account: Request): Promise<OperatorError | undefined> {
    try {
      const found = await this.#find(account);
      // A namespace that goes grants no tokens, and says so before it looks for the account.
      if (found === undefined) await this.#createToken(account);
      return this.#refusalBy(account, found);
    } catch (error) {
      return error instanceof OperatorError && error.code === "VaultLoginFailed" && !isEndOfNamespace(error.cause)
        ? error
        : undefined;
    }
  }

  async #find(account: Request): Promise<KubeObject | undefined> {
    try {
      return await this.#options.client.get<KubeObject>(resource, account);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw isForbidden(error) ? forbidden(account, error) : error;
    }
  }

  #refusalBy(account: Request, found: KubeObject | undefined): OperatorError | undefined {
    if (found === undefined) return missing(account);
    const isMeant = found.metadata.annotations?.[vaultLoginAnnotation] === "true";
    if (isMeant || this.#options.mayLogIn(account)) return undefined;
    return refused(
      `service account ${account.name} is not meant for logins to Vault: annotate it with ${vaultLoginAnnotation}=true, or have the policy allow it (serviceAccounts)`,
    );
  }

  async #createToken(account: Request): Promise<string> {
    const { client, audience } = this.#options;
    try {
      return (await createToken(client, account, { audiences: [audience], expirationSeconds })).token;
    } catch (error) {
      if (isNotFound(error)) throw missing(account);
      throw isForbidden(error) ? forbidden(account, error) : error;
    }
  }
}

function missing({ name, namespace }: Request): OperatorError {
  return refused(
    `there is no service account ${name} in namespace ${namespace}: create it, or correct spec.serviceAccountRef`,
  );
}

function forbidden({ name, namespace }: Request, error: KubeError): OperatorError {
  const text = isEndOfNamespace(error)
    ? `namespace ${namespace} is being deleted, in which service account ${name} gets no tokens any more`
    : `the operator may not log in as service account ${name}: apply ${rbacFile}`;
  return refused(text, error);
}

function isEndOfNamespace(error: unknown): boolean {
  return isForbidden(error) && error.message.includes("it is being terminated");
}

function refused(message: string, cause?: unknown): OperatorError {
  return new OperatorError("VaultLoginFailed", message, { cause });
}
