// What of a log line's fields is printed: an allow-list by shape. Texts, numbers, and lists and plain maps of them are
// printed one level deep; an object of any class is only named, because nobody knows what it drags along (a response
// with its body, a request with its token). Errors print what explains them and nothing else that hangs on them.
import { OperatorError } from "../base/errors.ts";
import { PlainValue, Plaintext } from "../base/plaintext.ts";

/** A text longer than this is cut. */
const maxText = 4_096;
/** Of a list. */
const maxItems = 100;
/** Of a chain of causes. */
const maxErrors = 8;

/** The fields of a log line, safe to print. */
export function printableFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return mapValues(fields, (value) => {
    if (value instanceof Error) return printableError(value);
    if (Array.isArray(value)) return printableList(value);
    return isPlainObject(value) ? mapValues(value, printableScalar) : printableScalar(value);
  });
}

/**
 * Name, code, status, reason and message of an error, and the same of its causes; the stack of one that is a bug. What
 * was foreseen says in its message what to do, and a stack would only bury that.
 */
function printableError(error: Error, remaining = maxErrors, foreseen = isForeseen(error)): Record<string, unknown> {
  const { name, message, stack, cause } = error;
  const furtherCause =
    cause instanceof Error && remaining > 1 ? printableError(cause, remaining - 1, foreseen) : undefined;
  return {
    name,
    ...scalarsOf(error, ["code", "status", "reason"]),
    message: cut(message),
    ...(stack !== undefined && !foreseen && { stack: cut(stack) }),
    ...(furtherCause !== undefined && { cause: furtherCause }),
  };
}

function isForeseen(error: Error): boolean {
  return error instanceof OperatorError && error.code !== "InternalError";
}

function scalarsOf(object: object, names: readonly string[]): Record<string, unknown> {
  const wanted = Object.entries(object).filter(([name, value]) => names.includes(name) && isScalar(value));
  return mapValues(Object.fromEntries(wanted), printableScalar);
}

function printableList(list: readonly unknown[]): unknown[] {
  const shown = list.slice(0, maxItems).map(printableScalar);
  return list.length > shown.length ? [...shown, `and ${list.length - shown.length} more`] : shown;
}

function printableScalar(value: unknown): unknown {
  if (typeof value === "string") return cut(value);
  if (isScalar(value) || value === null || value === undefined) return value;
  if (value instanceof Plaintext || value instanceof PlainValue) return value.toString();
  return `[${nameOf(value)}]`;
}

function isScalar(value: unknown): value is string | number | boolean {
  return ["string", "number", "boolean"].includes(typeof value);
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function nameOf(value: unknown): string {
  return typeof value === "object" && value !== null ? (value.constructor?.name ?? "Object") : typeof value;
}

function cut(text: string): string {
  return text.length <= maxText ? text : `${text.slice(0, maxText)}… (${text.length} characters)`;
}

function mapValues(
  object: Readonly<Record<string, unknown>>,
  map: (value: unknown) => unknown,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, map(value)]));
}
