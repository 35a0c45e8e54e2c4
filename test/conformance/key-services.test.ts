// What every key service does alike, over the real ones: AWS KMS (the emulator and moto) with blobs and envelopes, age with
// its key file, OpenBao's transit engine. One table of behaviours; where a service cannot do something it says so.
import { generateX25519Identity, identityToRecipient, Encrypter } from "age-encryption";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { OperatorError } from "../../src/base/errors.ts";
import type { DecryptCall, Decryptor, EncryptionContext, Provider } from "../../src/kms/cipher.ts";
import { startKmsEmulator } from "../../src/kms/emulator/emulator.ts";
import { canonicalJson } from "../../src/kms/encryption-context.ts";
import { createDecryptor, type KmsTools } from "../../src/kms/factory.ts";
import { testEnv } from "../env/context.ts";
import { EnvelopeMaker } from "../env/envelopes.ts";
import { awsEnvironment, KmsTestClient } from "../env/kms-client.ts";
import { startMoto } from "../env/moto.ts";
import { uniqueName } from "../env/unique.ts";
import { Logs, vaultOn } from "../integration/vault-fixture.ts";
import { withFiles } from "../integration/temporary-files.ts";

/** One service under test. */
interface Kit {
  readonly decryptor: Decryptor;
  /** What objects say that use it: the key, where it has to be named. */
  readonly call: DecryptCall;
  /** As `encryptedSecret` holds it. */
  encrypt(plaintext: string | Uint8Array, encryptionContext?: EncryptionContext): Promise<string>;
  /** The same by a key that the operator does not have, or that the object does not name. */
  encryptByAnother(plaintext: string): Promise<string>;
  close(): Promise<void>;
}

interface Service {
  readonly name: string;
  readonly provider: Provider;
  /** Whether values can be bound to an encryption context. */
  readonly binds: boolean;
  /** Of a value by another key: the service may not tell it from one that may not be used. */
  readonly anotherKey: RegExp;
  /** Whether an empty value can be encrypted. */
  readonly takesEmpty: boolean;
  readonly start: () => Promise<Kit>;
}

const pairs = { app: "shop", env: "prod" };

function tools(logs: Logs = new Logs()): KmsTools {
  return { clock: systemClock, logger: logs, report: () => {} };
}

/** @param kind how values are made */
async function awsKit(
  server: { readonly url: string; close(): Promise<void> },
  kind: "blob" | "envelope",
): Promise<Kit> {
  const client = new KmsTestClient({ endpoint: server.url });
  const elsewhere = await startKmsEmulator();
  const stranger = new KmsTestClient({ endpoint: elsewhere.url });
  const [key, foreignKey] = [await client.createKey(), await stranger.createKey()];
  const maker = new EnvelopeMaker(server.url, await client.arnOf(key));
  const foreignMaker = new EnvelopeMaker(elsewhere.url, await stranger.arnOf(foreignKey));
  return {
    decryptor: createDecryptor({ endpoint: server.url, region: "us-east-1" }, tools()),
    call: {},
    encrypt: (plaintext, encryptionContext = {}) =>
      kind === "blob"
        ? client.encrypt(key, plaintext, encryptionContext)
        : maker.make(plaintext, { encryptionContext }),
    encryptByAnother: (plaintext) =>
      kind === "blob" ? stranger.encrypt(foreignKey, plaintext) : foreignMaker.make(plaintext),
    async close() {
      maker.close();
      foreignMaker.close();
      await Promise.all([client.close(), stranger.close()]);
      await Promise.all([server.close(), elsewhere.close()]);
    },
  };
}

async function ageKit(): Promise<Kit> {
  const [ours, theirs] = [await generateX25519Identity(), await generateX25519Identity()];
  const files = await withFiles({ "keys.txt": `# created: today\n# public key: age1…\n${ours}\n` });
  const encryptFor = async (identity: string, plaintext: string | Uint8Array) => {
    const encrypter = new Encrypter();
    encrypter.addRecipient(await identityToRecipient(identity));
    return Buffer.from(await encrypter.encrypt(plaintext)).toString("base64");
  };
  return {
    decryptor: createDecryptor({ ageKeyFile: files.path("keys.txt") }, tools()),
    call: {},
    encrypt: (plaintext) => encryptFor(ours, plaintext),
    encryptByAnother: (plaintext) => encryptFor(theirs, plaintext),
    close: async () => files[Symbol.asyncDispose](),
  };
}

async function transitKit(): Promise<Kit> {
  const { vault: admin, stack, kube, kms } = testEnv();
  const mount = uniqueName("transit");
  await admin.write(`sys/mounts/${mount}`, { type: "transit" });
  for (const key of ["ours", "theirs"]) await admin.write(`${mount}/keys/${key}`, { type: "aes256-gcm96" });
  const { vault } = vaultOn(stack.vault);
  const identity = { method: "token", namespace: "" } as const;
  const encryptWith = async (key: string, plaintext: string | Uint8Array, context: EncryptionContext) => {
    const answer = await admin.write(`${mount}/encrypt/${key}`, {
      plaintext: Buffer.from(plaintext).toString("base64"),
      ...(Object.keys(context).length > 0 && {
        associated_data: Buffer.from(canonicalJson(context)).toString("base64"),
      }),
    });
    return answer.data.ciphertext;
  };
  return {
    decryptor: createDecryptor({}, { ...tools(), transit: vault.transit(identity) }),
    call: { keyId: `${mount}/ours` },
    encrypt: (plaintext, context = {}) => encryptWith("ours", plaintext, context),
    encryptByAnother: (plaintext) => encryptWith("theirs", plaintext, {}),
    async close() {
      await vault.close();
      await Promise.all([admin.close(), kube.close(), kms.close()]);
    },
  };
}

const services: readonly Service[] = [
  {
    name: "AWS KMS (the emulator), blobs",
    provider: "AWS",
    binds: true,
    takesEmpty: false,
    anotherKey: /^KMSAccessDenied$/,
    start: async () => awsKit(await startKmsEmulator(), "blob"),
  },
  {
    name: "AWS KMS (the emulator), envelopes",
    provider: "AWS",
    binds: true,
    takesEmpty: true,
    anotherKey: /^KMSAccessDenied$/,
    start: async () => awsKit(await startKmsEmulator(), "envelope"),
  },
  {
    name: "AWS KMS (moto), blobs",
    provider: "AWS",
    binds: true,
    takesEmpty: false,
    anotherKey: /^(KMSAccessDenied|DecryptingError)$/,
    start: async () => awsKit(await startMoto(), "blob"),
  },
  {
    name: "AWS KMS (moto), envelopes",
    provider: "AWS",
    binds: true,
    takesEmpty: true,
    anotherKey: /^(KMSAccessDenied|DecryptingError)$/,
    start: async () => awsKit(await startMoto(), "envelope"),
  },
  {
    name: "age",
    provider: "Age",
    binds: false,
    takesEmpty: true,
    anotherKey: /^DecryptingError$/,
    start: ageKit,
  },
  {
    name: "Vault transit",
    provider: "VaultTransit",
    binds: true,
    takesEmpty: true,
    anotherKey: /^DecryptingError$/,
    start: transitKit,
  },
];

describe.each(services)("$name", ({ provider, binds, takesEmpty, anotherKey, start }) => {
  let kit: Kit;

  beforeAll(async () => {
    for (const [name, value] of Object.entries(awsEnvironment)) vi.stubEnv(name, value);
    kit = await start();
    return () => kit.close();
  });

  afterAll(() => {
    vi.unstubAllEnvs();
  });

  async function decrypt(encryptedSecret: string, encryptionContext: EncryptionContext = {}): Promise<Uint8Array> {
    return (await kit.decryptor.decrypt({ encryptedSecret, encryptionContext }, kit.call)).open();
  }

  /** With the provider named: a value is sent nowhere else because it lost its prefix. */
  async function decryptThere(encryptedSecret: string): Promise<Uint8Array> {
    const call = { ...kit.call, provider };
    return (await kit.decryptor.decrypt({ encryptedSecret, encryptionContext: {} }, call)).open();
  }

  async function failureOf(decrypting: Promise<Uint8Array>): Promise<OperatorError> {
    const error = await decrypting.then(
      () => new Error("it was decrypted"),
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof OperatorError)) throw error;
    expect(inspect(error, { depth: 10, showHidden: true })).not.toMatch(/the value itself/);
    return error;
  }

  test.each([
    { what: "text", value: "the value itself, grüße\n" },
    { what: "bytes", value: Uint8Array.from({ length: 4_000 }, (_, index) => index % 256) },
  ])("$what comes back as it was", async ({ value }) => {
    expect(Buffer.from(await decrypt(await kit.encrypt(value))).equals(Buffer.from(value))).toBe(true);
  });

  test.runIf(takesEmpty)("so does nothing at all", async () => {
    expect(await decrypt(await kit.encrypt(""))).toHaveLength(0);
  });

  test("a provider that the object names is the same one", async () => {
    const encryptedSecret = await kit.encrypt("named");
    expect(Buffer.from(await decryptThere(encryptedSecret)).toString()).toBe("named");
  });

  test("another key", async () => {
    const error = await failureOf(decrypt(await kit.encryptByAnother("the value itself")));
    expect(error.code).toMatch(anotherKey);
  });

  test.runIf(binds)("an encryption context, in any order of its pairs", async () => {
    const value = await kit.encrypt("bound", pairs);
    expect(Buffer.from(await decrypt(value, { env: "prod", app: "shop" })).toString()).toBe("bound");
  });

  test.runIf(binds).each([
    { what: "another value", context: { ...pairs, env: "test" } },
    { what: "a pair too few", context: { app: "shop" } },
    { what: "a pair too many", context: { ...pairs, more: "x" } },
    { what: "none", context: {} },
  ])("another encryption context: $what", async ({ context }) => {
    const error = await failureOf(decrypt(await kit.encrypt("the value itself", pairs), context));
    expect(error.code).toBe("DecryptingError");
  });

  test.runIf(binds)("an encryption context where the value has none", async () => {
    expect((await failureOf(decrypt(await kit.encrypt("the value itself"), pairs))).code).toBe("DecryptingError");
  });

  test.runIf(!binds)("an encryption context is refused where nothing would check it", async () => {
    const error = await failureOf(decrypt(await kit.encrypt("the value itself"), pairs));
    expect(error).toMatchObject({ code: "DecryptingError", message: expect.stringContaining("bindContext: None") });
  });

  test("no part of a value can be changed", async () => {
    const value = await kit.encrypt("the value itself");
    // Coprime to the lengths of a format's fields, and some hundred places at most.
    const step = value.length > 400 ? 7 : 3;
    for (let at = 0; at < value.length; at += step) {
      const changed = value.slice(0, at) + (value[at] === "B" ? "C" : "B") + value.slice(at + 1);
      // The last character of base64 has bits that say nothing.
      if (sameBytes(changed, value)) continue;
      const { code } = await failureOf(decryptThere(changed));
      expect({ at, code }).toEqual({
        at,
        code: expect.stringMatching(/^(DecryptingError|DecodingError|KMSAccessDenied)$/),
      });
    }
  });

  test("it can neither be cut off nor be made longer", async () => {
    const value = await kit.encrypt("the value itself");
    for (const changed of [
      value.slice(0, -4),
      value.slice(0, -16),
      value.slice(0, 40),
      `${value}AAAA`,
      value + value,
    ]) {
      expect((await failureOf(decryptThere(changed))).code).toMatch(/^(DecryptingError|DecodingError)$/);
    }
  });
});

function sameBytes(one: string, other: string): boolean {
  const bytes = (text: string) => text.replace(/^vault:v\d+:/, (prefix) => Buffer.from(prefix).toString("base64"));
  return Buffer.from(bytes(one), "base64").equals(Buffer.from(bytes(other), "base64"));
}
