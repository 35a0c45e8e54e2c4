// AWS KMS as Decryptor and Encryptor, over AWS's SDK: the only file that touches it. The SDK itself reads the
// environment and the shared files for region, credentials (IRSA, Pod Identity, ECS, EC2, keys), endpoint
// (AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_KMS) and retries (AWS_RETRY_MODE, AWS_MAX_ATTEMPTS).
import { DecryptCommand, EncryptCommand, KMSClient } from "@aws-sdk/client-kms";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import pLimit, { type LimitFunction } from "p-limit";
import { OperatorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { Plaintext } from "../base/plaintext.ts";
import { describeAwsFailure, type KmsOperation, mapAwsError } from "./aws-errors.ts";
import type { DecryptCall, EncryptionContext, EncryptRequest, Encryptor } from "./cipher.ts";

export interface AwsKmsOptions {
  /** Absent: AWS_REGION, then the shared config file. */
  readonly region?: string;
  /** Absent: AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL, the shared config file, then AWS's own for the region. */
  readonly endpoint?: string;
  /** Gets one debug line for each failed call, with AWS's request id. */
  readonly logger?: Logger;
  /** Calls under way at once, and connections at most; the others wait in order. Default 64. */
  readonly maxInFlight?: number;
  /** Longest wait for a connection, in milliseconds. Default 2000. */
  readonly connectTimeoutMs?: number;
  /** Longest wait for an answer, in milliseconds, for each attempt. Default 5000. */
  readonly requestTimeoutMs?: number;
}

/**
 * AWS KMS of one region, with AWS's default credential chain. Touches no network until the first call.
 *
 * Retries are the SDK's `standard` mode, 3 attempts: the workqueue above backs off by itself, object by object.
 * `adaptive` would hold back all calls of the process after one throttling, edits included, in a wait that no abort
 * signal ends and that can exceed any time-out of ours.
 */
export function createAwsKms(options: AwsKmsOptions = {}): AwsKms {
  const { region, endpoint, logger, maxInFlight = 64, connectTimeoutMs = 2_000, requestTimeoutMs = 5_000 } = options;
  const agent = { keepAlive: true, maxSockets: maxInFlight };
  // The client gets no logger: the SDK logs what a command gave back, and that is the plaintext.
  const client = new KMSClient({
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint }),
    requestHandler: new NodeHttpHandler({
      connectionTimeout: connectTimeoutMs,
      requestTimeout: requestTimeoutMs,
      // Without it the SDK only prints a warning; and it counts to the headers, so the socket guards the body.
      throwOnRequestTimeout: true,
      socketTimeout: requestTimeoutMs,
      httpAgent: agent,
      httpsAgent: agent,
    }),
  });
  return new AwsKms(client, maxInFlight, logger);
}

/** A ciphertext blob as KMS's Encrypt returned it, and what it was encrypted with. */
export interface BlobRequest {
  readonly ciphertext: Uint8Array;
  readonly encryptionContext: EncryptionContext;
}

/** Made by `createAwsKms`. */
export class AwsKms implements Encryptor {
  readonly #client: KMSClient;
  readonly #limit: LimitFunction;
  readonly #logger: Logger | undefined;

  constructor(client: KMSClient, maxInFlight: number, logger: Logger | undefined) {
    this.#client = client;
    this.#limit = pLimit(maxInFlight);
    this.#logger = logger;
  }

  /**
   * An aborted call is `KMSUnavailable`.
   * @throws OperatorError see `Decryptor`
   */
  async decrypt({ ciphertext, encryptionContext }: BlobRequest, { signal }: DecryptCall = {}): Promise<Plaintext> {
    const command = new DecryptCommand({ CiphertextBlob: ciphertext, EncryptionContext: { ...encryptionContext } });
    const bytes = await this.#call("Decrypt", signal, async (abort) => {
      return (await this.#client.send(command, abort)).Plaintext;
    });
    return new Plaintext(bytes);
  }

  /**
   * An aborted call is `KMSUnavailable`.
   * @throws OperatorError see `Encryptor`
   */
  async encrypt({ keyId, plaintext, encryptionContext }: EncryptRequest, signal?: AbortSignal): Promise<Uint8Array> {
    const command = new EncryptCommand({
      KeyId: keyId,
      Plaintext: plaintext.open(),
      EncryptionContext: { ...encryptionContext },
    });
    return await this.#call("Encrypt", signal, async (abort) => {
      return (await this.#client.send(command, abort)).CiphertextBlob;
    });
  }

  /** Closes the idle connections; calls under way fail. */
  close(): void {
    this.#client.destroy();
  }

  async #call(
    operation: KmsOperation,
    signal: AbortSignal | undefined,
    send: (options: { abortSignal?: AbortSignal }) => Promise<Uint8Array | undefined>,
  ): Promise<Uint8Array> {
    try {
      const bytes = await this.#limit(async () => {
        signal?.throwIfAborted();
        return await send(signal === undefined ? {} : { abortSignal: signal });
      });
      if (bytes === undefined) throw new TypeError("the answer lacks the one member that it is for");
      return bytes;
    } catch (error) {
      if (signal?.aborted === true) {
        throw new OperatorError(
          "KMSUnavailable",
          `the KMS call was cancelled (${operation}); it is tried again by itself`,
        );
      }
      const mapped = mapAwsError(error, operation);
      this.#logger?.debug({ operation, code: mapped.code, failure: describeAwsFailure(error) }, "KMS call failed");
      throw mapped;
    }
  }
}
