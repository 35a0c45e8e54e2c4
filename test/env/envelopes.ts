// Messages of the AWS Encryption SDK from the tests' side, made by AWS's own JavaScript implementation.
import {
  AlgorithmSuiteIdentifier,
  buildEncrypt,
  CommitmentPolicy,
  KmsKeyringNode,
  NodeCachingMaterialsManager,
  getLocalCryptographicMaterialsCache,
} from "@aws-crypto/client-node";
import { KMS } from "@aws-sdk/client-kms";
import { awsEnvironment } from "./kms-client.ts";

export interface EnvelopeOptions {
  readonly encryptionContext?: Readonly<Record<string, string>>;
  /** With a signature at the end; the SDK's default. */
  readonly signed?: boolean;
  /** Bytes of a frame. */
  readonly frameLength?: number;
}

/** Encrypts for one KMS key. */
export class EnvelopeMaker {
  readonly #kms: KMS;
  readonly #keyring: KmsKeyringNode;
  readonly #sharing: NodeCachingMaterialsManager;

  /** @param keyId its ARN */
  constructor(endpoint: string, keyId: string) {
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    this.#kms = new KMS({ endpoint, region: awsEnvironment.AWS_REGION, credentials });
    // The keyring's type was written for an older client, and without exact optional properties.
    const options: unknown = { generatorKeyId: keyId, clientProvider: () => this.#kms };
    this.#keyring = new KmsKeyringNode(options as ConstructorParameters<typeof KmsKeyringNode>[0]);
    this.#sharing = new NodeCachingMaterialsManager({
      backingMaterials: this.#keyring,
      cache: getLocalCryptographicMaterialsCache(10),
      maxAge: 600_000,
    });
  }

  /** A message with a data key of its own. @returns base64 */
  make(plaintext: string | Uint8Array, options: EnvelopeOptions = {}): Promise<string> {
    return encrypt(this.#keyring, plaintext, options);
  }

  /** A message that has its data key in common with others of the same encryption context. @returns base64 */
  makeSharing(plaintext: string | Uint8Array, options: EnvelopeOptions = {}): Promise<string> {
    return encrypt(this.#sharing, plaintext, options);
  }

  close(): void {
    this.#kms.destroy();
  }
}

async function encrypt(
  keys: KmsKeyringNode | NodeCachingMaterialsManager,
  plaintext: string | Uint8Array,
  { encryptionContext = {}, signed = true, frameLength }: EnvelopeOptions,
): Promise<string> {
  const bytes = Buffer.from(plaintext);
  const { encrypt: run } = buildEncrypt(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
  const { result } = await run(keys, bytes, {
    encryptionContext,
    plaintextLength: bytes.length,
    suiteId: signed
      ? AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY_ECDSA_P384
      : AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY,
    ...(frameLength !== undefined && { frameLength }),
  });
  return result.toString("base64");
}
