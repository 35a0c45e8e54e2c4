// Encryption contexts as plain values: one text for each, whatever the order of its pairs, and what sets two apart.
import type { EncryptionContext } from "./cipher.ts";

/** JSON with the pairs sorted by name (by UTF-16 code units), without blanks: equal contexts have equal texts. */
export function canonicalJson(context: EncryptionContext): string {
  const names = Object.keys(context).toSorted();
  return `{${names.map((name) => `${JSON.stringify(name)}:${JSON.stringify(context[name])}`).join(",")}}`;
}

/**
 * What sets an encryption context apart from the expected one, by the names of the pairs: values may be somebody else's.
 * @returns undefined when they are equal; else such as `another value for a, b; no c; d besides`
 */
export function contextDifference(found: EncryptionContext, expected: EncryptionContext): string | undefined {
  const foundNames = Object.keys(found);
  const expectedNames = Object.keys(expected);
  const both = expectedNames.filter((name) => Object.hasOwn(found, name));
  const parts = [
    listed(
      "another value for ",
      both.filter((name) => found[name] !== expected[name]),
    ),
    listed(
      "no ",
      expectedNames.filter((name) => !Object.hasOwn(found, name)),
    ),
    listed(
      "also ",
      foundNames.filter((name) => !Object.hasOwn(expected, name)),
    ),
  ];
  const different = parts.filter((part) => part !== undefined);
  return different.length === 0 ? undefined : different.join("; ");
}

/** Names come out of ciphertexts: they are shown as one line, and neither long nor many. */
function listed(before: string, names: readonly string[]): string | undefined {
  if (names.length === 0) return undefined;
  const shown = names.toSorted().slice(0, 8).map(shownName);
  const rest = names.length > shown.length ? ` and ${names.length - shown.length} more` : "";
  return `${before}${shown.join(", ")}${rest}`;
}

function shownName(name: string): string {
  const line = name.replaceAll(/[^\x20-\x7e]/g, "?");
  return line.length <= 100 ? line : `${line.slice(0, 100)}…`;
}
