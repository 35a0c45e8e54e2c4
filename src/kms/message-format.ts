// The form of a message of the AWS Encryption SDK, version 2, as far as it must be known before anything is decrypted:
// whether a value is one at all, for which encryption context and data keys it was made, how long its plaintext is, and
// that nothing stands behind its end. Nothing here is authenticated yet; the SDK does that (encryption-sdk.ts).
// Source: "AWS Encryption SDK message format reference" of AWS's developer guide.
import { OperatorError } from "../base/errors.ts";
import { ByteReader } from "./byte-reader.ts";
import type { EncryptionContext } from "./cipher.ts";

/** A data key, encrypted for one wrapping key. */
export interface EncryptedDataKey {
  /** `aws-kms` for a key of AWS KMS. */
  readonly provider: string;
  /** Of AWS KMS: the ARN of the key. */
  readonly keyName: string;
  readonly ciphertext: Uint8Array;
}

/** What a message says of itself. */
export interface MessageForm {
  /** As it is bound to the data key: with the SDK's own `aws-crypto-…` pairs. */
  readonly encryptionContext: EncryptionContext;
  readonly dataKeys: readonly EncryptedDataKey[];
  /** Bytes. */
  readonly plaintextLength: number;
}

/** Suites with key commitment; the value: whether the message is signed. */
const committing: ReadonlyMap<number, boolean> = new Map([
  [0x0478, false],
  [0x0578, true],
]);
/** The older ones, without it. */
const notCommitting: ReadonlySet<number> = new Set([
  0x0014, 0x0046, 0x0078, 0x0114, 0x0146, 0x0178, 0x0214, 0x0346, 0x0378,
]);

const version1 = 1;
const version2 = 2;
/** Of version 1, in its second byte; ciphertext blobs of KMS begin with the same first byte but have another here. */
const version1Type = 0x80;

const messageIdBytes = 32;
const suiteDataBytes = 32;
const ivBytes = 12;
const tagBytes = 16;
const finalFrameMark = 0xffff_ffff;

/**
 * Reads the form of a message.
 * @returns undefined when the bytes are no message of the Encryption SDK
 * @throws OperatorError `DecryptingError` for a message without key commitment, and for one that is damaged
 */
export function readMessage(bytes: Uint8Array): MessageForm | undefined {
  const reader = new ByteReader(bytes);
  if (bytes.length < 4) return undefined;
  const version = reader.uint(1);
  if (version === version1 && reader.uint(1) === version1Type && notCommitting.has(reader.uint(2))) {
    throw withoutCommitment();
  }
  if (version !== version2) return undefined;
  const suite = reader.uint(2);
  if (notCommitting.has(suite)) throw withoutCommitment();
  const isSigned = committing.get(suite);
  if (isSigned === undefined) return undefined;
  try {
    return readForm(reader, isSigned);
  } catch (error) {
    if (error instanceof RangeError) throw damagedMessage(error);
    throw error;
  }
}

/** The error for a message that is not as its maker left it. */
export function damagedMessage(cause: unknown): OperatorError {
  return new OperatorError(
    "DecryptingError",
    "the value is a damaged message of the AWS Encryption SDK: it is cut off or has been changed; encrypt the value again",
    { cause },
  );
}

function readForm(reader: ByteReader, isSigned: boolean): MessageForm {
  reader.skip(messageIdBytes);
  const encryptionContext = readContext(new ByteReader(reader.bytes(reader.uint(2))));
  const dataKeys = Array.from({ length: reader.uint(2) }, () => readDataKey(reader));
  const isFramed = readContentType(reader);
  const frameBytes = reader.uint(4);
  reader.skip(suiteDataBytes + tagBytes);
  const plaintextLength = isFramed ? skipFrames(reader, frameBytes) : skipSingleBlock(reader);
  if (isSigned) reader.skip(reader.uint(2));
  reader.expectEnd();
  return { encryptionContext, dataKeys, plaintextLength };
}

function readContext(reader: ByteReader): EncryptionContext {
  if (reader.isAtEnd) return {};
  const pairs = Array.from({ length: reader.uint(2) }, () => [readText(reader), readText(reader)] as const);
  reader.expectEnd();
  const context = Object.fromEntries(pairs);
  if (Object.keys(context).length !== pairs.length) throw new RangeError("a name stands there twice");
  return context;
}

function readDataKey(reader: ByteReader): EncryptedDataKey {
  const [provider, keyName, ciphertext] = [readText(reader), readText(reader), reader.bytes(reader.uint(2))];
  return { provider, keyName, ciphertext };
}

function readText(reader: ByteReader): string {
  return reader.text(reader.uint(2));
}

function readContentType(reader: ByteReader): boolean {
  const type = reader.uint(1);
  if (type !== 1 && type !== 2) throw new RangeError("no content type of the format");
  return type === 2;
}

/** @returns bytes of the plaintext */
function skipFrames(reader: ByteReader, frameBytes: number): number {
  let length = 0;
  for (;;) {
    const isFinal = reader.uint(4) === finalFrameMark;
    if (isFinal) reader.skip(4);
    reader.skip(ivBytes);
    const content = isFinal ? reader.uint(4) : frameBytes;
    reader.skip(content + tagBytes);
    length += content;
    if (isFinal) return length;
  }
}

/** @returns bytes of the plaintext */
function skipSingleBlock(reader: ByteReader): number {
  reader.skip(ivBytes);
  const [high, low] = [reader.uint(4), reader.uint(4)];
  if (high !== 0) throw new RangeError("longer than any value");
  reader.skip(low + tagBytes);
  return low;
}

function withoutCommitment(): OperatorError {
  return new OperatorError(
    "DecryptingError",
    "the value is a message of the AWS Encryption SDK without key commitment (message version 1, or an older algorithm suite), which could be made to decrypt to different values; encrypt it again with key commitment: the default of the Encryption SDK since its version 2, REQUIRE_ENCRYPT_REQUIRE_DECRYPT",
  );
}
