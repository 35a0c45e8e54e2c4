// Which AWS keys may decrypt a value: what the object names, what the operator allows and what the policy allows. Pure.
// A value's key is known for sure only from KMS's answer, so that is where it is checked.
import { OperatorError } from "../base/errors.ts";
import type { DecryptCall } from "./cipher.ts";

/** Region as it may stand in an ARN that somebody else wrote: it becomes part of a host name. */
const region = /^[a-z]{2,4}(-[a-z]{2,12}){1,3}-\d{1,2}$/;
const arnForm = /^arn:aws(?:-[a-z]+)*:kms:([^:]*):\d{12}:(key\/[A-Za-z0-9-]+|alias\/[A-Za-z0-9/_-]+)$/;
const idForm = /^(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;
const aliasForm = /^alias\/[A-Za-z0-9/_-]{1,250}$/;

/** A key as AWS names it: ARN of a key or alias, key id, alias name. */
interface KeyName {
  readonly isAlias: boolean;
  /** Of an ARN. */
  readonly region?: string;
}

/** What is to be asked of KMS for one value, and what its answer is to be held against. */
export interface KeyChoice {
  /** Goes to KMS as `KeyId`. Absent: KMS finds it in the ciphertext. */
  readonly keyId?: string;
  /** Where the key is; absent: in the operator's own region. */
  readonly region?: string;
  /** The key of the answer must be on each of these. Empty: KMS itself sees to it. */
  readonly lists: readonly (readonly string[])[];
}

/** Whether `text` is the ARN of a key or alias, in a region that can be one; a key id; or the name of an alias. */
export function isAwsKey(text: string): boolean {
  return parse(text) !== undefined;
}

/**
 * @param text key id, key ARN, alias name or alias ARN
 * @returns the region of an ARN
 * @throws OperatorError `KeyNotAllowed` when it is none of these
 */
export function regionOfKey(text: string): string | undefined {
  const name = parse(text);
  if (name !== undefined) return name.region;
  throw notAllowed("the key that is named is no AWS KMS key; name a key ARN, a key id, alias/<name> or an alias ARN");
}

/** As whom and where the operator asks by itself. */
export interface Own {
  readonly roleArn?: string;
  /** Absent: none is configured. */
  readonly region?: string;
}

/**
 * @param operatorKeys `--kms-allowed-keys`; absent: any
 * @throws OperatorError `KeyNotAllowed` when it is clear already that no key will do
 */
export function chooseKey(
  operatorKeys: readonly string[] | undefined,
  call: Pick<DecryptCall, "keyId" | "allowedKeys" | "roleArn">,
  own: Own,
): KeyChoice {
  const { lists, asked } = keysAskedFor(operatorKeys, call);
  const keyRegion = asked === undefined ? undefined : regionOfKey(asked);
  const isElsewhere =
    (call.roleArn !== undefined && call.roleArn !== own.roleArn) ||
    (keyRegion !== undefined && keyRegion !== own.region);
  // Elsewhere somebody else may have given an alias the name that the list means here.
  const counting = isElsewhere ? lists.map((list) => list.filter(isArn)) : lists;
  if (counting.some((list) => list.length === 0)) throw nothingListed(isElsewhere);
  return {
    ...(asked !== undefined && { keyId: asked }),
    ...(keyRegion !== undefined && { region: keyRegion }),
    lists: counting.filter((list) => asked === undefined || !list.includes(asked)),
  };
}

/**
 * What the lists and the object say of the key before KMS has answered.
 * @returns the lists that do not allow any key, without what is no key of AWS KMS; and the key to ask for by its name,
 * where one is named: by the object, or by a list that has no other
 */
export function keysAskedFor(
  operatorKeys: readonly string[] | undefined,
  { keyId, allowedKeys }: Pick<DecryptCall, "keyId" | "allowedKeys">,
): { readonly lists: readonly (readonly string[])[]; readonly asked: string | undefined } {
  const lists = [operatorKeys, allowedKeys]
    .filter((list) => list !== undefined && !list.includes("*"))
    .map((list = []) => list.filter(isAwsKey));
  // Asked for by its name, an alias needs no permission but its own (the condition kms:RequestAlias).
  return { lists, asked: keyId ?? lists.find((list) => list.length === 1)?.[0] };
}

/** Whether the key with that ARN, out of KMS's answer, is on the list by its ARN or its id. */
export function isListed(list: readonly string[], keyArn: string): boolean {
  return list.includes(keyArn) || list.includes(keyArn.slice(keyArn.lastIndexOf("/") + 1));
}

/** The aliases of a list that can be asked about in that region. */
export function aliasesIn(list: readonly string[], inRegion: string): string[] {
  return list.filter((text) => {
    const name = parse(text);
    return name?.isAlias === true && (name.region ?? inRegion) === inRegion;
  });
}

/** The error for a key that may not be used. */
export function notAllowed(why: string): OperatorError {
  return new OperatorError("KeyNotAllowed", `${why}; nothing of the value was used`);
}

function nothingListed(isElsewhere: boolean): OperatorError {
  return notAllowed(
    isElsewhere
      ? "no key may be used as the role of the object, or in the region of its key: there only ARNs on --kms-allowed-keys, or in the policy, count; list the key's ARN"
      : "no AWS KMS key may be used; --kms-allowed-keys, or the policy, lists none",
  );
}

function isArn(text: string): boolean {
  return text.startsWith("arn:");
}

function parse(text: string): KeyName | undefined {
  if (idForm.test(text)) return { isAlias: false };
  if (aliasForm.test(text)) return { isAlias: true };
  const [, keyRegion = "", resource = ""] = arnForm.exec(text) ?? [];
  return region.test(keyRegion) ? { isAlias: resource.startsWith("alias/"), region: keyRegion } : undefined;
}
