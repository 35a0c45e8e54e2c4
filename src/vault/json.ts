// JSON as Vault's answers need it. Numbers that someone else stored are kept to the digit (JSON.rawJSON), because a
// kept key is written back as it was; and a parse error never quotes the text, which may be somebody's secret.

declare global {
  interface JSON {
    /** TC39 "JSON.parse source text access", in Node since 22; not yet in TypeScript's own library. */
    rawJSON(text: string): { readonly rawJSON: string };
    isRawJSON(value: unknown): boolean;
  }
}

/** A JSON object, nothing about whose members is known. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * The value of a JSON text. A number whose digits a double would change is a `JSON.rawJSON` object, which
 * `JSON.stringify` prints as it came; every other number is a number.
 * @returns undefined when the text is no JSON
 */
export function parseExactJson(text: string): unknown {
  try {
    return JSON.parse(text, keepDigits);
  } catch {
    // The error quotes the text around the fault, so nothing of it is passed on: the caller knows what was asked.
    return undefined;
  }
}

/** True for what is a JSON object: no array, not null, no exact number. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !JSON.isRawJSON(value);
}

/** The member of a JSON object when it is a JSON object itself. */
export function objectAt(value: unknown, key: string): JsonObject | undefined {
  const member = isJsonObject(value) ? value[key] : undefined;
  return isJsonObject(member) ? member : undefined;
}

/** The strings of an array member of a JSON object; empty when there is none. */
export function stringsAt(value: unknown, key: string): readonly string[] {
  const member = isJsonObject(value) ? value[key] : undefined;
  return Array.isArray(member) ? member.filter((one) => typeof one === "string") : [];
}

/** Every string that stands anywhere in a JSON value. */
export function stringsIn(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(stringsIn);
}

function keepDigits(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  if (typeof value !== "number" || source === undefined || String(value) === source) return value;
  return JSON.rawJSON(source);
}
