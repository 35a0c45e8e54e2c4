// A secret id that comes wrapped: whoever deploys us hands over a token that Vault exchanges for the secret id exactly
// once. If the exchange fails, somebody else may have made it, which is what wrapping is there to show. The secret id
// stays in memory for later logins; a new wrapping token is exchanged when it appears.
import { PlainValue } from "../../base/plaintext.ts";
import { quoted } from "../errors.ts";
import { objectAt } from "../json.ts";
import { type Credential, readCredential } from "./credential.ts";
import { type LoginDoor, loginFailed } from "./login.ts";

const variable = "VAULT_APPROLE_SECRET_ID";

/** The secret id behind a wrapping token. */
export class WrappedSecretId {
  readonly #given: Credential;
  readonly #mount: string;
  #last: { readonly wrapping: PlainValue; readonly secretId: PlainValue } | undefined;
  #reading: Promise<string> | undefined;

  /** @param mount of the AppRole method, such as `auth/approle`: secret ids of others are not taken */
  constructor(given: Credential, mount: string) {
    this.#given = given;
    this.#mount = mount;
  }

  /**
   * The secret id; exchanges the wrapping token when there is one that was not seen before.
   * @throws OperatorError `VaultLoginFailed` when the token was used already or wraps something else
   */
  read(door: LoginDoor): Promise<string> {
    // Two logins at once (of two Vault namespaces) must not spend the token twice.
    this.#reading ??= this.#read(door).finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(door: LoginDoor): Promise<string> {
    const wrapping = (await readCredential(this.#given)).trim();
    if (this.#last?.wrapping.open() === wrapping) return String(this.#last.secretId.open());
    if (!/^[!-~]+$/.test(wrapping)) throw loginFailed(`${variable} holds a character that no token has; set it anew`);
    await this.#check(door, wrapping);
    const secretId = await unwrap(door, wrapping);
    this.#last = { wrapping: new PlainValue(wrapping), secretId: new PlainValue(secretId) };
    return secretId;
  }

  /** A token that somebody put in place of ours could wrap anything; Vault says where the wrapped answer came from. */
  async #check({ transport, namespace }: LoginDoor, token: string): Promise<void> {
    const path = "sys/wrapping/lookup";
    const { status, body, errors } = await transport.send({ method: "POST", path, namespace, body: { token } });
    if (status >= 400) throw spent(status, errors);
    const from = objectAt(body, "data")?.["creation_path"];
    if (typeof from === "string" && this.#isOurs(from)) return;
    throw loginFailed(
      `the wrapping token in ${variable} wraps no secret id of a role at ${this.#mount}: somebody may have put it in place of ours; find out who, and wrap a new secret id`,
    );
  }

  /** `auth/approle/role/<any>/secret-id`, or `custom-secret-id`; Vault gives it without the namespace. */
  #isOurs(creationPath: string): boolean {
    const roles = `${this.#mount}/role/`;
    const [role = "", kind, ...rest] = creationPath.slice(roles.length).split("/");
    const isSecretId = kind === "secret-id" || kind === "custom-secret-id";
    return creationPath.startsWith(roles) && role !== "" && isSecretId && rest.length === 0;
  }
}

/** @see https://developer.hashicorp.com/vault/docs/concepts/response-wrapping#response-wrapping-token-validation */
async function unwrap({ transport, namespace }: LoginDoor, token: string): Promise<string> {
  const path = "sys/wrapping/unwrap";
  const { status, body, errors } = await transport.send({ method: "POST", path, namespace, token });
  if (status >= 400) throw spent(status, errors);
  const secretId = objectAt(body, "data")?.["secret_id"];
  if (typeof secretId === "string" && secretId !== "") return secretId;
  throw loginFailed(`the wrapping token in ${variable} held no secret id; wrap a new one`);
}

function spent(status: number, errors: readonly string[]): Error {
  return loginFailed(
    `Vault does not accept the wrapping token in ${variable} (HTTP ${status})${quoted(errors)}: it expired, or somebody else may have unwrapped it; find out, and wrap a new secret id`,
  );
}
