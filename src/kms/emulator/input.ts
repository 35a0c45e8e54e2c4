// Reads the members of a request as AWS does: a wrong JSON type is a SerializationException, a missing, empty or
// too long one a ValidationException with AWS's wording.
import type { EncryptionContext } from "../cipher.ts";
import { AwsError } from "./aws-error.ts";

/** The JSON object of a request. */
export type Input = Readonly<Record<string, unknown>>;

/** @throws AwsError `SerializationException` when the body is no JSON object */
export function parseInput(body: string): Input {
  let value: unknown;
  try {
    value = body === "" ? {} : JSON.parse(body);
  } catch {
    throw new AwsError("SerializationException");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new AwsError("SerializationException", "Start of structure or map found where not expected");
  }
  return value as Input;
}

/** An optional string. */
export function stringOf(input: Input, member: string): string | undefined {
  const value = input[member] ?? undefined;
  if (value === undefined || typeof value === "string") return value;
  throw new AwsError("SerializationException", `${typeName(value)} can not be converted to a String`);
}

/** A string that must be there. */
export function requiredString(input: Input, member: string): string {
  const value = stringOf(input, member);
  if (value === undefined) throw constraint("null", member, "Member must not be null");
  if (value === "") throw constraint("''", member, "Member must have length greater than or equal to 1");
  return value;
}

/** An optional integer between two bounds, both included. */
export function integerOf(input: Input, member: string, least: number, most: number): number | undefined {
  const value = input[member] ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value)) {
    throw new AwsError("SerializationException", `${typeName(value)} can not be converted to an Integer`);
  }
  if (value < least) {
    throw constraint(`'${value}'`, member, `Member must have value greater than or equal to ${least}`);
  }
  if (value > most) throw constraint(`'${value}'`, member, `Member must have value less than or equal to ${most}`);
  return value;
}

/** Base64 that must be there, of 1 to `most` bytes. The bytes are never repeated in an error. */
export function requiredBlob(input: Input, member: string, most: number): Buffer {
  const text = stringOf(input, member);
  if (text === undefined) throw constraint("null", member, "Member must not be null");
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new AwsError("SerializationException");
  const bytes = Buffer.from(text, "base64");
  if (bytes.length === 0) {
    throw constraint("(binary)", member, "Member must have length greater than or equal to 1");
  }
  if (bytes.length > most) {
    throw constraint("(binary)", member, `Member must have length less than or equal to ${most}`);
  }
  return bytes;
}

/** An optional map of strings; absent is the empty one. */
export function contextOf(input: Input, member: string): EncryptionContext {
  const value = input[member] ?? {};
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new AwsError("SerializationException", `${typeName(value)} can not be converted to a Map`);
  }
  for (const [name, item] of Object.entries(value)) {
    if (typeof item !== "string") {
      throw new AwsError("SerializationException", `${typeName(item)} can not be converted to a String`);
    }
    if (!name.isWellFormed() || !item.isWellFormed()) throw new AwsError("SerializationException");
  }
  return value as EncryptionContext;
}

/** The only algorithm of symmetric keys; another one is not for these keys. */
export function checkAlgorithm(input: Input, member: string): void {
  const value = stringOf(input, member) ?? symmetric;
  if (value !== symmetric) {
    throw new AwsError("InvalidKeyUsageException", `Algorithm ${value} is not compatible with key spec ${symmetric}.`);
  }
}

/** AWS's name for the algorithm and the key spec alike. */
export const symmetric = "SYMMETRIC_DEFAULT";

/** A ValidationException in AWS's wording. */
export function constraint(value: string, member: string, rule: string): AwsError {
  const name = member.charAt(0).toLowerCase() + member.slice(1);
  return new AwsError(
    "ValidationException",
    `1 validation error detected: Value ${value} at '${name}' failed to satisfy constraint: ${rule}`,
  );
}

function typeName(value: unknown): string {
  if (Array.isArray(value)) return "START_ARRAY";
  if (typeof value === "object") return "START_OBJECT";
  return `${(typeof value).toUpperCase()}_VALUE`;
}
