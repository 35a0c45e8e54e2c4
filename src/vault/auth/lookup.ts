// Whether Vault still knows a token. Vault answers 403 both to a token that it does not know and to one that may not
// do what it asks; only asking it about the token itself tells the two apart.
import type { VaultAnswer } from "../transport.ts";
import type { LoginDoor } from "./login.ts";

/** `dead`: Vault does not know the token (any more). */
export interface Lookup {
  readonly state: "alive" | "dead";
  readonly answer: VaultAnswer;
}

/** Asks Vault about a token, with that token. */
export async function lookupSelf({ transport, namespace }: LoginDoor, token: string): Promise<Lookup> {
  const answer = await transport.send({ method: "GET", path: "auth/token/lookup-self", namespace, token });
  return { state: isDead(answer) ? "dead" : "alive", answer };
}

/**
 * A living token whose policies do not even allow it to look itself up gets the policy engine's text, a multierror of
 * one. A token that Vault does not know gets the bare text (OpenBao, Vault before 1.15) or also "invalid token".
 */
function isDead({ status, errors }: VaultAnswer): boolean {
  if (status !== 403) return false;
  return !(errors.length === 1 && errors[0] === "1 error occurred: * permission denied");
}
