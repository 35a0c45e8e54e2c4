// The credentials of a role: STS AssumeRole with the operator's own credentials. AWS's client keeps what it gets, has it
// made anew five minutes before it ends, and never by two requests at once. The STS client is loaded only when there
// is a role.
import type { STSClient, STSClientConfig } from "@aws-sdk/client-sts";
import { OperatorError } from "../base/errors.ts";
import { describeAwsFailure, isSilence, mapAwsError } from "./aws-errors.ts";

/** In AWS's audit trail it names who took the role. */
const sessionName = "kms-vault-operator";
const roleForm = /^arn:aws(-[a-z]+)*:iam::\d{12}:role\/[\w+=,.@/-]+$/;

/** Credentials as AWS's clients take them. */
export interface RoleCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

/** Whether `text` is the ARN of an IAM role. */
export function isRoleArn(text: string): boolean {
  return text.length <= 2_048 && roleForm.test(text);
}

/** The account in the ARN of a role. */
export function accountOf(roleArn: string): string {
  return roleArn.split(":")[4] ?? "";
}

/** Takes one role, again and again. */
export class RoleTaker {
  readonly #roleArn: string;
  readonly #config: STSClientConfig;
  #client: STSClient | undefined;

  /** @param config of the STS client; its region is the one of the STS to ask */
  constructor(roleArn: string, config: STSClientConfig) {
    this.#roleArn = roleArn;
    this.#config = config;
  }

  /** @throws OperatorError `KMSAccessDenied`; `KMSUnavailable`, which `isOutage` when STS gave no answer */
  async take(): Promise<RoleCredentials> {
    const { STSClient: Client, AssumeRoleCommand } = await import("@aws-sdk/client-sts");
    this.#client ??= new Client(this.#config);
    try {
      const input = { RoleArn: this.#roleArn, RoleSessionName: sessionName };
      const { Credentials: given } = await this.#client.send(new AssumeRoleCommand(input));
      if (given?.AccessKeyId === undefined || given.SecretAccessKey === undefined)
        throw new TypeError("no credentials");
      return {
        accessKeyId: given.AccessKeyId,
        secretAccessKey: given.SecretAccessKey,
        ...(given.SessionToken !== undefined && { sessionToken: given.SessionToken }),
        ...(given.Expiration !== undefined && { expiration: given.Expiration }),
      };
    } catch (error) {
      throw this.#notTaken(error);
    }
  }

  close(): void {
    this.#client?.destroy();
  }

  #notTaken(error: unknown): OperatorError {
    const { code, message, cause } = mapAwsError(error, "AssumeRole");
    const isOutage = code === "KMSUnavailable" && isSilence(describeAwsFailure(error));
    // STS's throttling says nothing about KMS's.
    const isPassing = code === "KMSUnavailable" || code === "KMSThrottled";
    const remedy = isPassing
      ? "it is tried again by itself"
      : "allow sts:AssumeRole on it for the operator's AWS identity, and that identity in the role's trust policy";
    const text = `the AWS role ${this.#roleArn} cannot be taken; ${remedy}: ${message}`;
    return new OperatorError(isPassing ? "KMSUnavailable" : "KMSAccessDenied", text, { cause, isOutage });
  }
}
