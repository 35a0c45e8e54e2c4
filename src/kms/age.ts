// age (age-encryption.org) as key service, for laptops and clusters without a cloud: values are encrypted for the public
// key of an X25519 identity, and decrypted with the identities in a file. An age file has no place for an encryption
// context, so a value that is to be bound to one is refused: nothing would check it.
import { type ErrorCode, OperatorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { Plaintext } from "../base/plaintext.ts";
import { type AgeIdentity, AgeKeyFile } from "./age-key-file.ts";
import { decodeBase64 } from "./base64.ts";
import type { DecryptCall, DecryptRequest } from "./cipher.ts";
import { isListed, type KeyService } from "./providers.ts";

export interface AgeOptions {
  /** Absent: no value of age can be decrypted. */
  readonly keyFile?: string | undefined;
  /** `--kms-allowed-keys`: recipients (`age1…`), or `*`. Absent: any of the file's. */
  readonly allowedKeys?: readonly string[] | undefined;
  readonly logger: Logger;
}

const armourBegin = "-----BEGIN AGE ENCRYPTED FILE-----";
const armourEnd = "-----END AGE ENCRYPTED FILE-----";
/** The first bytes of a file. They are 21, so that the first 28 characters of its base64 are theirs alone. */
const magic = "age-encryption.org/v1";
const magicBase64 = Buffer.from(magic).toString("base64");
/** Room for more than a hundred recipients. Each costs a computation for each of our keys, so there is an end to it. */
const maxHeaderBytes = 16 * 1024;

const recipientPrefix = "age1";

/** Whether a recipient (`age1…`) may be used. */
type Allowance = (recipient: string) => boolean;

/** Whether a value is in the form of age: armoured, or base64 of a file. */
export function isAge(encryptedSecret: string): boolean {
  return encryptedSecret.startsWith(armourBegin) || encryptedSecret.startsWith(magicBase64);
}

/** The key service age. */
export function ageService({ keyFile, allowedKeys, logger }: AgeOptions): KeyService {
  const keys = keyFile === undefined ? undefined : new AgeKeyFile(keyFile, logger);
  return {
    provider: "Age",
    owns: isAge,
    async decrypt(request, call) {
      const file = fileOf(request);
      const isAllowed = allowanceOf(call, allowedKeys);
      if (keys === undefined) throw failure("KMSAccessDenied", "there is no age key file; name it with --age-key-file");
      const identities = await keys.identities();
      const { keyId } = call;
      if (keyId !== undefined && !identities.some(({ recipient }) => recipient === keyId)) {
        throw failure("KMSAccessDenied", `the file that --age-key-file names has no key for ${keyId}; add it there`);
      }
      const { yes = [], no = [] } = Object.groupBy(identities, ({ recipient }) =>
        isAllowed(recipient) ? "yes" : "no",
      );
      const plaintext = await open(file, yes);
      if (plaintext !== undefined) return plaintext;
      throw await whyNotOpened(file, no, keyId);
    },
  };
}

/**
 * The binary file of a value.
 * @throws OperatorError `DecodingError`; `DecryptingError` when age could not keep what the object asks for
 */
function fileOf({ encryptedSecret, encryptionContext }: DecryptRequest): Uint8Array {
  const file = decodeBase64(withoutArmour(encryptedSecret));
  if (!Buffer.from(file.subarray(0, magic.length + 1)).equals(Buffer.from(`${magic}\n`))) {
    throw failure(
      "DecodingError",
      "the value is no age file of version 1; put its base64, or the armoured text, there",
    );
  }
  if (Object.keys(encryptionContext).length > 0) {
    throw failure(
      "DecryptingError",
      "the entry has an encryption context (secretContext or bindContext), and age has no place for one: nothing would check it; take secretContext away and set bindContext: None, or encrypt the value with AWS or VaultTransit",
    );
  }
  const start = Buffer.from(file.subarray(0, maxHeaderBytes)).toString("latin1");
  const [header = ""] = start.split("\n---", 1);
  if (header.length >= maxHeaderBytes) {
    throw failure(
      "DecryptingError",
      "the value is damaged, or encrypted for too many recipients (over 100); encrypt it for fewer",
    );
  }
  if (/^-> scrypt /m.test(header)) {
    throw failure("DecryptingError", "the value was encrypted with a passphrase; encrypt it for an age1… recipient");
  }
  return file;
}

/** The line breaks of the armoured text are gone from an object's value. */
function withoutArmour(value: string): string {
  const text = value.trim();
  if (!text.startsWith(armourBegin)) return text;
  if (!text.endsWith(armourEnd)) {
    throw failure("DecodingError", `the armoured value does not end in ${armourEnd}; put the whole text there`);
  }
  return text.slice(armourBegin.length, -armourEnd.length).replaceAll(/[ \t]/g, "");
}

/**
 * Which recipients may be used for an object.
 * @throws OperatorError `KeyNotAllowed` when none may
 */
function allowanceOf({ keyId, allowedKeys }: DecryptCall, ours: readonly string[] | undefined): Allowance {
  if (keyId !== undefined && !keyId.startsWith(recipientPrefix)) {
    throw failure(
      "KeyNotAllowed",
      "the value is for age, but spec.kmsKeyId names no recipient of age (age1…); correct it, or leave it out",
    );
  }
  const isAllowed = (recipient: string) =>
    (keyId === undefined || recipient === keyId) && isListed(ours, recipient) && isListed(allowedKeys, recipient);
  const candidates = [ours, allowedKeys].every(
    (list) => list?.some((key) => key === "*" || key.startsWith(recipientPrefix)) ?? true,
  );
  if (!candidates || (keyId !== undefined && !isAllowed(keyId))) throw notAllowed();
  return isAllowed;
}

/** @returns undefined when none of the identities is one that it takes, or the file is damaged */
async function open(file: Uint8Array, identities: readonly AgeIdentity[]): Promise<Plaintext | undefined> {
  if (identities.length === 0) return undefined;
  const { Decrypter } = await import("age-encryption");
  const decrypter = new Decrypter();
  for (const { secret } of identities) decrypter.addIdentity(secret);
  try {
    return new Plaintext(await decrypter.decrypt(file));
  } catch {
    // The library has one class for everything; what it can mean is told by whyNotOpened.
    return undefined;
  }
}

/** Why a file did not open with what is allowed of the identities. */
async function whyNotOpened(file: Uint8Array, others: readonly AgeIdentity[], keyId?: string): Promise<OperatorError> {
  if ((await open(file, others)) !== undefined) return notAllowed();
  return new OperatorError(
    "DecryptingError",
    `the value is damaged, or encrypted for another recipient than ${keyId ?? "those whose keys are in the file that --age-key-file names"}; encrypt it again for one of them, or add its key to that file`,
    // Nobody edits the object because a key was added.
    { retry: "backoff" },
  );
}

function notAllowed(): OperatorError {
  return failure(
    "KeyNotAllowed",
    "the value is encrypted for an age key that may not be used for this object (spec.kmsKeyId, --kms-allowed-keys or the policy); encrypt it again for one that may, or have its recipient (age1…) added there",
  );
}

function failure(code: ErrorCode, text: string): OperatorError {
  return new OperatorError(code, text);
}
