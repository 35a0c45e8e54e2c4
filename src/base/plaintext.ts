// The two types that hold secret values: Plaintext, the bytes that a key service gives back, and PlainValue, what
// stands under one key in Vault. Both print as [redacted] wherever something might print them, so that a value cannot
// reach a log, an event, a status, a metric or an error by accident. Only vault/kv and cli open a PlainValue.
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
