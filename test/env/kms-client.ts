// KMS from the tests' side: the AWS SDK for keys and ciphertexts, the emulator's admin routes for faults and counts.
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  EncryptCommand,
  KMSClient,
} from "@aws-sdk/client-kms";
import type { CallCounts, FaultSettings } from "../../src/kms/emulator/faults.ts";
import { JsonClient } from "./http.ts";
import type { KmsInfo } from "./kms.ts";

/** Any will do: neither the emulator nor moto checks signatures. */
export const awsEnvironment = {
  AWS_REGION: "us-east-1",
  AWS_ACCESS_KEY_ID: "test",
  AWS_SECRET_ACCESS_KEY: "test",
} as const;

/** One KMS endpoint, in one region. */
export class KmsTestClient {
  readonly #sdk: KMSClient;
  readonly #admin: JsonClient;

  constructor({ endpoint }: KmsInfo, region: string = awsEnvironment.AWS_REGION) {
    this.#sdk = new KMSClient({
      endpoint,
      region,
      credentials: { accessKeyId: "test", secretAccessKey: "test" },
    });
    this.#admin = new JsonClient(endpoint);
  }

  /** @returns the new key's id */
  async createKey(): Promise<string> {
    const { KeyMetadata: key } = await this.#sdk.send(new CreateKeyCommand({}));
    if (key?.KeyId === undefined) throw new Error("CreateKey returned no key id");
    return key.KeyId;
  }

  /** @returns the ARN of a key */
  async arnOf(keyId: string): Promise<string> {
    const { KeyMetadata: key } = await this.#sdk.send(new DescribeKeyCommand({ KeyId: keyId }));
    if (key?.Arn === undefined) throw new Error("DescribeKey returned no ARN");
    return key.Arn;
  }

  /** @param name `alias/…` */
  async alias(name: string, keyId: string): Promise<void> {
    await this.#sdk.send(new CreateAliasCommand({ AliasName: name, TargetKeyId: keyId }));
  }

  async disable(keyId: string): Promise<void> {
    await this.#sdk.send(new DisableKeyCommand({ KeyId: keyId }));
  }

  async enable(keyId: string): Promise<void> {
    await this.#sdk.send(new EnableKeyCommand({ KeyId: keyId }));
  }

  /** @returns the ciphertext blob in base64, as it stands in `encryptedSecret` */
  async encrypt(
    keyId: string,
    plaintext: string | Uint8Array,
    encryptionContext: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const { CiphertextBlob: blob } = await this.#sdk.send(
      new EncryptCommand({
        KeyId: keyId,
        Plaintext: typeof plaintext === "string" ? Buffer.from(plaintext) : plaintext,
        EncryptionContext: encryptionContext,
      }),
    );
    if (blob === undefined) throw new Error("Encrypt returned no ciphertext");
    return Buffer.from(blob).toString("base64");
  }

  /** Emulator only: what it does wrong from now on; `{}` ends it. */
  async faults(settings: FaultSettings): Promise<void> {
    await this.#admin.send({ method: "POST", path: "/_admin/faults", body: settings });
  }

  /** Emulator only: calls since its start or the last `reset`. */
  calls(): Promise<CallCounts> {
    return this.#admin.send({ method: "GET", path: "/_admin/calls" });
  }

  /** Emulator only: no faults, counters at zero. */
  async reset(): Promise<void> {
    await this.#admin.send({ method: "POST", path: "/_admin/reset", body: {} });
  }

  async close(): Promise<void> {
    this.#sdk.destroy();
    await this.#admin.close();
  }
}
