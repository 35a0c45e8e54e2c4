// Requests as one identity: with its session's token, once more with a new one when Vault does not know that token any
// more, and with the guard before whatever changes something.
import type { JsonObject } from "./json.ts";
import type { Session } from "./session.ts";
import type { VaultAnswer, VaultTransport } from "./transport.ts";

/** A request; the token is the session's. */
export interface VaultCall {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Below `/v1/`, percent-encoded. */
  readonly path: string;
  /** Vault namespace, "" for the root namespace. */
  readonly namespace: string;
  readonly body?: JsonObject;
}

export interface VaultClientOptions {
  readonly transport: Pick<VaultTransport, "send">;
  readonly session: Pick<Session, "token" | "isReplaced">;
  /** Asked just before each request that changes something; throws when this process may not (any more). */
  readonly beforeMutation?: (() => void) | undefined;
}

/** Vault, for one identity. */
export class VaultClient {
  readonly #options: VaultClientOptions;

  constructor(options: VaultClientOptions) {
    this.#options = options;
  }

  /**
   * The answer, also when it is a 4xx: what a refusal means depends on what was asked. A 403 is Vault's word about a
   * token that it knows.
   * @throws OperatorError `VaultLoginFailed`, `VaultUnavailable`, `VaultSealed`, or what `beforeMutation` throws
   */
  async request(call: VaultCall): Promise<VaultAnswer> {
    const { transport, session, beforeMutation } = this.#options;
    const beforeSend = call.method === "GET" ? undefined : beforeMutation;
    const token = await session.token();
    const answer = await transport.send({ ...call, token, beforeSend });
    if (answer.status !== 403 || !(await session.isReplaced(token))) return answer;
    return transport.send({ ...call, token: await session.token(), beforeSend });
  }
}
