// First stage: from a KMSVaultSecret and the Partials it includes to the flat list of entries that shall stand in
// Vault. Pure. The precedence of keys and of encryption contexts is the contract's (docs/reference/api.md).
import { bindingOf, reservedKeyOf } from "../api/binding.ts";
import type { Entry, KMSVaultSecret, PartialKMSVaultSecret } from "../api/kinds.ts";
import { OperatorError } from "../base/errors.ts";
import type { EncryptionContext } from "../kms/cipher.ts";

/** One key of the Vault secret to be, with everything that is needed to decrypt it. */
export interface ResolvedEntry {
  readonly key: string;
  /** Base64 as in the object, without line breaks. "" when the object holds none. */
  readonly encryptedSecret: string;
  /** The user's own, and what `bindContext` adds to it. */
  readonly encryptionContext: EncryptionContext;
  /** A key of the user's own encryption context that only `bindContext` may set. */
  readonly reservedKey?: string;
  readonly encoding: "utf8" | "base64";
  /** Write "" and ignore `encryptedSecret`. */
  readonly empty: boolean;
}

export interface Resolved {
  /** One per key, in list order: own entries first, then those of each include. */
  readonly entries: readonly ResolvedEntry[];
  /** Keys that stand in more than one place, with the place that won. */
  readonly duplicates: readonly { readonly key: string; readonly winner: string }[];
}

/**
 * @param partials the Partials of the object's namespace, asked by name
 * @throws OperatorError `PartialNotFound` with every missing include, `InvalidSpec` when there is no entry at all
 */
export function resolve(
  secret: KMSVaultSecret,
  partials: (name: string) => PartialKMSVaultSecret | undefined,
): Resolved {
  const { spec } = secret;
  const sources: (Source & { readonly place: string })[] = [
    { place: "spec.secrets", entries: spec.secrets ?? [], contexts: [spec.secretContext] },
    ...includedSources(secret, partials),
  ];
  const byKey = new Map<string, ResolvedEntry>();
  const winners = new Map<string, string>();
  for (const { place, ...source } of sources) {
    for (const entry of resolveSource(source, secret)) {
      if (byKey.has(entry.key)) winners.set(entry.key, place);
      byKey.set(entry.key, entry);
    }
  }
  if (byKey.size === 0) {
    throw new OperatorError(
      "InvalidSpec",
      "there is no entry: spec.secrets and the included Partials are empty, and an empty secret is never written; add an entry",
    );
  }
  return {
    entries: [...byKey.values()],
    duplicates: [...winners].map(([key, winner]) => ({ key, winner })),
  };
}

/** Entries that stand in one place. */
export interface Source {
  readonly entries: readonly Entry[];
  /** Where an entry without a context of its own finds one, nearest first. */
  readonly contexts: readonly (EncryptionContext | undefined)[];
}

/** The KMSVaultSecret that entries are for, as far as it binds them. */
export interface Binder {
  readonly metadata: { readonly namespace: string; readonly name: string };
  readonly spec: Pick<KMSVaultSecret["spec"], "bindContext">;
}

/** The entries of one place, as they are decrypted for `binder`; in list order. */
export function resolveSource({ entries, contexts }: Source, { metadata, spec }: Binder): ResolvedEntry[] {
  const { namespace, name } = metadata;
  return entries.map((entry) =>
    resolveEntry(entry, contexts, bindingOf(spec.bindContext ?? "None", { namespace, name, key: entry.key })),
  );
}

/** A Partial's entries as a KMSVaultSecret that includes it has them. */
export function includedSource(
  partial: Pick<KMSVaultSecret["spec"], "secrets" | "secretContext">,
  spec: Pick<KMSVaultSecret["spec"], "secretContext">,
): Source {
  return { entries: partial.secrets ?? [], contexts: [partial.secretContext, spec.secretContext] };
}

function includedSources(
  { spec, metadata }: KMSVaultSecret,
  partials: (name: string) => PartialKMSVaultSecret | undefined,
): (Source & { readonly place: string })[] {
  const missing: string[] = [];
  const sources: (Source & { readonly place: string })[] = [];
  for (const name of spec.includeSecrets ?? []) {
    const partial = partials(name);
    if (partial === undefined) {
      missing.push(name);
      continue;
    }
    sources.push({ place: `PartialKMSVaultSecret ${name}`, ...includedSource(partial.spec, spec) });
  }
  if (missing.length > 0) {
    throw new OperatorError(
      "PartialNotFound",
      `PartialKMSVaultSecret ${missing.join(", ")} not found in namespace ${metadata.namespace}, or not valid; nothing was written or removed; create it or take it out of spec.includeSecrets`,
    );
  }
  return sources;
}

function resolveEntry(entry: Entry, contexts: Source["contexts"], binding: EncryptionContext): ResolvedEntry {
  const encryptionContext = effectiveContext([entry.secretContext, ...contexts]);
  // Wherever it stands, also where it counts for nothing.
  const reservedKey = [entry.secretContext, ...contexts].flatMap((each) => reservedKeyOf(each ?? {}) ?? [])[0];
  return {
    key: entry.key,
    // Go's decoder, which existing objects were written for, skips line breaks.
    encryptedSecret: (entry.encryptedSecret ?? "").replaceAll(/[\r\n]/g, ""),
    encryptionContext: { ...encryptionContext, ...binding },
    ...(reservedKey !== undefined && { reservedKey }),
    encoding: entry.encoding ?? "utf8",
    empty: entry.emptySecret === true,
  };
}

/** The first context that is not empty: a nearer one replaces a farther one, they are never merged (contract). */
function effectiveContext(contexts: readonly (EncryptionContext | undefined)[]): EncryptionContext {
  return contexts.find((context) => context !== undefined && Object.keys(context).length > 0) ?? {};
}
