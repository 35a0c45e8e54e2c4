// Which of a message's data keys KMS is asked to decrypt, and in which order. Only the best is asked for as a rule: of what
// can be known before KMS has answered (the key that is named, where KMS is asked, which keys may be used) all is used here.
import type { DecryptCall } from "./cipher.ts";
import { isListed, keysAskedFor } from "./aws-keys.ts";
import type { EncryptedDataKey } from "./message-format.ts";

/** What the operator was started with. */
export interface OwnKeys {
  /** Where keys are whose ARN nobody names. Absent: not known here. */
  readonly region?: string | undefined;
  /** `--kms-allowed-keys`; absent: any. */
  readonly allowedKeys?: readonly string[] | undefined;
}

/** A message may have any number of data keys, and whoever writes an object may have KMS asked for so many of them. */
const most = 4;

/** A key's id, alone or as it ends an ARN. */
const idForm = /^(?:arn:[^/]*:key\/)?([A-Za-z0-9-]+)$/;

/**
 * The data keys of AWS KMS that may be the right one, the likeliest first.
 * @returns four at most; none when none is of AWS KMS
 */
export function dataKeysToTry(
  dataKeys: readonly EncryptedDataKey[],
  call: Pick<DecryptCall, "keyId" | "allowedKeys">,
  own: OwnKeys,
): EncryptedDataKey[] {
  const { lists, asked: named = "" } = keysAskedFor(own.allowedKeys, call);
  const id = idOf(named);
  const region = regionOf(named) ?? own.region;
  const isThere = ({ keyName }: EncryptedDataKey) => region !== undefined && regionOf(keyName) === region;
  const ofKms = dataKeys.filter(({ provider }) => provider === "aws-kms");
  const ofKey = ofKms.filter(({ keyName }) => id !== undefined && idOf(keyName) === id);
  const reachable = ofKms.filter((dataKey) => isThere(dataKey) || isMultiRegion(dataKey));
  const [candidates = []] = [ofKey, reachable, ofKms].filter(({ length }) => length > 0);
  const orders = [
    ({ keyName }: EncryptedDataKey) => keyName === named,
    ({ keyName }: EncryptedDataKey) => lists.every((list) => isListed(list, keyName)),
    isThere,
  ];
  return orders.reduceRight((sorted, isFirst) => withFirst(sorted, isFirst), candidates).slice(0, most);
}

function withFirst<T>(items: readonly T[], isFirst: (item: T) => boolean): T[] {
  return [...items.filter((item) => isFirst(item)), ...items.filter((item) => !isFirst(item))];
}

function idOf(key: string): string | undefined {
  return idForm.exec(key)?.[1];
}

/** Its replicas in other regions decrypt what one of them has encrypted. */
function isMultiRegion({ keyName }: EncryptedDataKey): boolean {
  return idOf(keyName)?.startsWith("mrk-") === true;
}

/** Of an ARN of KMS; undefined when it is none. */
function regionOf(arn: string): string | undefined {
  return /^arn:[^:]+:kms:([^:]+):/.exec(arn)?.[1];
}
