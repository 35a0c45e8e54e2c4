// Tokens of service accounts, for somebody else than the API server (TokenRequest).
import type { CallOptions, KubeClient } from "./client.ts";
import type { Request, Resource } from "./objects.ts";
import { invalidResponse } from "./wire.ts";

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
  readonly status?: { readonly token?: string; readonly expirationTimestamp?: string };
}

/**
 * Asks for a token of a service account.
 * @throws KubeError, 403 without `create` on `serviceaccounts/token`, 404 when there is no such account,
 *   `InvalidResponse` when the answer holds no token; never with the token in it
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
  const { token, expirationTimestamp = "" } = status ?? {};
  const expiresAt = Date.parse(expirationTimestamp);
  if (!token || Number.isNaN(expiresAt)) throw invalidResponse("TokenRequest", "the answer holds no token");
  return { token, expiresAt };
}
