// What the name of a key tells of whether it can be one of those that are allowed. Two names of AWS may mean one key (an
// alias, an id, an ARN), which only KMS knows: then the Decryptor decides, which hears from KMS which key it was.

/**
 * Whether a key is certainly none of the allowed ones.
 * @param keyId `spec.kmsKeyId`
 */
export function isRuledOut(keyId: string, allowed: readonly string[]): boolean {
  if (allowed.includes(keyId)) return false;
  if (!isOfAws(keyId)) return true;
  const ofAws = allowed.filter(isOfAws);
  return isKeyArn(keyId) ? ofAws.every(isKeyArn) : ofAws.length === 0;
}

/** Whether two different ones are two different keys. */
function isKeyArn(name: string): boolean {
  return /^arn:[^:]*:kms:[^:]*:[^:]*:key\//.test(name);
}

/** Not a recipient of age, nor `mount/key` of Vault's transit engine. */
function isOfAws(name: string): boolean {
  return name.startsWith("arn:") || name.startsWith("alias/") || !/^age1|\//.test(name);
}
