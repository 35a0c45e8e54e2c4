// The KMS operations of the emulator, with AWS's answers and errors (AWS KMS API Reference). Symmetric keys only.
import { randomBytes } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import type { EncryptionContext } from "../cipher.ts";
import { AwsError } from "./aws-error.ts";
import { keyIdOf, open, seal } from "./ciphertext.ts";
import {
  checkAlgorithm,
  constraint,
  contextOf,
  type Input,
  integerOf,
  requiredBlob,
  requiredString,
  stringOf,
  symmetric,
} from "./input.ts";
import { accountId, type EmulatedKey, type KeyStore } from "./key-store.ts";

/** What an operation works on. */
interface OperationContext {
  readonly keys: KeyStore;
  readonly clock: Clock;
  /** Region of the request's signature. */
  readonly region: string;
}

/** @throws AwsError */
export type Operation = (input: Input, context: OperationContext) => object;

/** AWS's limit on what Encrypt takes, in bytes. */
const maxPlaintextBytes = 4096;
/** AWS's limit on what Decrypt and ReEncrypt take, in bytes. */
const maxCiphertextBytes = 6144;

const daySeconds = 86_400;

/** By the operation's name in the `X-Amz-Target` header. */
export const operations: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ["CreateAlias", createAlias],
  ["CreateKey", createKey],
  ["Decrypt", decrypt],
  ["DescribeKey", describeKey],
  ["DisableKey", disableKey],
  ["EnableKey", enableKey],
  ["Encrypt", encrypt],
  ["GenerateDataKey", generateDataKey],
  ["ListKeys", listKeys],
  ["ReEncrypt", reEncrypt],
  ["ScheduleKeyDeletion", scheduleKeyDeletion],
  ["UpdateAlias", updateAlias],
]);

function createKey(input: Input, { keys, clock, region }: OperationContext): object {
  const usage = stringOf(input, "KeyUsage") ?? "ENCRYPT_DECRYPT";
  const spec = stringOf(input, "KeySpec") ?? stringOf(input, "CustomerMasterKeySpec") ?? symmetric;
  if (usage !== "ENCRYPT_DECRYPT" || spec !== symmetric) {
    throw new AwsError("UnsupportedOperationException", "The emulator has symmetric encryption keys only");
  }
  const key = keys.create(region, stringOf(input, "Description") ?? "", clock.now() / 1000);
  return { KeyMetadata: metadataOf(key) };
}

function describeKey(input: Input, { keys, region }: OperationContext): object {
  return { KeyMetadata: metadataOf(keys.find(region, requiredString(input, "KeyId"))) };
}

function listKeys(input: Input, { keys, region }: OperationContext): object {
  const limit = integerOf(input, "Limit", 1, 1000) ?? 100;
  const marker = stringOf(input, "Marker");
  const all = keys.list(region);
  const start = marker === undefined ? 0 : all.findIndex(({ keyId }) => keyId === marker) + 1;
  if (marker !== undefined && start === 0) throw new AwsError("InvalidMarkerException", "Could not deserialize marker");
  const page = all.slice(start, start + limit);
  const truncated = start + limit < all.length;
  return {
    Keys: page.map(({ keyId, arn }) => ({ KeyId: keyId, KeyArn: arn })),
    Truncated: truncated,
    ...(truncated && { NextMarker: page.at(-1)?.keyId }),
  };
}

function createAlias(input: Input, { keys, region }: OperationContext): object {
  keys.addAlias(...aliasAndKey(input, keys, region));
  return {};
}

function updateAlias(input: Input, { keys, region }: OperationContext): object {
  keys.moveAlias(...aliasAndKey(input, keys, region));
  return {};
}

function aliasAndKey(input: Input, keys: KeyStore, region: string): [name: string, key: EmulatedKey] {
  const name = requiredString(input, "AliasName");
  const target = requiredString(input, "TargetKeyId");
  if (!name.startsWith("alias/") || name === "alias/") {
    throw new AwsError("ValidationException", "Invalid identifier: an alias name has to begin with alias/");
  }
  if (!/^alias\/[a-zA-Z0-9/_-]{1,250}$/.test(name)) {
    throw constraint(
      `'${name}'`,
      "AliasName",
      "Member must satisfy regular expression pattern: ^alias/[a-zA-Z0-9/_-]+$",
    );
  }
  if (name.startsWith("alias/aws/")) {
    throw new AwsError("InvalidAliasNameException", "Alias names that begin with alias/aws/ are reserved");
  }
  if (target.startsWith("alias/") || target.includes(":alias/")) {
    throw new AwsError("ValidationException", "Aliases must refer to keys. Not aliases");
  }
  const key = keys.findWithoutAlias(region, target);
  checkNotPendingDeletion(key);
  return [name, key];
}

function enableKey(input: Input, { keys, region }: OperationContext): object {
  const key = keys.findWithoutAlias(region, requiredString(input, "KeyId"));
  checkNotPendingDeletion(key);
  keys.setState(key, "Enabled");
  return {};
}

function disableKey(input: Input, { keys, region }: OperationContext): object {
  const key = keys.findWithoutAlias(region, requiredString(input, "KeyId"));
  checkNotPendingDeletion(key);
  keys.setState(key, "Disabled");
  return {};
}

function scheduleKeyDeletion(input: Input, { keys, clock, region }: OperationContext): object {
  const key = keys.findWithoutAlias(region, requiredString(input, "KeyId"));
  const days = integerOf(input, "PendingWindowInDays", 7, 30) ?? 30;
  checkNotPendingDeletion(key);
  const deletionAt = clock.now() / 1000 + days * daySeconds;
  keys.setState(key, "PendingDeletion", deletionAt);
  return { KeyId: key.arn, DeletionDate: deletionAt, KeyState: key.state, PendingWindowInDays: days };
}

function encrypt(input: Input, { keys, region }: OperationContext): object {
  checkAlgorithm(input, "EncryptionAlgorithm");
  const plaintext = requiredBlob(input, "Plaintext", maxPlaintextBytes);
  const context = contextOf(input, "EncryptionContext");
  const key = usable(keys.find(region, requiredString(input, "KeyId")));
  return {
    CiphertextBlob: seal(key, plaintext, context).toString("base64"),
    KeyId: key.arn,
    EncryptionAlgorithm: symmetric,
  };
}

function decrypt(input: Input, context: OperationContext): object {
  checkAlgorithm(input, "EncryptionAlgorithm");
  const blob = requiredBlob(input, "CiphertextBlob", maxCiphertextBytes);
  const { key, plaintext } = openBlob(blob, contextOf(input, "EncryptionContext"), stringOf(input, "KeyId"), context);
  return { KeyId: key.arn, Plaintext: plaintext.toString("base64"), EncryptionAlgorithm: symmetric };
}

function reEncrypt(input: Input, context: OperationContext): object {
  checkAlgorithm(input, "SourceEncryptionAlgorithm");
  checkAlgorithm(input, "DestinationEncryptionAlgorithm");
  const blob = requiredBlob(input, "CiphertextBlob", maxCiphertextBytes);
  const sourceContext = contextOf(input, "SourceEncryptionContext");
  const destinationContext = contextOf(input, "DestinationEncryptionContext");
  const destination = usable(context.keys.find(context.region, requiredString(input, "DestinationKeyId")));
  const { key, plaintext } = openBlob(blob, sourceContext, stringOf(input, "SourceKeyId"), context);
  return {
    CiphertextBlob: seal(destination, plaintext, destinationContext).toString("base64"),
    SourceKeyId: key.arn,
    KeyId: destination.arn,
    SourceEncryptionAlgorithm: symmetric,
    DestinationEncryptionAlgorithm: symmetric,
  };
}

function generateDataKey(input: Input, { keys, region }: OperationContext): object {
  const spec = stringOf(input, "KeySpec");
  const requested = integerOf(input, "NumberOfBytes", 1, 1024);
  const context = contextOf(input, "EncryptionContext");
  if ((spec === undefined) === (requested === undefined)) {
    throw new AwsError("ValidationException", "Please specify either number of bytes or key spec.");
  }
  const bytes = requested ?? { AES_256: 32, AES_128: 16 }[spec ?? ""];
  if (bytes === undefined) {
    throw constraint(`'${spec}'`, "KeySpec", "Member must satisfy enum value set: [AES_256, AES_128]");
  }
  const key = usable(keys.find(region, requiredString(input, "KeyId")));
  const dataKey = randomBytes(bytes);
  return {
    CiphertextBlob: seal(key, dataKey, context).toString("base64"),
    Plaintext: dataKey.toString("base64"),
    KeyId: key.arn,
  };
}

/** The plaintext of a blob with the key that made it; `keyId` is the caller's claim about that key. */
function openBlob(
  blob: Buffer,
  encryptionContext: EncryptionContext,
  keyId: string | undefined,
  { keys, region }: OperationContext,
): { readonly key: EmulatedKey; readonly plaintext: Buffer } {
  const claimed = keyId === undefined ? undefined : keys.find(region, keyId);
  const madeBy = keyIdOf(blob);
  if (madeBy === undefined) throw new AwsError("InvalidCiphertextException");
  const key = keys.byId(region, madeBy);
  if (claimed !== undefined && claimed !== key) {
    throw new AwsError(
      "IncorrectKeyException",
      "The key ID in the request does not identify a CMK that can perform this operation.",
    );
  }
  if (key === undefined) {
    throw new AwsError(
      "AccessDeniedException",
      "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.",
    );
  }
  const plaintext = open(usable(key).material, blob, encryptionContext);
  if (plaintext === undefined) throw new AwsError("InvalidCiphertextException");
  return { key, plaintext };
}

/** The key, when it may be used now. */
function usable(key: EmulatedKey): EmulatedKey {
  if (key.state === "Disabled") throw new AwsError("DisabledException", `${key.arn} is disabled.`);
  checkNotPendingDeletion(key);
  return key;
}

function checkNotPendingDeletion(key: EmulatedKey): void {
  if (key.state === "PendingDeletion") {
    throw new AwsError("KMSInvalidStateException", `${key.arn} is pending deletion.`);
  }
}

function metadataOf(key: EmulatedKey): object {
  return {
    AWSAccountId: accountId,
    KeyId: key.keyId,
    Arn: key.arn,
    CreationDate: key.createdAt,
    Enabled: key.state === "Enabled",
    Description: key.description,
    KeyUsage: "ENCRYPT_DECRYPT",
    KeyState: key.state,
    ...(key.deletionAt !== undefined && { DeletionDate: key.deletionAt }),
    Origin: "AWS_KMS",
    KeyManager: "CUSTOMER",
    CustomerMasterKeySpec: symmetric,
    KeySpec: symmetric,
    EncryptionAlgorithms: [symmetric],
    MultiRegion: false,
  };
}
