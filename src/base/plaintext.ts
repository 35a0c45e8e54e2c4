// The two types that hold secret values: Plaintext, the bytes that a key service gives back, and PlainValue, what
// stands under one key in Vault. Both print as [redacted] wherever something might print them, so that a value cannot
// reach a log, an event, a status, a metric or an error by accident. Only vault/kv and cli open a PlainValue.
import { createHmac, type KeyObject } from "node:crypto";
import { inspect } from "node:util";

const redacted = "[redacted]";

/** What prints as [redacted], however it is printed. */
abstract class Redacted {
  toString(): string {
    return redacted;
  }

  toJSON(): string {
    return redacted;
  }

  [inspect.custom](): string {
    return redacted;
  }

  [Symbol.toPrimitive](): string {
    return redacted;
  }
}

/** Decrypted bytes. */
export class Plaintext extends Redacted {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    super();
    this.#bytes = bytes;
  }

  /** The bytes themselves, not a copy. */
  open(): Uint8Array {
    return this.#bytes;
  }

  /** The bytes as the value that Vault stores, or undefined when they are not UTF-8: a value is never mangled. */
  asText(): PlainValue | undefined {
    try {
      return new PlainValue(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.#bytes));
    } catch {
      return undefined;
    }
  }

  /** The bytes in standard base64, as the value that Vault stores. */
  asBase64(): PlainValue {
    return new PlainValue(Buffer.from(this.#bytes).toString("base64"));
  }
}

/**
 * What stands under one key in Vault: a string when we wrote it, any JSON value when someone else did.
 * Numbers in foreign values are `JSON.rawJSON` objects, so that writing them back changes no digit.
 */
export class PlainValue extends Redacted {
  readonly #value: unknown;

  constructor(value: unknown) {
    super();
    this.#value = value;
  }

  /** The JSON value itself. */
  open(): unknown {
    return this.#value;
  }

  /** Its JSON text, with object keys in the order in which they came. */
  openJson(): string {
    return JSON.stringify(this.#value);
  }

  equals(other: PlainValue): boolean {
    return this.openJson() === other.openJson();
  }
}

/** The keys and values of one secret in Vault. */
export type PlainMap = ReadonlyMap<string, PlainValue>;

/** True when both hold the same keys with the same values. */
export function samePlainMap(one: PlainMap, other: PlainMap): boolean {
  if (one.size !== other.size) return false;
  for (const [key, value] of one) {
    const counterpart = other.get(key);
    if (counterpart === undefined || !value.equals(counterpart)) return false;
  }
  return true;
}

/**
 * Keyed hash of a map: tells whether it is what was written without keeping what was written.
 * @param key HMAC-SHA-256 key; an unkeyed hash of a plaintext could be guessed and is never made
 * @param context what the hash is bound to, so that hashes of two objects cannot be compared
 * @returns base64url
 */
export function fingerprint(map: PlainMap, key: KeyObject, context: readonly string[]): string {
  const entries = [...map].toSorted(([one], [other]) => (one < other ? -1 : 1));
  const hmac = createHmac("sha256", key).update(JSON.stringify(["fingerprint", ...context]));
  for (const [name, value] of entries) hmac.update(`\n${JSON.stringify(name)}:${value.openJson()}`);
  return hmac.digest("base64url");
}
