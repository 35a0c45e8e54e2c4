// What became of edits, as the versions that KV v2 keeps of each secret tell: every edit wrote the next number.
import type { VaultClient } from "../env/vault-client.ts";

/** One edit that the API server accepted. */
export interface Edit {
  readonly number: number;
  /** ms since the epoch. */
  readonly acceptedAt: number;
}

/** What became of the edits, as KV v2's versions tell. */
export interface Account {
  /** Accepted edits of which neither the value nor a later one of the same object is in Vault. */
  readonly lost: number;
  /** Versions with an older value than the version before. */
  readonly inversions: number;
  /** From acceptance to Vault, of the edits accepted within the given time; undefined: there were none. */
  readonly worstMs: number | undefined;
}

/** What KV v2 held at one time. */
interface Version {
  readonly number: number;
  /** ms since the epoch, by Vault's clock, which is ours. */
  readonly at: number;
}

/** Holds the edits of one object against what Vault held. @param during which edits count for `worstMs` */
export function accountOf(
  edits: readonly Edit[],
  versions: readonly Version[],
  during: { readonly from: number; readonly to: number },
): Account {
  const numbers = versions.map(({ number }) => number);
  const delays = edits
    .filter(({ acceptedAt }) => acceptedAt >= during.from && acceptedAt <= during.to)
    .map(({ number, acceptedAt }) => {
      const arrived = versions.find((version) => version.number >= number)?.at;
      return arrived === undefined ? Number.POSITIVE_INFINITY : Math.max(0, arrived - acceptedAt);
    });
  const reached = Math.max(...numbers);
  return {
    lost: edits.filter(({ number }) => number > reached).length,
    inversions: numbers.filter((number, index) => index > 0 && number < (numbers[index - 1] ?? 0)).length,
    worstMs: delays.length === 0 ? undefined : Math.max(...delays),
  };
}

/** What a path of KV v2 held, oldest first, but for what others wrote (negative numbers). */
export async function versionsOf(vault: VaultClient, mount: string, path: string): Promise<Version[]> {
  const { versions } = await vault.read(`${mount}/metadata/${path}`);
  const found = await inTurns(Object.keys(versions).map(Number), async (version) => {
    const { data, metadata } = await vault.read(`${mount}/data/${path}?version=${version}`);
    return { number: Number(data.counter), at: Date.parse(metadata.created_time) };
  });
  return found.filter(({ number }) => number >= 0);
}

/** Works on a few at a time. @returns the results in the order of the items */
export async function inTurns<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += 16) {
    results.push(...(await Promise.all(items.slice(at, at + 16).map(work))));
  }
  return results;
}
