// Third stage: entries to values. Every entry is tried, and all failures come back together, so that a user sees
// everything that is wrong with an object at once and one bad key never hides or harms the others.
import { OperatorError, type Retry } from "../base/errors.ts";
import { PlainValue } from "../base/plaintext.ts";
import type { Decryptor } from "../kms/cipher.ts";
import type { ResolvedEntry } from "./resolve.ts";

/** One entry that gave no value. */
export interface EntryFailure {
  readonly key: string;
  readonly error: OperatorError;
}

export interface Decrypted {
  /** In list order. */
  readonly values: ReadonlyMap<string, PlainValue>;
  /** In list order. */
  readonly failures: readonly EntryFailure[];
}

/**
 * Decrypts every entry that is not empty, all at once: the Decryptor bounds how many are in flight.
 * @throws only what is no failure of an entry (a bug): `OperatorError`s become failures
 */
export async function decrypt(
  entries: readonly ResolvedEntry[],
  decryptor: Decryptor,
  signal: AbortSignal,
): Promise<Decrypted> {
  const results = await Promise.all(
    entries.map(async (entry): Promise<PlainValue | OperatorError> => {
      try {
        return await decryptEntry(entry, decryptor, signal);
      } catch (error) {
        if (error instanceof OperatorError) return error;
        throw error;
      }
    }),
  );
  const values = new Map<string, PlainValue>();
  const failures: EntryFailure[] = [];
  for (const [index, entry] of entries.entries()) {
    const result = results[index];
    if (result instanceof PlainValue) values.set(entry.key, result);
    else if (result !== undefined) failures.push({ key: entry.key, error: result });
  }
  return { values, failures };
}

/**
 * The failures of one object as one error: the first in list order gives the code, the message names every key, and
 * it is tried again by itself when any of them may heal by itself.
 */
export function combineFailures(failures: readonly [EntryFailure, ...EntryFailure[]]): OperatorError {
  const [first] = failures;
  const retry: Retry = failures.some(({ error }) => error.retry === "backoff") ? "backoff" : "terminal";
  const shown = failures.slice(0, 10).map(({ key, error }) => `key ${key}: ${error.code}: ${error.message}`);
  const rest = failures.length > shown.length ? `; and ${failures.length - shown.length} more keys` : "";
  return new OperatorError(first.error.code, shown.join("; ") + rest, { cause: first.error, retry });
}

async function decryptEntry(entry: ResolvedEntry, decryptor: Decryptor, signal: AbortSignal): Promise<PlainValue> {
  if (entry.empty) return new PlainValue("");
  const ciphertext = decodeBase64(entry.encryptedSecret);
  if (ciphertext === undefined) {
    throw new OperatorError(
      "DecodingError",
      "encryptedSecret is not standard base64; put the base64 of the ciphertext blob there, as the encryption tool prints it",
    );
  }
  if (ciphertext.length === 0) {
    throw new OperatorError(
      "DecryptingError",
      "encryptedSecret is empty; encrypt the value, or set emptySecret: true if the empty string is meant",
    );
  }
  const plaintext = await decryptor.decrypt({ ciphertext, encryptionContext: entry.encryptionContext }, signal);
  if (entry.encoding === "base64") return plaintext.asBase64();
  const text = plaintext.asText();
  if (text === undefined) {
    throw new OperatorError(
      "InvalidEncoding",
      "the decrypted value is not UTF-8 text; set encoding: base64 on the entry to have it written as base64",
    );
  }
  return text;
}

/** Standard base64 with padding (RFC 4648, section 4), as Go's StdEncoding reads it; undefined when it is not. */
function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  return Buffer.from(text, "base64");
}
