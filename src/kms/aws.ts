// AWS KMS as Decryptor and Encryptor, over AWS's SDK. The SDK itself reads the environment and the shared files for
// region, credentials (IRSA, Pod Identity, ECS, EC2, keys), endpoint (AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_KMS) and the
// number of attempts (AWS_MAX_ATTEMPTS); the attempts themselves are ours, because each needs a turn (budget.ts).
import { DecryptCommand, EncryptCommand } from "@aws-sdk/client-kms";
import { type Clock, systemClock } from "../base/clock.ts";
import { OperatorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { Plaintext } from "../base/plaintext.ts";
import { backoffDelay } from "../base/retry.ts";
import { type AwsClient, AwsClients, type LearntLimit } from "./aws-clients.ts";
import {
  type AwsFailure,
  concernsKey,
  describeAwsFailure,
  isSilence,
  type KmsOperation,
  mapAwsError,
} from "./aws-errors.ts";
import { aliasesIn, chooseKey, isListed, notAllowed, type Own, regionOfKey } from "./aws-keys.ts";
import type { Result, Turn } from "./budget.ts";
import type { DecryptCall, EncryptionContext, EncryptRequest, Encryptor } from "./cipher.ts";
import { isRoleArn } from "./credentials.ts";

/** Requests under way at once, unless something else is said. */
export const defaultMaxInFlight = 64;

export interface AwsKmsOptions {
  /** Where no key says otherwise. Absent: AWS_REGION, then the shared config file. */
  readonly region?: string;
  /** Of all regions. Absent: AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL, the shared config file, then AWS's own. */
  readonly endpoint?: string;
  /** The AWS role to ask as, where a call names none. Absent: the identity that the credential chain gives. */
  readonly roleArn?: string;
  /** Key ARNs, key ids, alias names and alias ARNs; those of other key services do not matter. Absent: any key. */
  readonly allowedKeys?: readonly string[];
  /** Gets one debug line for each failed attempt, with AWS's request id. */
  readonly logger?: Logger;
  readonly clock?: Clock;
  /** Attempts under way at once, per region and account; the others wait. Default 64. */
  readonly maxInFlight?: number;
  /** Attempts per second, per region and account. Absent: as many as KMS lets through. */
  readonly perSecond?: number;
  /** Longest wait for a connection, in milliseconds. Default 1000. */
  readonly connectTimeoutMs?: number;
  /** Longest wait for an answer, in milliseconds, for each attempt. Default 2000; KMS answers within 100. */
  readonly requestTimeoutMs?: number;
}

/** A throttled attempt is made again when the budget says so, but no more often than this. */
const mostAttempts = 10;
const retryDelay = { baseMs: 100, maxMs: 1_000 };

/** AWS KMS of all regions, with AWS's default credential chain. Touches no network until the first call. */
export function createAwsKms(options: AwsKmsOptions = {}): AwsKms {
  const { clock = systemClock, maxInFlight = defaultMaxInFlight, perSecond = Number.POSITIVE_INFINITY } = options;
  const { connectTimeoutMs = 1_000, requestTimeoutMs = 2_000 } = options;
  const limits = { clock, maxInFlight, perSecond, connectTimeoutMs, requestTimeoutMs };
  // Everybody waits for a probe, so it does not wait as long.
  const probeTimeoutMs = requestTimeoutMs / 2;
  return new AwsKms(new AwsClients({ ...options, ...limits }), { ...options, clock, probeTimeoutMs });
}

type Resolved = AwsKmsOptions & { readonly clock: Clock; readonly probeTimeoutMs: number };

/** A ciphertext blob as KMS's Encrypt returned it, and what it was encrypted with. */
export interface BlobRequest {
  readonly ciphertext: Uint8Array;
  readonly encryptionContext: EncryptionContext;
}

/** What KMS says to Decrypt. */
interface Decrypted {
  readonly bytes: Uint8Array;
  /** ARN of the key that it was encrypted with. */
  readonly keyArn: string | undefined;
}

/** Made by `createAwsKms`. */
export class AwsKms implements Encryptor {
  readonly #clients: AwsClients;
  readonly #options: Resolved;

  constructor(clients: AwsClients, options: Resolved) {
    this.#clients = clients;
    this.#options = options;
  }

  /**
   * An aborted call is `KMSUnavailable`.
   * @throws OperatorError see `Decryptor`
   */
  async decrypt(request: BlobRequest, call: DecryptCall = {}): Promise<Plaintext> {
    const { keyId, region, lists } = chooseKey(this.#options.allowedKeys, call, await this.#own());
    return await this.#with(region, call, async (client) => {
      const decrypted = await this.#decrypt(client, request, keyId, call);
      for (const list of lists) {
        if (await this.#isAllowed(list, { client, request, call, decrypted })) continue;
        decrypted.bytes.fill(0);
        throw notAllowed(
          `the value was encrypted with ${decrypted.keyArn ?? "an unknown key"}, which --kms-allowed-keys or the policy does not list; encrypt it again with an allowed key`,
        );
      }
      return new Plaintext(decrypted.bytes);
    });
  }

  /**
   * An aborted call is `KMSUnavailable`.
   * @throws OperatorError see `Encryptor`
   */
  async encrypt({ keyId, plaintext, encryptionContext }: EncryptRequest, signal?: AbortSignal): Promise<Uint8Array> {
    const input = { KeyId: keyId, Plaintext: plaintext.open(), EncryptionContext: { ...encryptionContext } };
    const call: DecryptCall = { isUrgent: true, ...(signal && { signal }) };
    const region = keyId.startsWith("arn:") ? regionOfKey(keyId) : undefined;
    return await this.#with(region, call, async (client) => {
      return await this.#attempts("Encrypt", client, call, async (abort) => {
        return there((await client.kms.send(new EncryptCommand(input), abort)).CiphertextBlob);
      });
    });
  }

  /** What KMS's throttling has taught us, for each region and account where it does throttle. */
  learntLimits(): LearntLimit[] {
    return this.#clients.learntLimits();
  }

  /** Closes the idle connections; calls under way fail. */
  close(): void {
    this.#clients.close();
  }

  /** Runs `work` with the client for a region and the call's role, which stays open as long. */
  async #with<T>(
    region: string | undefined,
    { roleArn = this.#options.roleArn }: DecryptCall,
    work: (client: AwsClient) => Promise<T>,
  ): Promise<T> {
    if (roleArn !== undefined && !isRoleArn(roleArn)) {
      throw new OperatorError("KMSAccessDenied", "the AWS role is no ARN of an IAM role; correct spec.kmsRoleArn", {
        retry: "terminal",
      });
    }
    const client = await this.#clients.of(region, roleArn).catch((error: unknown) => {
      throw mapAwsError(error, "Decrypt");
    });
    client.calls += 1;
    try {
      return await work(client);
    } finally {
      client.calls -= 1;
    }
  }

  async #own(): Promise<Own> {
    const { roleArn } = this.#options;
    // Whoever needs a region hears from the client what is wrong with it; an ARN has its own.
    const region = await this.#clients.ownRegion().catch(() => undefined);
    return { ...(roleArn !== undefined && { roleArn }), ...(region !== undefined && { region }) };
  }

  #decrypt(
    client: AwsClient,
    { ciphertext, encryptionContext }: BlobRequest,
    keyId: string | undefined,
    call: DecryptCall,
  ): Promise<Decrypted> {
    const command = new DecryptCommand({
      CiphertextBlob: ciphertext,
      EncryptionContext: { ...encryptionContext },
      ...(keyId !== undefined && { KeyId: keyId }),
    });
    return this.#attempts("Decrypt", client, call, async (abort) => {
      const { Plaintext: bytes, KeyId: keyArn } = await client.kms.send(command, abort);
      return { bytes: there(bytes), keyArn };
    });
  }

  /** Whether a list has the key of an answer. What its aliases stand for is found out by trying them. */
  async #isAllowed(
    list: readonly string[],
    { client, request, call, decrypted: { keyArn } }: Answer,
  ): Promise<boolean> {
    if (keyArn === undefined) return false;
    if (isListed(list, keyArn)) return true;
    const { aliases } = client;
    const listed = aliasesIn(list, client.region);
    if (listed.some((alias) => aliases.standsFor(alias, keyArn))) return true;
    for (const alias of listed) {
      if (aliases.standsFor(alias, keyArn) === false) continue;
      const standsForIt = await this.#canDecrypt(alias, { client, request, call });
      aliases.learn(alias, keyArn, standsForIt);
      if (standsForIt) return true;
    }
    return false;
  }

  /** Whether a value, which KMS has decrypted before, can be decrypted by that alias: it stands for the value's key. */
  async #canDecrypt(alias: string, { client, request, call }: Omit<Answer, "decrypted">): Promise<boolean> {
    try {
      const { bytes } = await this.#decrypt(client, request, alias, call);
      bytes.fill(0);
      return true;
    } catch (error) {
      if (error instanceof OperatorError && concernsKey(error)) return false;
      throw error;
    }
  }

  /** One call in as many attempts as it takes and may have. */
  async #attempts<T>(
    operation: KmsOperation,
    client: AwsClient,
    call: DecryptCall,
    send: (options: SendOptions) => Promise<T>,
  ): Promise<T> {
    const { signal } = call;
    const abort = signal && { abortSignal: signal };
    let earlier: OperatorError | undefined;
    for (let attempt = 1; ; attempt += 1) {
      if (signal?.aborted === true) throw cancelled(operation);
      const turn = await turnFor(call, client, earlier);
      try {
        const answer = await send({ ...abort, ...(turn.isProbe && { requestTimeout: this.#options.probeTimeoutMs }) });
        client.budget.leave(turn, "ok");
        return answer;
      } catch (error) {
        const failed = this.#failed(operation, error, signal);
        client.budget.leave(turn, failed.result);
        if (failed.result === "silent") client.dropIdle();
        if (attempt >= (await attemptsFor(failed, client))) throw failed.error;
        earlier = failed.error;
        if (failed.result !== "throttled")
          await this.#options.clock.sleep(backoffDelay(attempt - 1, retryDelay), signal);
      }
    }
  }

  #failed(operation: KmsOperation, error: unknown, signal: AbortSignal | undefined): Failed {
    if (signal?.aborted === true) return { result: "unsent", error: cancelled(operation), canRetry: false };
    // Whoever takes a role has mapped what STS said, and that says nothing of KMS.
    const isMapped = error instanceof OperatorError;
    const failure = describeAwsFailure(isMapped ? error.cause : error);
    const mapped = isMapped ? error : mapAwsError(error, operation);
    this.#options.logger?.debug({ operation, code: mapped.code, failure }, "KMS call failed");
    if (isMapped) {
      return { result: error.isOutage ? "silent" : "unsent", error, canRetry: error.code === "KMSUnavailable" };
    }
    const isPassing = mapped.code === "KMSUnavailable" || mapped.code === "KMSThrottled";
    return {
      result: resultOf(mapped, failure),
      error: mapped,
      canRetry: isPassing || failure.isClockCorrected === true,
    };
  }
}

/** Of one attempt, for AWS's client. */
interface SendOptions {
  readonly abortSignal?: AbortSignal;
  readonly requestTimeout?: number;
}

/** Something that KMS decrypted, and where to ask more about it. */
interface Answer {
  readonly client: AwsClient;
  readonly request: BlobRequest;
  readonly call: DecryptCall;
  readonly decrypted: Decrypted;
}

/** An attempt that failed. */
interface Failed {
  readonly result: Result;
  readonly error: OperatorError;
  /** It will pass, or AWS's SDK has noticed that the machine's clock is wrong and allows for it now. */
  readonly canRetry: boolean;
}

/** @param earlier what its last attempt failed with, which tells its owner more than that others fare alike */
async function turnFor(call: DecryptCall, { budget }: AwsClient, earlier: OperatorError | undefined): Promise<Turn> {
  try {
    return await budget.enter(call, earlier !== undefined);
  } catch (error) {
    throw call.signal?.aborted === true ? error : (earlier ?? error);
  }
}

/** How many attempts a call may have that failed like this. */
async function attemptsFor({ result, canRetry }: Failed, { kms }: AwsClient): Promise<number> {
  if (!canRetry) return 1;
  // What is wrong with the setting, if it cannot be read, is what the attempt failed with.
  const configured = await kms.config.maxAttempts().catch(() => 1);
  return result === "throttled" && configured > 1 ? mostAttempts : configured;
}

function resultOf({ code }: OperatorError, failure: AwsFailure): Result {
  if (code === "KMSThrottled") return "throttled";
  return code === "KMSUnavailable" && isSilence(failure) ? "silent" : "refused";
}

function there(bytes: Uint8Array | undefined): Uint8Array {
  if (bytes === undefined) throw new TypeError("the answer lacks the one member that it is for");
  return bytes;
}

function cancelled(operation: KmsOperation): OperatorError {
  return new OperatorError("KMSUnavailable", `the KMS call was cancelled (${operation}); it is tried again by itself`);
}
