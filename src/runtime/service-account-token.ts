// Tokens of service accounts, for somebody else than the API server (TokenRequest).
import type { CallOptions, KubeClient } from "./client.ts";
import type { Request, Resource } from "./objects.ts";

const serviceAccounts: Resource = { group: "", version: "v1", plural: "serviceaccounts", kind: "ServiceAccount" };

/** What a token shall be good for. */
export interface TokenRequest extends CallOptions {
  /** Absent: the API server's own. */
  readonly audiences?: readonly string[];
  /** The API server may shorten it, and grants no less than 600. Absent: an hour. */
  readonly expirationSeconds?: number;
}

/** A bearer token. It is a secret: nothing may print it. */
export interface ServiceAccountToken {
  readonly token: string;
  /** ms since the epoch. */
  readonly expiresAt: number;
}

interface Answer {
  readonly status: { readonly token: string; readonly expirationTimestamp: string };
}

/**
 * Asks for a token of a service account.
 * @throws KubeError, 403 without `create` on `serviceaccounts/token`, 404 when there is no such account
 */
export async function createToken(
  client: Pick<KubeClient, "create">,
  account: Request,
  { audiences, expirationSeconds, ...call }: TokenRequest = {},
): Promise<ServiceAccountToken> {
  const kind = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest" };
  const body = { ...kind, spec: { audiences, expirationSeconds } };
  const ref = { ...account, subresource: "token" };
  const { status } = await client.create<Answer>(serviceAccounts, ref, body, call);
  return { token: status.token, expiresAt: Date.parse(status.expirationTimestamp) };
}
