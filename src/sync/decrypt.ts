// Third stage: entries to values. Every entry is tried, and all failures come back together, so that a user sees
// everything that is wrong with an object at once and one bad key never hides or harms the others.
import { reservedPrefix } from "../api/binding.ts";
import pLimit from "p-limit";
import type { KMSVaultSecretSpec } from "../api/kinds.ts";
import { OperatorError, type Retry } from "../base/errors.ts";
import { PlainValue } from "../base/plaintext.ts";
import type { DecryptCall, Decryptor } from "../kms/cipher.ts";
import type { ResolvedEntry } from "./resolve.ts";

/** What an object says of the keys of its values. */
export function keyChoiceOf(
  spec: Pick<KMSVaultSecretSpec, "provider" | "kmsKeyId" | "kmsRoleArn">,
): Pick<DecryptCall, "provider" | "keyId" | "roleArn"> {
  const { provider, kmsKeyId: keyId, kmsRoleArn: roleArn } = spec;
  return {
    ...(provider !== undefined && { provider }),
    ...(keyId !== undefined && { keyId }),
    ...(roleArn !== undefined && { roleArn }),
  };
}

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

/** Of one object, under way at once: so that one with very many takes no more of anything than one with many. */
const entriesAtOnce = 64;

/**
 * Decrypts every entry that is not empty.
 * @param call the same for all entries
 * @throws only what is no failure of an entry (a bug): `OperatorError`s become failures
 */
export async function decrypt(
  entries: readonly ResolvedEntry[],
  decryptor: Decryptor,
  call: DecryptCall,
): Promise<Decrypted> {
  const limit = pLimit(entriesAtOnce);
  const results = await limit.map(entries, async (entry): Promise<PlainValue | OperatorError> => {
    try {
      return await decryptEntry(entry, decryptor, call);
    } catch (error) {
      if (error instanceof OperatorError) return error;
      throw error;
    }
  });
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

/** What is wrong with an encryption context that names by hand, by this key, where a value belongs. */
export function reservedContextKey(reservedKey: string | undefined): OperatorError | undefined {
  if (reservedKey === undefined) return undefined;
  return new OperatorError(
    "ReservedContextKey",
    `secretContext has ${reservedKey}, which says where a value belongs and is never given by hand; take it out, and set spec.bindContext for values that are bound to their place`,
  );
}

async function decryptEntry(entry: ResolvedEntry, decryptor: Decryptor, call: DecryptCall): Promise<PlainValue> {
  const reserved = reservedContextKey(entry.reservedKey);
  if (reserved !== undefined) throw reserved;
  if (entry.empty) return new PlainValue("");
  const plaintext = await decryptor.decrypt(entry, call).catch((error: unknown) => {
    throw withBinding(error, entry);
  });
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

/** Says of a bound value that did not decrypt what it has to be encrypted with. */
function withBinding(error: unknown, { encryptionContext }: ResolvedEntry): unknown {
  const binding = Object.entries(encryptionContext).filter(([key]) => key.startsWith(reservedPrefix));
  const concerned = error instanceof OperatorError && error.code === "DecryptingError" && binding.length > 0;
  if (!concerned) return error;
  const parts = binding.map(([key, value]) => `${key}=${value}`).join(", ");
  return new OperatorError(
    error.code,
    `${error.message}; by bindContext it belongs to ${parts}: if it was copied from elsewhere, encrypt the value again with exactly that in the encryption context, besides secretContext`,
    { cause: error, retry: error.retry },
  );
}
