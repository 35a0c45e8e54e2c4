// Messages of the AWS Encryption SDK: those of its Python implementation (test/vectors) decrypt as they are, whatever was
// changed in one is refused, and so is one that was made for another place, before KMS is asked.
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { inspect } from "node:util";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { OperatorError } from "../../src/base/errors.ts";
import { awsService } from "../../src/kms/aws-values.ts";
import type { KeyService } from "../../src/kms/providers.ts";
import { type AwsKms, type AwsKmsOptions, createAwsKms } from "../../src/kms/aws.ts";
import type { DecryptCall, EncryptionContext } from "../../src/kms/cipher.ts";
import { readMessage } from "../../src/kms/message-format.ts";
import { type KmsEmulator, startKmsEmulator } from "../../src/kms/emulator/emulator.ts";
import { awsEnvironment, KmsTestClient } from "../env/kms-client.ts";
import { EnvelopeMaker } from "../env/envelopes.ts";

interface Vector {
  readonly name: string;
  /** Repeated up to `length` bytes it is the plaintext. */
  readonly pattern: string;
  readonly length: number;
  readonly encryptionContext: EncryptionContext;
}

const vectorsDirectory = join(import.meta.dirname, "..", "vectors");
const vectors: readonly Vector[] = JSON.parse(
  readFileSync(join(vectorsDirectory, "encryption-sdk", "index.json"), "utf8"),
);

let directory: string;
let emulator: KmsEmulator;
let client: KmsTestClient;
let kms: AwsKms;
let service: KeyService;
let maker: EnvelopeMaker;

beforeAll(async () => {
  for (const [name, value] of Object.entries(awsEnvironment)) vi.stubEnv(name, value);
  directory = mkdtempSync(join(tmpdir(), "vectors-"));
  const stateFile = join(directory, "kms-keys.json");
  cpSync(join(vectorsDirectory, "kms-keys.json"), stateFile);
  emulator = await startKmsEmulator({ stateFile });
  client = new KmsTestClient({ endpoint: emulator.url });
  kms = createAwsKms({ endpoint: emulator.url });
  service = awsService({ kms, region: "us-east-1" });
  maker = new EnvelopeMaker(emulator.url, await client.arnOf(await client.createKey()));
});

beforeEach(() => client.reset());

afterAll(async () => {
  vi.unstubAllEnvs();
  maker.close();
  kms.close();
  await client.close();
  await emulator.close();
  rmSync(directory, { recursive: true });
});

function messageOf(name: string): Buffer {
  return readFileSync(join(vectorsDirectory, "encryption-sdk", `${name}.message`));
}

function vectorOf(name: string): Vector {
  const found = vectors.find((vector) => vector.name === name);
  if (found === undefined) throw new Error(`there is no vector ${name}`);
  return found;
}

function plaintextOf({ pattern, length }: Vector): Buffer {
  return Buffer.alloc(length, pattern, "utf8");
}

async function decrypt(
  message: Uint8Array | string,
  encryptionContext: EncryptionContext = {},
  call: DecryptCall = {},
): Promise<Buffer> {
  const encryptedSecret = typeof message === "string" ? message : Buffer.from(message).toString("base64");
  const plaintext = await service.decrypt({ encryptedSecret, encryptionContext }, call);
  return Buffer.from(plaintext.open());
}

/** The error of a decryption that must fail, and that tells nothing of the plaintext. */
async function failureOf(decrypting: Promise<Buffer>, plaintext?: Buffer): Promise<OperatorError> {
  const error = await decrypting.then(
    () => new Error("it was decrypted"),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof OperatorError)) throw error;
  const shown = inspect(error, { depth: 10, showHidden: true });
  if (plaintext !== undefined && plaintext.length > 0) {
    for (const encoding of ["utf8", "hex", "base64"] as const) {
      expect(shown).not.toContain(plaintext.toString(encoding));
    }
  }
  return error;
}

async function decryptCalls(): Promise<number> {
  return (await client.calls()).operations["Decrypt"] ?? 0;
}

const readable = vectors.filter(({ name }) => name !== "version-1");

test.each(readable)("what Python made decrypts: $name", async (vector) => {
  const found = await decrypt(messageOf(vector.name), vector.encryptionContext);
  expect(found.equals(plaintextOf(vector))).toBe(true);
  expect(await decryptCalls()).toBe(1);
});

test("messages that share a data key cost one call together, in one object", async () => {
  const call: DecryptCall = {};
  const cached = readable.filter(({ name }) => name.startsWith("cached-"));
  const many = Array.from({ length: 7 }, () => cached).flat();
  const found = await Promise.all(
    many.map(({ name, encryptionContext }) => decrypt(messageOf(name), encryptionContext, call)),
  );
  expect(found.map(String)).toEqual(many.map((vector) => plaintextOf(vector).toString()));
  expect(await decryptCalls()).toBe(1);
});

test("a data key is kept for one object and one pass over it alone", async () => {
  const { encryptionContext } = vectorOf("cached-1");
  const call: DecryptCall = {};
  for (const each of [call, call, {}, {}]) await decrypt(messageOf("cached-1"), encryptionContext, each);
  expect(await decryptCalls()).toBe(3);
});

test("what failed is asked for again", async () => {
  const call: DecryptCall = {};
  const { encryptionContext } = vectorOf("cached-1");
  const both = () => ["cached-1", "cached-2"].map((name) => decrypt(messageOf(name), encryptionContext, call));
  await client.faults({ accessDenied: true });
  for (const decrypting of both()) expect((await failureOf(decrypting)).code).toBe("KMSAccessDenied");
  expect(await decryptCalls()).toBe(1);
  await client.faults({});
  expect((await Promise.all(both())).map(String)).toEqual(["value 1", "value 2"]);
});

describe("the data key that is asked for", () => {
  const { dataKeys } = readMessage(messageOf("several-data-keys")) ?? { dataKeys: [] };
  const inEurope = dataKeys.findIndex(({ keyName }) => keyName.includes(":eu-west-1:"));

  /** Which of the data keys it is, 0 for the first. */
  async function asked(region: string | undefined, call: DecryptCall = {}): Promise<number> {
    let found = -1;
    const recorder = {
      decrypt: async ({ ciphertext }: { readonly ciphertext: Uint8Array }) => {
        found = dataKeys.findIndex((dataKey) => Buffer.from(ciphertext).equals(dataKey.ciphertext));
        throw new OperatorError("KMSUnavailable", "only asked");
      },
    };
    const encryptedSecret = messageOf("several-data-keys").toString("base64");
    const decrypting = awsService({ kms: recorder, region }).decrypt({ encryptedSecret, encryptionContext: {} }, call);
    await expect(decrypting).rejects.toThrow("only asked");
    return found;
  }

  test("is that of the key that the object names", async () => {
    for (const [index, { keyName: keyId }] of dataKeys.entries())
      expect(await asked("us-east-1", { keyId })).toBe(index);
  });

  test("is one of the region of the key that the object names", async () => {
    expect(await asked("us-east-1", { keyId: "arn:aws:kms:eu-west-1:000000000000:alias/shop" })).toBe(inEurope);
  });

  test.each([
    { region: "us-east-1", expected: 0 },
    { region: "eu-west-1", expected: inEurope },
    { region: "ap-south-1", expected: 0 },
    { region: undefined, expected: 0 },
  ])("is one of the region where KMS is asked ($region), else the first", async ({ region, expected }) => {
    expect(await asked(region)).toBe(expected);
  });

  const [first = "", europe = "", other = ""] = dataKeys.map(({ keyName }) => keyName);
  const idOf = (arn: string) => arn.slice(arn.lastIndexOf("/") + 1);
  const message = messageOf("several-data-keys");
  const plaintext = plaintextOf(vectorOf("several-data-keys")).toString();

  /** With the given settings: what the message holds, and how often KMS was asked. */
  async function opened(
    options: AwsKmsOptions,
    call: DecryptCall = {},
  ): Promise<{ readonly text: string; readonly calls: number }> {
    const { region, allowedKeys } = options;
    const its = createAwsKms({ endpoint: emulator.url, ...options });
    try {
      const itsService = awsService({ kms: its, region, allowedKeys });
      const request = { encryptedSecret: message.toString("base64"), encryptionContext: {} };
      const text = Buffer.from((await itsService.decrypt(request, call)).open()).toString();
      return { text, calls: await decryptCalls() };
    } finally {
      its.close();
    }
  }

  test("opens the message there", async () => {
    expect(await opened({ region: "eu-west-1" })).toEqual({ text: plaintext, calls: 1 });
  });

  test("is one that may be used, whoever says so", async () => {
    const far = "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-0000-0000-000000000000";
    for (const list of [[other], [idOf(other)], [far, other], [far, idOf(other)]]) {
      for (const [options, call] of [
        [{ allowedKeys: list }, {}],
        [{}, { allowedKeys: list }],
        [{ allowedKeys: [first, other] }, { allowedKeys: [...list, europe] }],
      ] as const) {
        await client.reset();
        expect(await opened({ region: "us-east-1", ...options }, call)).toEqual({ text: plaintext, calls: 1 });
      }
    }
  });

  test("is that of a key id", async () => {
    expect(await opened({ region: "us-east-1" }, { keyId: idOf(other) })).toEqual({ text: plaintext, calls: 1 });
  });

  test("is that of the only key that may be used, wherever that is", async () => {
    for (const [options, call] of [
      [{ allowedKeys: [europe] }, {}],
      [{}, { allowedKeys: [europe] }],
    ] as const) {
      await client.reset();
      expect(await opened({ region: "us-east-1", ...options }, call)).toEqual({ text: plaintext, calls: 1 });
    }
  });

  test("is the next one when KMS refuses the first: of an alias, of a disabled key, of another region", async () => {
    const alias = "alias/the-other";
    await client.alias(alias, idOf(other));
    expect(await opened({ region: "us-east-1" }, { keyId: alias })).toEqual({ text: plaintext, calls: 2 });
    await client.reset();
    await client.disable(idOf(first));
    expect(await opened({ region: "us-east-1" })).toEqual({ text: plaintext, calls: 2 });
    await client.reset();
    // Only AWS's SDK knows the region.
    vi.stubEnv("AWS_REGION", "eu-west-1");
    expect(await opened({})).toEqual({ text: plaintext, calls: 2 });
    vi.stubEnv("AWS_REGION", awsEnvironment.AWS_REGION);
    await client.enable(idOf(first));
  });

  test("is asked for once by messages that share it, also when it is not the first", async () => {
    const its = awsService({ kms, region: "us-east-1" });
    const call = { keyId: "alias/shared" };
    await client.alias(call.keyId, idOf(other));
    const request = { encryptedSecret: message.toString("base64"), encryptionContext: {} };
    await Promise.all(Array.from({ length: 20 }, () => its.decrypt(request, call)));
    expect(await decryptCalls()).toBe(2);
  });

  test("is none: what may pass by itself, or a key that is there and may not be used, is what is told", async () => {
    const refusal = (options: AwsKmsOptions, call: DecryptCall) =>
      opened({ region: "us-east-1", ...options }, call).catch((error: unknown) => error);
    const stranger = "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-0000-0000-000000000000";
    expect(await refusal({ allowedKeys: [stranger, "alias/nobody"] }, {})).toMatchObject({ code: "KeyNotAllowed" });
    await client.disable(idOf(first));
    expect(await refusal({}, { allowedKeys: [stranger, "alias/nobody"] })).toMatchObject({ code: "KeyNotAllowed" });
    await client.disable(idOf(other));
    expect(await refusal({}, {})).toMatchObject({
      code: "DecryptingError",
      message: expect.stringContaining("disabled"),
    });
    await client.faults({ accessDenied: true });
    expect(await refusal({}, {})).toMatchObject({ code: "KMSAccessDenied", retry: "backoff" });
    await client.reset();
    for (const key of [first, other]) await client.enable(idOf(key));
  });
});

describe("a message for another place", () => {
  const expected = { app: "shop", "k8s.patoarvizu.dev/namespace": "mine", "k8s.patoarvizu.dev/name": "db" };
  const stolen = {
    "k8s.patoarvizu.dev/namespace": "theirs",
    "k8s.patoarvizu.dev/key": "root",
    app: "their-app",
  };

  test.each([true, false])(
    "is refused before KMS is asked, by the names of what differs (signed: %s)",
    async (signed) => {
      const message = await maker.make("their value", { encryptionContext: stolen, signed });
      const error = await failureOf(decrypt(message, expected), Buffer.from("their value"));
      expect(error.code).toBe("DecryptingError");
      expect(error.message).toContain(
        "it has another value for app, k8s.patoarvizu.dev/namespace; no k8s.patoarvizu.dev/name; also k8s.patoarvizu.dev/key",
      );
      expect(error.message).toContain("encrypt the value again");
      expect(error.message).not.toMatch(/theirs|their-app|root/);
      expect(await decryptCalls()).toBe(0);
    },
  );

  test("is one without any context where one is asked for, and one with where none is", async () => {
    expect((await failureOf(decrypt(messageOf("unsigned"), { app: "shop" }))).message).toContain("it has no app)");
    expect((await failureOf(decrypt(messageOf("context")))).message).toContain("it has also Stra?e, app)");
    expect(await decryptCalls()).toBe(0);
  });

  test("a pair of the SDK's own does not stand in for one that is asked for", async () => {
    const error = await failureOf(decrypt(messageOf("signed"), { "aws-crypto-public-key": "x" }));
    expect(error.message).toContain("it has no aws-crypto-public-key)");
  });
});

describe("what is not as its maker made it", () => {
  test.each(["signed-context", "frames", "single-block", "several-data-keys", "empty", "context"])(
    "%s: no byte can be changed",
    async (name) => {
      const vector = vectorOf(name);
      const message = messageOf(name);
      // Every region of a message is longer than the step, which is coprime to the lengths of all its fields.
      for (let at = 0; at < message.length; at += 5) {
        const changed = Buffer.from(message);
        changed[at] = (changed[at] ?? 0) ^ 0x04;
        const error = await failureOf(decrypt(changed, vector.encryptionContext), plaintextOf(vector));
        expect({ at, code: error.code }).toEqual({
          at,
          code: expect.stringMatching(/^(DecryptingError|KMSAccessDenied)$/),
        });
      }
    },
  );

  test.each(readable.filter(({ length }) => length < 1000))("$name: cut off anywhere, or longer", async (vector) => {
    const message = messageOf(vector.name);
    for (let length = 4; length < message.length; length += 7) {
      const error = await failureOf(
        decrypt(message.subarray(0, length), vector.encryptionContext),
        plaintextOf(vector),
      );
      expect(error.code).toBe("DecryptingError");
    }
    for (const appended of [Buffer.of(0), message]) {
      const error = await failureOf(
        decrypt(Buffer.concat([message, appended]), vector.encryptionContext),
        plaintextOf(vector),
      );
      expect(error.code).toBe("DecryptingError");
    }
    expect(await decryptCalls()).toBe(0);
  });

  test("two messages that share a data key cannot be mixed", async () => {
    const [one, other] = [messageOf("cached-1"), messageOf("cached-2")];
    const mixed = Buffer.concat([one.subarray(0, -40), other.subarray(-40)]);
    expect((await failureOf(decrypt(mixed, vectorOf("cached-1").encryptionContext))).code).toBe("DecryptingError");
  });
});

describe("what is not taken at all", () => {
  test("a message of version 1, without key commitment", async () => {
    const error = await failureOf(decrypt(messageOf("version-1")));
    expect(error.code).toBe("DecryptingError");
    expect(error.message).toContain("encrypt it again with key commitment");
  });

  test("a message of version 2 with a suite of version 1", async () => {
    const message = messageOf("unsigned");
    message.writeUInt16BE(0x0378, 1);
    expect((await failureOf(decrypt(message))).message).toContain("without key commitment");
  });

  test.each([
    { frameLength: 4096, signed: false },
    { frameLength: 65_536, signed: true },
  ])("more than 512 KiB, and KMS is not asked (%o)", async (options) => {
    const largest = Buffer.alloc(512 * 1024, "x");
    expect((await decrypt(await maker.make(largest, options))).equals(largest)).toBe(true);
    await client.reset();
    const error = await failureOf(decrypt(await maker.make(Buffer.concat([largest, Buffer.of(1)]), options)));
    expect(error).toMatchObject({
      code: "DecryptingError",
      message: expect.stringContaining("524289 bytes, and 524288"),
    });
    expect(await decryptCalls()).toBe(0);
  });

  test("a data key that is not of KMS", async () => {
    const message = messageOf("unsigned");
    const at = message.indexOf("aws-kms");
    message.write("raw-aes", at);
    expect((await failureOf(decrypt(message))).message).toContain("with a KMS keyring");
    expect(await decryptCalls()).toBe(0);
  });
});

test("a blob of KMS is none, whatever its version", async () => {
  for (const begin of [
    [1, 2, 2, 0],
    [1, 2, 3, 0],
    [2, 2, 2, 0],
    [1, 0x80, 2, 0],
    [2, 4, 0x79, 0],
  ]) {
    const blob = Buffer.alloc(200, Uint8Array.from(begin));
    expect(readMessage(blob)).toBeUndefined();
    expect((await failureOf(decrypt(blob))).message).toMatch(/^KMS (cannot decrypt|refuses)/);
  }
});
