// How a value is bound to its place (`spec.bindContext`): its encryption context also names the place, so that a
// ciphertext copied to another one does not decrypt there. Nobody may name a place by hand.
import { group, type KMSVaultSecretSpec } from "./kinds.ts";

/** What `spec.bindContext` says. */
export type BindContext = NonNullable<KMSVaultSecretSpec["bindContext"]>;

/** What begins like this in an encryption context is ours to set. */
export const reservedPrefix = `${group}/`;

/** Where a value stands. */
export interface BoundPlace {
  readonly namespace: string;
  /** Of the KMSVaultSecret, also for entries that it includes. */
  readonly name: string;
  readonly key: string;
}

/** The pairs that the encryption context of a value holds besides the user's own. */
export function bindingOf(bindContext: BindContext, place: BoundPlace): Readonly<Record<string, string>> {
  const { namespace, name, key } = place;
  switch (bindContext) {
    case "None":
      return {};
    case "Namespace":
      return { [`${reservedPrefix}namespace`]: namespace };
    case "Object":
      return { ...bindingOf("Namespace", place), [`${reservedPrefix}name`]: name };
    case "Key":
      return { ...bindingOf("Object", place), [`${reservedPrefix}key`]: key };
  }
}

/** The first key of an encryption context that only `spec.bindContext` may set. */
export function reservedKeyOf(encryptionContext: Readonly<Record<string, string>>): string | undefined {
  return Object.keys(encryptionContext).find((key) => key.startsWith(reservedPrefix));
}
