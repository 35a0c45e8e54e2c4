// What KMS does, as one table, through AWS's own SDK: against our emulator, which has to do what AWS documents, and
// against moto, an implementation by others. Where moto differs from AWS the row says so and holds moto to what it
// does, so that neither the note nor the emulator's reason to exist can rot.
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  KMSClient,
  ListKeysCommand,
  ReEncryptCommand,
  ScheduleKeyDeletionCommand,
  UpdateAliasCommand,
} from "@aws-sdk/client-kms";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EncryptionContext } from "../../src/kms/cipher.ts";
import { startKmsEmulator } from "../../src/kms/emulator/emulator.ts";
import { startMoto } from "../env/moto.ts";

/** One server under test. */
class Kit {
  readonly client: KMSClient;

  constructor(endpoint: string) {
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    this.client = new KMSClient({ endpoint, region: "us-east-1", credentials, maxAttempts: 1 });
  }

  async key(): Promise<{ readonly id: string; readonly arn: string }> {
    const { KeyMetadata } = await this.client.send(new CreateKeyCommand({}));
    return { id: KeyMetadata?.KeyId ?? "", arn: KeyMetadata?.Arn ?? "" };
  }

  async alias(keyId: string): Promise<{ readonly name: string; readonly arn: string }> {
    const name = `alias/${randomUUID()}`;
    const { arn } = await this.describe(keyId);
    await this.client.send(new CreateAliasCommand({ AliasName: name, TargetKeyId: keyId }));
    return { name, arn: arn.replace(/:key\/.*/, `:${name}`) };
  }

  async encrypt(KeyId: string, text: string, EncryptionContext: EncryptionContext = {}): Promise<Uint8Array> {
    const Plaintext = Buffer.from(text);
    const answer = await this.client.send(new EncryptCommand({ KeyId, Plaintext, EncryptionContext }));
    return answer.CiphertextBlob ?? new Uint8Array();
  }

  async decrypt(
    CiphertextBlob: Uint8Array,
    EncryptionContext: EncryptionContext = {},
    KeyId?: string,
  ): Promise<string> {
    const answer = await this.client.send(new DecryptCommand({ CiphertextBlob, EncryptionContext, KeyId }));
    return Buffer.from(answer.Plaintext ?? []).toString();
  }

  async describe(KeyId: string): Promise<{ readonly arn: string; readonly state: string; readonly enabled: boolean }> {
    const { KeyMetadata } = await this.client.send(new DescribeKeyCommand({ KeyId }));
    return {
      arn: KeyMetadata?.Arn ?? "",
      state: KeyMetadata?.KeyState ?? "",
      enabled: KeyMetadata?.Enabled ?? false,
    };
  }

  async disable(KeyId: string): Promise<void> {
    await this.client.send(new DisableKeyCommand({ KeyId }));
  }

  async enable(KeyId: string): Promise<void> {
    await this.client.send(new EnableKeyCommand({ KeyId }));
  }

  async scheduleDeletion(KeyId: string, PendingWindowInDays?: number): Promise<string> {
    const answer = await this.client.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays }));
    if (answer.DeletionDate === undefined) return "answered without a date";
    const days = (answer.DeletionDate.getTime() - Date.now()) / 86_400_000;
    return `${answer.KeyState ?? "no state"} in ${Math.round(days)} days`;
  }
}

interface Behaviour {
  readonly name: string;
  /** Does it, and tells the outcome; what it throws counts as the outcome by its AWS name. */
  readonly run: (kit: Kit) => Promise<unknown>;
  /** AWS's outcome. */
  readonly aws: unknown;
  /** moto's, where it is another. */
  readonly moto?: unknown;
}

const pairs = { app: "shop", env: "prod" };

const values: readonly Behaviour[] = [
  {
    name: "a value comes back under the same encryption context, in any order of its pairs",
    run: async (kit) =>
      kit.decrypt(await kit.encrypt((await kit.key()).id, "é\n", pairs), { env: "prod", app: "shop" }),
    aws: "é\n",
  },
  ...(["id", "arn"] as const).map((form) => ({
    name: `Encrypt and Decrypt take the key ${form}`,
    run: async (kit: Kit) => {
      const key = await kit.key();
      return await kit.decrypt(await kit.encrypt(key[form], "v"), {}, key[form]);
    },
    aws: "v",
  })),
  ...(["name", "arn"] as const).map((form) => ({
    name: `Encrypt and Decrypt take the alias ${form}`,
    run: async (kit: Kit) => {
      const alias = await kit.alias((await kit.key()).id);
      return await kit.decrypt(await kit.encrypt(alias[form], "v"), {}, alias[form]);
    },
    aws: "v",
  })),
  {
    name: "Encrypt and Decrypt answer with the key's ARN",
    run: async (kit) => {
      const { id, arn } = await kit.key();
      const one = await kit.client.send(new EncryptCommand({ KeyId: id, Plaintext: Buffer.from("v") }));
      const other = await kit.client.send(new DecryptCommand({ CiphertextBlob: one.CiphertextBlob }));
      return [one.KeyId === arn, other.KeyId === arn, one.EncryptionAlgorithm, other.EncryptionAlgorithm];
    },
    aws: [true, true, "SYMMETRIC_DEFAULT", "SYMMETRIC_DEFAULT"],
    // moto does not name the algorithm.
    moto: [true, true, undefined, undefined],
  },
  {
    name: "4096 bytes are taken",
    run: async (kit) => (await kit.decrypt(await kit.encrypt((await kit.key()).id, "x".repeat(4096)))).length,
    aws: 4096,
  },
  {
    name: "4097 bytes are not",
    run: async (kit) => kit.encrypt((await kit.key()).id, "x".repeat(4097)),
    aws: "ValidationException",
  },
  {
    name: "an empty value is not taken",
    run: async (kit) => kit.encrypt((await kit.key()).id, ""),
    aws: "ValidationException",
  },
  {
    name: "an empty ciphertext is not taken",
    run: (kit) => kit.decrypt(new Uint8Array()),
    aws: "ValidationException",
    // moto does not look at the length.
    moto: "InvalidCiphertextException",
  },
  {
    name: "a damaged ciphertext",
    run: async (kit) => {
      const blob = Buffer.from(await kit.encrypt((await kit.key()).id, "value"));
      blob[blob.length - 1] = (blob.at(-1) ?? 0) ^ 1;
      return await kit.decrypt(blob);
    },
    aws: "InvalidCiphertextException",
  },
  {
    name: "what is no ciphertext",
    run: (kit) => kit.decrypt(Buffer.from("not a ciphertext at all, but long enough to be taken for one")),
    aws: "InvalidCiphertextException",
  },
];

const contexts: readonly Behaviour[] = [
  {
    name: "another encryption context",
    run: async (kit) => kit.decrypt(await kit.encrypt((await kit.key()).id, "v", pairs), { ...pairs, env: "test" }),
    aws: "InvalidCiphertextException",
  },
  {
    name: "no encryption context where there was one",
    run: async (kit) => kit.decrypt(await kit.encrypt((await kit.key()).id, "v", pairs)),
    aws: "InvalidCiphertextException",
  },
  {
    name: "a pair too few",
    run: async (kit) => kit.decrypt(await kit.encrypt((await kit.key()).id, "v", pairs), { app: "shop" }),
    aws: "InvalidCiphertextException",
  },
  {
    name: "every pair with the value of one (the original's defect)",
    run: async (kit) => kit.decrypt(await kit.encrypt((await kit.key()).id, "v", pairs), { app: "prod", env: "prod" }),
    aws: "InvalidCiphertextException",
  },
  {
    name: "{a: bc} is not {ab: c}",
    run: async (kit) => kit.decrypt(await kit.encrypt((await kit.key()).id, "v", { a: "bc" }), { ab: "c" }),
    aws: "InvalidCiphertextException",
    // moto joins names and values without separators.
    moto: "v",
  },
];

const keys: readonly Behaviour[] = [
  {
    name: "a disabled key does not decrypt",
    run: async (kit) => {
      const { id } = await kit.key();
      const blob = await kit.encrypt(id, "v");
      await kit.disable(id);
      return await kit.decrypt(blob);
    },
    aws: "DisabledException",
    // moto looks at the state of a key in none of these.
    moto: "v",
  },
  {
    name: "a disabled key does not encrypt",
    run: async (kit) => {
      const { id } = await kit.key();
      await kit.disable(id);
      await kit.encrypt(id, "v");
      return "encrypted";
    },
    aws: "DisabledException",
    moto: "encrypted",
  },
  {
    name: "a key that is enabled again decrypts again",
    run: async (kit) => {
      const { id } = await kit.key();
      const blob = await kit.encrypt(id, "v");
      await kit.disable(id);
      const { state, enabled } = await kit.describe(id);
      await kit.enable(id);
      return [state, enabled, await kit.decrypt(blob), (await kit.describe(id)).state];
    },
    aws: ["Disabled", false, "v", "Enabled"],
  },
  {
    name: "a key pending deletion does not decrypt",
    run: async (kit) => {
      const { id } = await kit.key();
      const blob = await kit.encrypt(id, "v");
      await kit.scheduleDeletion(id);
      return await kit.decrypt(blob);
    },
    aws: "KMSInvalidStateException",
    moto: "v",
  },
  {
    name: "a key pending deletion cannot be enabled",
    run: async (kit) => {
      const { id } = await kit.key();
      await kit.scheduleDeletion(id);
      await kit.enable(id);
      return "enabled";
    },
    aws: "KMSInvalidStateException",
    moto: "enabled",
  },
  {
    name: "deletion is scheduled in 30 days",
    run: async (kit) => kit.scheduleDeletion((await kit.key()).id),
    aws: "PendingDeletion in 30 days",
    // moto does not tell the new state.
    moto: "no state in 30 days",
  },
  {
    name: "deletion is scheduled in 7 days",
    run: async (kit) => kit.scheduleDeletion((await kit.key()).id, 7),
    aws: "PendingDeletion in 7 days",
    moto: "no state in 7 days",
  },
  {
    name: "deletion in 6 days is too soon",
    run: async (kit) => kit.scheduleDeletion((await kit.key()).id, 6),
    aws: "ValidationException",
    // moto schedules nothing and answers an empty object.
    moto: "answered without a date",
  },
  {
    name: "ScheduleKeyDeletion takes the key ARN",
    run: async (kit) => kit.scheduleDeletion((await kit.key()).arn),
    aws: "PendingDeletion in 30 days",
    // moto breaks down with HTTP 500 and a page that is no JSON.
    moto: "SyntaxError",
  },
  {
    name: "Decrypt with another key than the blob's",
    run: async (kit) => kit.decrypt(await kit.encrypt((await kit.key()).id, "v"), {}, (await kit.key()).id),
    aws: "IncorrectKeyException",
    // moto has no error for it.
    moto: "AccessDeniedException",
  },
  {
    name: "Decrypt with a key that does not exist",
    run: async (kit) => kit.decrypt(await kit.encrypt((await kit.key()).id, "v"), {}, randomUUID()),
    aws: "NotFoundException",
  },
  { name: "DescribeKey of no key", run: (kit) => kit.describe(randomUUID()), aws: "NotFoundException" },
  { name: "DescribeKey of no alias", run: (kit) => kit.describe("alias/none"), aws: "NotFoundException" },
  {
    name: "DisableKey takes no alias",
    run: async (kit) => {
      await kit.disable((await kit.alias((await kit.key()).id)).name);
      return "disabled";
    },
    aws: "NotFoundException",
  },
  {
    name: "ListKeys has all keys, page by page",
    run: async (kit) => {
      const made = [(await kit.key()).id, (await kit.key()).id, (await kit.key()).id];
      const found: string[] = [];
      let marker: string | undefined;
      do {
        const page = await kit.client.send(new ListKeysCommand({ Limit: 2, Marker: marker }));
        found.push(...(page.Keys ?? []).map(({ KeyId }) => KeyId ?? ""));
        marker = page.Truncated === true ? page.NextMarker : undefined;
      } while (marker !== undefined);
      return made.every((id) => found.filter((one) => one === id).length === 1);
    },
    aws: true,
  },
];

const aliases: readonly Behaviour[] = [
  { name: "an alias without alias/", aws: "ValidationException", run: aliasNamed("shop") },
  { name: "an alias with a space", aws: "ValidationException", run: aliasNamed("alias/a b") },
  {
    name: "an alias twice",
    run: async (kit) => {
      const { id } = await kit.key();
      const { name } = await kit.alias(id);
      return await aliasNamed(name)(kit);
    },
    aws: "AlreadyExistsException",
  },
  {
    name: "an alias pointed at another key",
    run: async (kit) => {
      const { name } = await kit.alias((await kit.key()).id);
      const { id, arn } = await kit.key();
      await kit.client.send(new UpdateAliasCommand({ AliasName: name, TargetKeyId: id }));
      return (await kit.describe(name)).arn === arn;
    },
    aws: true,
  },
  {
    name: "an alias of an alias",
    run: async (kit) => kit.alias((await kit.alias((await kit.key()).id)).name),
    aws: "ValidationException",
  },
];

function aliasNamed(AliasName: string): Behaviour["run"] {
  return async (kit) => {
    await kit.client.send(new CreateAliasCommand({ AliasName, TargetKeyId: (await kit.key()).id }));
    return "made";
  };
}

const dataKeys: readonly Behaviour[] = [
  {
    name: "GenerateDataKey gives a data key and its ciphertext",
    run: async (kit) => {
      const { id } = await kit.key();
      const answer = await kit.client.send(
        new GenerateDataKeyCommand({ KeyId: id, KeySpec: "AES_256", EncryptionContext: pairs }),
      );
      const opened = await kit.client.send(
        new DecryptCommand({ CiphertextBlob: answer.CiphertextBlob, EncryptionContext: pairs }),
      );
      return [answer.Plaintext?.length, Buffer.from(opened.Plaintext ?? []).equals(answer.Plaintext ?? Buffer.of())];
    },
    aws: [32, true],
  },
  {
    name: "GenerateDataKey of so many bytes",
    run: async (kit) => {
      const { id } = await kit.key();
      return (await kit.client.send(new GenerateDataKeyCommand({ KeyId: id, NumberOfBytes: 48 }))).Plaintext?.length;
    },
    aws: 48,
  },
  {
    name: "GenerateDataKey of neither a spec nor a number",
    run: async (kit) => kit.client.send(new GenerateDataKeyCommand({ KeyId: (await kit.key()).id })),
    aws: "ValidationException",
  },
  {
    name: "ReEncrypt moves a value to another key and encryption context",
    run: async (kit) => {
      const [from, to] = [await kit.key(), await kit.key()];
      const answer = await kit.client.send(reEncrypt(await kit.encrypt(from.id, "v", pairs), to.id, from.id));
      const text = await kit.decrypt(answer.CiphertextBlob ?? Buffer.of(), { moved: "yes" }, to.id);
      return [text, answer.KeyId === to.arn, answer.SourceKeyId?.endsWith(from.id)];
    },
    aws: ["v", true, true],
  },
  {
    name: "ReEncrypt with another source key than the blob's",
    run: async (kit) => {
      const [from, to] = [await kit.key(), await kit.key()];
      await kit.client.send(reEncrypt(await kit.encrypt(from.id, "v", pairs), to.id, to.id));
      return "moved";
    },
    aws: "IncorrectKeyException",
    // moto ignores SourceKeyId.
    moto: "moved",
  },
];

function reEncrypt(CiphertextBlob: Uint8Array, DestinationKeyId: string, SourceKeyId: string): ReEncryptCommand {
  return new ReEncryptCommand({
    CiphertextBlob,
    SourceKeyId,
    SourceEncryptionContext: pairs,
    DestinationKeyId,
    DestinationEncryptionContext: { moved: "yes" },
  });
}

const behaviours = [...values, ...contexts, ...keys, ...aliases, ...dataKeys];

const servers = [
  { name: "the emulator", isMoto: false, start: () => startKmsEmulator() },
  { name: "moto", isMoto: true, start: () => startMoto() },
];

describe.each(servers)("KMS as $name has it", ({ isMoto, start }) => {
  let server: { readonly url: string; close(): Promise<void> };
  let kit: Kit;

  beforeAll(async () => {
    server = await start();
    kit = new Kit(server.url);
  });

  afterAll(async () => {
    kit.client.destroy();
    await server.close();
  });

  test.each(behaviours)("$name", async ({ run, aws, moto }) => {
    const outcome = await run(kit).catch((error: unknown) => (error instanceof Error ? error.name : error));
    expect(outcome).toEqual(isMoto && moto !== undefined ? moto : aws);
  });
});
