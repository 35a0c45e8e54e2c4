// The text forms of configuration values. Flags and variables were written for a Go program, so booleans, integers and
// durations are read exactly as Go's strconv and time packages, and Vault's own client, read them.
// Every reader is pure and gives undefined for what it cannot read.
import { parseDuration } from "./base/duration.ts";

/** Reads a value; undefined for what cannot be read. */
export type Parse<T> = (text: string) => T | undefined;

/** Go's `strconv.ParseBool`. */
export function parseBoolean(text: string): boolean | undefined {
  if (["1", "t", "T", "TRUE", "true", "True"].includes(text)) return true;
  if (["0", "f", "F", "FALSE", "false", "False"].includes(text)) return false;
  return undefined;
}

/** Go's integer literals by base; one underscore may stand between digits, and after the prefix. */
const integerForms: readonly (readonly [base: number, digits: RegExp])[] = [
  [10, /^(0|[1-9][0-9]*(?:_[0-9]+)*)$/],
  [16, /^0[xX](_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)$/],
  [8, /^0[oO]?(_?[0-7]+(?:_[0-7]+)*)$/],
  [2, /^0[bB](_?[01]+(?:_[01]+)*)$/],
];

/** Go's `strconv.ParseInt(text, 0, 64)`, as far as a double holds it exactly. */
export function parseInteger(text: string): number | undefined {
  const unsigned = text.replace(/^[+-]/, "");
  for (const [base, form] of integerForms) {
    const digits = form.exec(unsigned)?.[1];
    if (digits === undefined) continue;
    const value = Number.parseInt(digits.replaceAll("_", ""), base);
    if (!Number.isSafeInteger(value)) return undefined;
    return text.startsWith("-") && value !== 0 ? -value : value;
  }
  return undefined;
}

/** A reader of integers from `least` to `most`. */
export function integer(least: number, most: number): Parse<number> {
  return (text) => {
    const value = parseInteger(text);
    return value === undefined || value < least || value > most ? undefined : value;
  };
}

/** Vault's `ParseDurationSecond`: whole seconds, or a duration. In milliseconds. */
export function parseSeconds(text: string): number | undefined {
  return /^\d+$/.test(text) ? Number(text) * 1_000 : parseDuration(text);
}

/** A time-out in milliseconds: more than 0 and short enough for a timer. */
export function parseTimeout(text: string): number | undefined {
  const ms = parseSeconds(text);
  return ms === undefined || ms < 1 || ms > 2 ** 31 - 1 ? undefined : Math.round(ms);
}

/** A request rate and how many requests may go at once. */
export interface RateLimit {
  readonly perSecond: number;
  readonly burst: number;
}

/** Vault's `rate[:burst]`; without a burst it is the rate, rounded down, but at least 1. */
export function parseRateLimit(text: string): RateLimit | undefined {
  const [, rate, burst] = /^(\d+(?:\.\d+)?)(?::(\d+))?$/.exec(text) ?? [];
  if (rate === undefined) return undefined;
  const perSecond = Number(rate);
  const limit = { perSecond, burst: burst === undefined ? Math.max(1, Math.floor(perSecond)) : Number(burst) };
  return limit.perSecond > 0 && limit.burst > 0 ? limit : undefined;
}

/** Where a server listens. */
export interface ListenAddress {
  /** Absent: every interface. IPv6 without brackets. */
  readonly host?: string;
  /** 0: any free port. */
  readonly port: number;
}

/** Go's `:8080`, `127.0.0.1:8080`, `[::1]:8080`. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const [, host = "", port] = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]*):(\d{1,5})$/.exec(text) ?? [];
  if (port === undefined || Number(port) > 65_535) return undefined;
  return { ...(host !== "" && { host: host.replace(/^\[(.*)\]$/, "$1") }), port: Number(port) };
}

/** Names of Kubernetes namespaces between commas. Blanks alone are all namespaces (an empty list), commas alone are not. */
export function parseNamespaces(text: string): readonly string[] | undefined {
  if (text.trim() === "") return [];
  const names = text.split(",").map((name) => name.trim());
  return names.every(isNamespaceName) ? [...new Set(names)] : undefined;
}

/** RFC 1123 label, as namespaces are named. */
export function isNamespaceName(text: string): boolean {
  return text.length <= 63 && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(text);
}

/** `http` or `https` URL without credentials, query or fragment; without a trailing slash. */
export function parseServerUrl(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.hostname === "") return undefined;
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") return undefined;
  return url.href.replace(/\/+$/, "");
}

/** Without slashes at its ends, as Vault's paths and namespaces are named. */
export function withoutOuterSlashes(text: string): string {
  return text.replaceAll(/^\/+|\/+$/g, "");
}

/** Where Vault is: a server's URL, or `unix://` and the absolute path of a socket, as Vault's own clients take it. */
export function parseVaultAddress(text: string): string | undefined {
  return /^unix:\/\/\/[^\0]+$/.test(text) ? text : parseServerUrl(text);
}

/** Servers' URLs between commas, reduced to scheme, host and port. */
export function parseOrigins(text: string): readonly string[] | undefined {
  const urls = text.split(",").map((one) => parseServerUrl(one.trim()));
  return urls.every((url) => url !== undefined) ? [...new Set(urls.map((url) => new URL(url).origin))] : undefined;
}

/** An address, or "off" for `0` and nothing. */
export function listenAddress(text: string): ListenAddress | "off" | undefined {
  return text === "0" || text === "" ? "off" : parseListenAddress(text);
}

/** One of a list of texts. */
export function oneOf<T extends string>(values: readonly T[]): Parse<T> {
  return (text) => values.find((value) => value === text);
}
