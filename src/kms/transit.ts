// The transit engine of Vault or OpenBao as key service: Vault encrypts and decrypts, the key never leaves it. What goes
// over the wire is in src/vault/transit.ts; here is what a value and the name of a key look like, and who may use it.
import { type ErrorCode, OperatorError } from "../base/errors.ts";
import type { Plaintext } from "../base/plaintext.ts";
import type { Clock } from "../base/clock.ts";
import { Budget, type Result } from "./budget.ts";
import type { DecryptCall } from "./cipher.ts";
import { canonicalJson } from "./encryption-context.ts";
import { isListed, type KeyService } from "./providers.ts";

/** A key of a transit engine. */
export interface TransitKey {
  /** Without slashes at its ends; it may have several segments. */
  readonly mount: string;
  readonly name: string;
}

/** What Vault is asked. */
interface TransitRequest {
  readonly key: TransitKey;
  /** `vault:v<version>:<base64>` */
  readonly ciphertext: string;
  /** What the ciphertext is bound to; absent: to nothing. */
  readonly associatedData?: Uint8Array;
}

/** The way to Vault's transit engines. */
export interface TransitDoor {
  /**
   * @throws OperatorError `DecryptingError` (not this key, not this associated data, damaged, no such key),
   *   `KMSAccessDenied`, `KMSUnavailable`
   */
  decrypt(request: TransitRequest, signal?: AbortSignal): Promise<Plaintext>;
}

export interface TransitOptions {
  /** `--transit-key`, for objects that name none: `<mount>/<key>`. */
  readonly defaultKey?: string | undefined;
  /** `--kms-allowed-keys`: entries `<mount>/<key>`, or `*`. Absent: any. */
  readonly allowedKeys?: readonly string[] | undefined;
  /** Absent: nothing can be decrypted. */
  readonly door?: TransitDoor | undefined;
  /** Requests under way at once. */
  readonly maxInFlight: number;
  readonly clock: Clock;
}

const prefix = "vault:";
/** An answer that has not come by then is waited for no longer: others need the worker, ms. */
const answerWithinMs = 2_000;
/** What was found out of a key's Vault is believed for so long, ms. */
const believedMs = 600_000;

/** Whether a value is in the form of Vault's transit engine. */
export function isTransit(encryptedSecret: string): boolean {
  return encryptedSecret.startsWith(prefix);
}

/** The key service Vault transit. */
export function transitService(options: TransitOptions): KeyService {
  const { defaultKey, allowedKeys, door } = options;
  const asker = door === undefined ? undefined : new Asker(door, options);
  return {
    provider: "VaultTransit",
    owns: isTransit,
    async decrypt({ encryptedSecret: ciphertext, encryptionContext }, call) {
      if (!/^vault:v[1-9][0-9]{0,8}:[A-Za-z0-9+/]+={0,2}$/.test(ciphertext)) {
        throw failure(
          "DecodingError",
          "the value is no ciphertext of Vault's transit engine; put there what it answers, vault:v1:… as it is",
        );
      }
      // Who cannot ask cannot judge the key either: a webhook may have no login to Vault, and no --transit-key.
      if (asker === undefined) throw failure("KMSAccessDenied", "no Vault is configured for transit keys");
      const key = keyOf(call, defaultKey);
      assertAllowed(key, [allowedKeys, call.allowedKeys]);
      if (Object.keys(encryptionContext).length === 0) return asker.decrypt({ key, ciphertext }, call);
      const associatedData = Buffer.from(canonicalJson(encryptionContext));
      const plaintext = await asker.decrypt({ key, ciphertext, associatedData }, call);
      await asker.assertBinds({ key, ciphertext }, call);
      return plaintext;
    },
  };
}

/** Asks Vault within a budget, as AWS KMS is: one that hangs costs nobody else's objects a worker for long. */
class Asker {
  readonly #door: TransitDoor;
  readonly #clock: Clock;
  readonly #budget: Budget;
  /** Of keys: whether their Vault checks associated data, and until when that is believed, monotonic ms. */
  readonly #binding = new Map<string, { readonly shown: Promise<void>; readonly until: number }>();

  constructor(door: TransitDoor, { clock, maxInFlight }: TransitOptions) {
    this.#door = door;
    this.#clock = clock;
    this.#budget = new Budget({ clock, maxInFlight, perSecond: Number.POSITIVE_INFINITY });
  }

  async decrypt(request: TransitRequest, call: DecryptCall): Promise<Plaintext> {
    const turn = await this.#budget.enter(call);
    let result: Result = "silent";
    try {
      const plaintext = await this.#inTime(this.#door.decrypt(request, call.signal));
      result = "ok";
      return plaintext;
    } catch (error) {
      if (error instanceof OperatorError && error.code !== "KMSUnavailable") result = "refused";
      else if (call.signal?.aborted === true) result = "unsent";
      throw error;
    } finally {
      this.#budget.leave(turn, result);
    }
  }

  /**
   * A Vault before 1.13 passes over associated data that it is given, and so would decrypt a value for whatever place: it
   * is believed only once it has refused to do without. Asked for a value that has just been decrypted with them.
   * @throws OperatorError `DecryptingError` when the value decrypts without them as well
   */
  assertBinds(request: TransitRequest, call: DecryptCall): Promise<void> {
    const key = `${request.key.mount}/${request.key.name}`;
    const now = this.#clock.monotonic();
    const known = this.#binding.get(key);
    if (known !== undefined && now < known.until) return known.shown;
    const shown = this.#showBinding(request, call, key);
    this.#binding.set(key, { shown, until: now + believedMs });
    // Only what is right is believed for long.
    shown.catch(() => this.#binding.delete(key));
    return shown;
  }

  async #showBinding(request: TransitRequest, call: DecryptCall, key: string): Promise<void> {
    const isRefused = await this.decrypt(request, call).then(
      () => false,
      (error: unknown) => {
        if (error instanceof OperatorError && error.code === "DecryptingError") return true;
        throw error;
      },
    );
    if (isRefused) return;
    throw failure(
      "DecryptingError",
      `Vault decrypts the value with the transit key ${key} whatever its encryption context, so it is bound to nothing; associated data need Vault 1.13 or OpenBao, and a key of type aes256-gcm96 or chacha20-poly1305`,
    );
  }

  async #inTime(answer: Promise<Plaintext>): Promise<Plaintext> {
    const late = Promise.withResolvers<never>();
    const timer = this.#clock.after(answerWithinMs, () => {
      const text = `Vault's transit engine did not answer within ${answerWithinMs / 1_000} s; it is tried again by itself`;
      late.reject(new OperatorError("KMSUnavailable", text, { isOutage: true }));
    });
    try {
      return await Promise.race([answer, late.promise]);
    } finally {
      timer.cancel();
    }
  }
}

/**
 * `<mount>/<key>`: the last segment is the key's name.
 * @returns undefined when it is not that
 */
export function parseTransitKey(text: string): TransitKey | undefined {
  const segments = text.split("/");
  const isPlain = segments.every((segment) => /^[\w.-]+$/.test(segment) && segment !== "." && segment !== "..");
  const name = segments.pop();
  return isPlain && name !== undefined && segments.length > 0 ? { mount: segments.join("/"), name } : undefined;
}

/** @throws OperatorError `KeyNotAllowed` */
function keyOf({ keyId }: DecryptCall, defaultKey: string | undefined): TransitKey {
  const given = keyId ?? defaultKey;
  if (given === undefined) {
    throw failure(
      "KeyNotAllowed",
      "the value is for Vault's transit engine, and no key is named; set spec.kmsKeyId to <mount>/<key>, or start the operator with --transit-key",
    );
  }
  const key = parseTransitKey(given);
  if (key !== undefined) return key;
  throw failure(
    "KeyNotAllowed",
    "the value is for Vault's transit engine, but spec.kmsKeyId is not of the form <mount>/<key>, such as transit/shop; correct it",
  );
}

function assertAllowed({ mount, name }: TransitKey, lists: readonly (readonly string[] | undefined)[]): void {
  const key = `${mount}/${name}`;
  if (lists.every((list) => isListed(list, key))) return;
  throw failure(
    "KeyNotAllowed",
    `the transit key ${key} may not be used for this object (--kms-allowed-keys or the policy); name one that may, or have it added there`,
  );
}

function failure(code: ErrorCode, text: string): OperatorError {
  return new OperatorError(code, text);
}
