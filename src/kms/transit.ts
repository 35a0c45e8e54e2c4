// The transit engine of Vault or OpenBao as key service: Vault encrypts and decrypts, the key never leaves it. What goes
// over the wire is in src/vault/transit.ts; here is what a value and the name of a key look like, and who may use it.
import { type ErrorCode, OperatorError } from "../base/errors.ts";
import type { Plaintext } from "../base/plaintext.ts";
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
}

const prefix = "vault:";

/** The key service Vault transit. */
export function transitService({ defaultKey, allowedKeys, door }: TransitOptions): KeyService {
  return {
    provider: "VaultTransit",
    owns: (value) => value.startsWith(prefix),
    async decrypt({ encryptedSecret: ciphertext, encryptionContext }, call) {
      if (!/^vault:v[1-9][0-9]{0,8}:[A-Za-z0-9+/]+={0,2}$/.test(ciphertext)) {
        throw failure(
          "DecodingError",
          "the value is no ciphertext of Vault's transit engine; put there what it answers, vault:v1:… as it is",
        );
      }
      // Who cannot ask cannot judge the key either: a webhook may have no login to Vault, and no --transit-key.
      if (door === undefined) throw failure("KMSAccessDenied", "no Vault is configured for transit keys");
      const key = keyOf(call, defaultKey);
      assertAllowed(key, [allowedKeys, call.allowedKeys]);
      const isBound = Object.keys(encryptionContext).length > 0;
      const associatedData = Buffer.from(canonicalJson(encryptionContext));
      return door.decrypt({ key, ciphertext, ...(isBound && { associatedData }) }, call.signal);
    },
  };
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
