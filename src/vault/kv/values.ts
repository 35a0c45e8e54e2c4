// The one place where values come out of Vault's answers and go into its requests.
import { type PlainMap, PlainValue } from "../../base/plaintext.ts";
import type { JsonObject } from "../json.ts";

/** The keys and values of a secret, as read from Vault. */
export function plainMapOf(data: JsonObject): PlainMap {
  return new Map(Object.entries(data).map(([key, value]) => [key, new PlainValue(value)]));
}

/** The keys and values of a secret, as JSON to write to Vault. */
export function jsonOf(data: PlainMap): JsonObject {
  return Object.fromEntries([...data].map(([key, value]) => [key, value.open()]));
}
