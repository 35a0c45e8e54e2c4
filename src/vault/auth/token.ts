// Token auth: a token that somebody gave us. There is nothing to log in to; Vault is asked how long the token lives,
// so that it can be renewed in time. A token without expiry (root, or `expire_time: null`) is simply used. One from a
// file (an agent's sink) is taken up anew whenever the file holds another.
import { objectAt } from "../json.ts";
import { type Credential, readCredential } from "./credential.ts";
import { authEnvironments } from "./environment.ts";
import { type Login, loginFailed, ttlMs, usesOf } from "./login.ts";
import { lookupSelf } from "./lookup.ts";

/** A token that somebody gave us. */
export interface TokenAuthOptions {
  /** `VAULT_TOKEN`, `VAULT_TOKEN_FILE` */
  readonly token: Credential;
}

/** Refuses a token that Vault does not know; one that may not look itself up is used without knowing its life. */
export function tokenLogin({ token: given }: TokenAuthOptions): Login {
  const read = async () => (await readCredential(given)).trim();
  const { variable } = given;
  const name = given.file === undefined ? variable : `the file that ${variable}_FILE names`;
  return {
    async logIn(door) {
      const token = await read();
      if (!/^[!-~]+$/.test(token)) throw loginFailed(`${name} holds a character that no token has; set it anew`);
      const found = await lookupSelf(door, token);
      if (found.state === "dead") {
        throw loginFailed(`Vault does not accept the token in ${name}: ${authEnvironments.token.remedy}`);
      }
      const data = objectAt(found.answer.body, "data");
      return {
        token,
        ttlMs: ttlMs(data?.["ttl"]),
        renewable: data?.["renewable"] === true,
        uses: usesOf(data?.["num_uses"]),
        revocable: false,
        own: false,
      };
    },
    ...(given.file !== undefined && {
      async isReplaced(token: string) {
        try {
          return (await read()) !== token;
        } catch {
          // The file is being replaced, or gone: the token that it held is good as long as Vault says so.
          return false;
        }
      },
    }),
  };
}
