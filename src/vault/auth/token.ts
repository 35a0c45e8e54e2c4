// Token auth: a token that somebody gave us. There is nothing to log in to; Vault is asked how long the token lives,
// so that it can be renewed in time. A token without expiry (root, or `expire_time: null`) is simply used.
import type { PlainValue } from "../../base/plaintext.ts";
import { objectAt } from "../json.ts";
import { type Login, loginFailed, ttlMs } from "./login.ts";
import { lookupSelf } from "./lookup.ts";

/** A token that somebody gave us. */
export interface TokenAuthOptions {
  /** `VAULT_TOKEN` */
  readonly token?: PlainValue;
}

/** Refuses a token that Vault does not know; one that may not look itself up is used without knowing its life. */
export function tokenLogin({ token: given }: TokenAuthOptions): Login {
  return async (door) => {
    // The text is the contract's.
    if (given === undefined) throw loginFailed("VAULT_TOKEN environment variable not found");
    const token = String(given.open()).trim();
    if (!/^[!-~]+$/.test(token)) throw loginFailed("VAULT_TOKEN holds a character that no token has; set it anew");
    const found = await lookupSelf(door, token);
    if (found.state === "dead") {
      throw loginFailed(
        "Vault does not accept the token in VAULT_TOKEN: it is wrong, expired or revoked; set a new one",
      );
    }
    const data = objectAt(found.answer.body, "data");
    return { token, ttlMs: ttlMs(data?.["ttl"]), renewable: data?.["renewable"] === true, own: false };
  };
}
