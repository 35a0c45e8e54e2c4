// Decrypts with Vault's transit engine. Whose key it is stands in an object, and so does the mount: before anything is
// sent there Vault is asked whether a transit engine is what is mounted, or an object could have us write below a KV
// mount, where the request's last part would be the name of a secret.
import type { Clock } from "../base/clock.ts";
import { type ErrorCode, OperatorError } from "../base/errors.ts";
import { Plaintext } from "../base/plaintext.ts";
import type { VaultClient } from "./client.ts";
import { quoted } from "./errors.ts";
import { objectAt } from "./json.ts";
import { encoded } from "./kv/address.ts";
import type { VaultAnswer } from "./transport.ts";

/** What is to be decrypted, and with which key. */
export interface TransitDecryption {
  readonly key: { readonly mount: string; readonly name: string };
  /** `vault:v<version>:<base64>` */
  readonly ciphertext: string;
  readonly associatedData?: Uint8Array;
}

export interface TransitOptions {
  readonly client: VaultClient;
  /** Vault namespace, "" for the root namespace. */
  readonly namespace: string;
  readonly clock: Clock;
}

/** What is mounted somewhere is believed for so long. */
const believedMs = 60_000;

/** Transit engines, as one identity sees them. */
export class Transit {
  readonly #options: TransitOptions;
  /** Mounts that are transit engines, or are being looked up; and until when that is believed, monotonic ms. */
  readonly #engines = new Map<string, { readonly found: Promise<void>; readonly until: number }>();

  constructor(options: TransitOptions) {
    this.#options = options;
  }

  /**
   * @throws OperatorError `DecryptingError`, `KMSAccessDenied` or `KMSUnavailable`
   */
  async decrypt(request: TransitDecryption, signal?: AbortSignal): Promise<Plaintext> {
    try {
      assertWanted(signal);
      await this.#assertEngine(request.key.mount);
      assertWanted(signal);
      return await this.#decrypt(request);
    } catch (error) {
      throw inKmsTerms(error);
    }
  }

  async #decrypt({ key, ciphertext, associatedData }: TransitDecryption): Promise<Plaintext> {
    const { client, namespace } = this.#options;
    const answer = await client.request({
      method: "POST",
      path: `${encoded(key.mount)}/decrypt/${encoded(key.name)}`,
      namespace,
      body: {
        ciphertext,
        ...(associatedData && { associated_data: Buffer.from(associatedData).toString("base64") }),
      },
    });
    const plaintext = objectAt(answer.body, "data")?.["plaintext"];
    if (associatedData && answer.warnings.some((warning) => warning.includes("associated_data"))) {
      throw failure(
        "DecryptingError",
        `Vault says that it passes over the encryption context of the value, so it is bound to nothing${told(answer)}; associated data need Vault 1.13 or OpenBao`,
      );
    }
    if (answer.status === 200 && typeof plaintext === "string") return new Plaintext(Buffer.from(plaintext, "base64"));
    throw refused(answer, `${key.mount}/${key.name}`);
  }

  /** One look-up for all who ask at the same time. */
  #assertEngine(mount: string): Promise<void> {
    const now = this.#options.clock.monotonic();
    const known = this.#engines.get(mount);
    if (known !== undefined && now < known.until) return known.found;
    const found = this.#lookUp(mount);
    this.#engines.set(mount, { found, until: now + believedMs });
    // What it is not, it may become. Those who asked hear of it themselves.
    found.catch(() => {
      if (this.#engines.get(mount)?.found === found) this.#engines.delete(mount);
    });
    return found;
  }

  async #lookUp(mount: string): Promise<void> {
    const { client, namespace } = this.#options;
    const path = `sys/internal/ui/mounts/${encoded(mount)}`;
    const answer = await client.request({ method: "GET", path, namespace });
    const { type, path: mountedAt } = objectAt(answer.body, "data") ?? {};
    if (answer.status !== 200) {
      throw failure(
        "KMSAccessDenied",
        `Vault does not say what is mounted at ${mount}${told(answer)}: either nothing is, or the operator's login has no capability there; enable the transit engine, or grant update on ${mount}/decrypt/*`,
      );
    }
    if (type !== "transit" || mountedAt !== `${mount}/`) {
      throw failure("DecryptingError", `what is mounted at ${mount} is no transit engine; name a key as <mount>/<key>`);
    }
  }
}

/** Vault's refusal, in the words of key services. */
function refused(answer: VaultAnswer, key: string): OperatorError {
  const { status, errors } = answer;
  const says = (text: string) => errors.some((error) => error.includes(text));
  if (status === 403) {
    const [mount, name] = [key.slice(0, key.lastIndexOf("/")), key.slice(key.lastIndexOf("/") + 1)];
    return failure(
      "KMSAccessDenied",
      `Vault denies decrypting with the transit key ${key}; grant update on ${mount}/decrypt/${name} to the policy of the login`,
    );
  }
  if (status === 404 || says("encryption key not found")) {
    return failure("DecryptingError", `Vault has no transit key ${key}; correct spec.kmsKeyId, or --transit-key`);
  }
  if (says("disallowed by policy")) {
    return failure(
      "DecryptingError",
      `the value was encrypted with a version of the transit key ${key} that Vault lets nobody use any more (min_decryption_version); encrypt it again`,
    );
  }
  if (says("derivation")) {
    return failure(
      "DecryptingError",
      `the transit key ${key} is a derived one, which the operator cannot use; take another`,
    );
  }
  if (status === 400) {
    return failure(
      "DecryptingError",
      `Vault cannot decrypt the value with the transit key ${key}: it is damaged, or made with another key or encryption context${told(answer)}; correct spec.kmsKeyId or secretContext, or encrypt the value again`,
    );
  }
  return failure(
    "KMSUnavailable",
    `decrypting with the transit key ${key} failed: Vault answered HTTP ${status}${told(answer)}`,
  );
}

function told({ errors, requestId }: VaultAnswer): string {
  return quoted(errors, requestId);
}

/** A Vault that cannot be asked is, for values, a key service that cannot be asked. */
function inKmsTerms(error: unknown): unknown {
  if (!(error instanceof OperatorError)) return error;
  const codes: Partial<Record<ErrorCode, ErrorCode>> = {
    VaultUnavailable: "KMSUnavailable",
    VaultSealed: "KMSUnavailable",
    VaultLoginFailed: "KMSAccessDenied",
  };
  const code = codes[error.code];
  return code === undefined ? error : new OperatorError(code, `transit: ${error.message}`, { cause: error });
}

/** Vault's client cannot take a request back that is sent, but one need not be sent. */
function assertWanted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  throw failure("KMSUnavailable", "decrypting was cancelled; it is tried again by itself");
}

function failure(code: ErrorCode, text: string): OperatorError {
  return new OperatorError(code, text);
}
