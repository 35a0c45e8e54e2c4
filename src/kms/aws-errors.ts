// What an AWS failure means for the operator: one of the closed list of codes and a text that says what to do. Nothing
// else of the SDK's error goes on: its message can quote the body of an answer, and that body can hold a plaintext.
import { type ErrorCode, OperatorError } from "../base/errors.ts";

/** The calls that the operator makes, by AWS's names; the last is STS's. */
export type KmsOperation = "Decrypt" | "Encrypt" | "AssumeRole";

/** What is known, and safe to tell, about a failed call. */
export interface AwsFailure {
  /** AWS's name of the error, or that of the JavaScript error. */
  readonly name: string;
  /** HTTP status, when there was an answer. */
  readonly status?: number;
  readonly requestId?: string;
  readonly attempts?: number;
  /** The SDK found the machine's clock to be wrong; a second attempt allows for it. */
  readonly isClockCorrected?: boolean;
  /** Node's code of a failed system call or connection ("ECONNREFUSED"). */
  readonly systemCode?: string;
}

interface Rule {
  readonly code: ErrorCode;
  /** What it means and what to do; `KMS` stands before it. */
  readonly text: string;
  /** AWS's own message is added: it names the key or the identity, and never input. */
  readonly quote?: true;
}

const throttled: Rule = {
  code: "KMSThrottled",
  text: "throttles the account's requests; it is tried again by itself; raise the KMS request quota if it stays so",
};

const unavailable: Rule = { code: "KMSUnavailable", text: "has an internal problem; it is tried again by itself" };

const denied: Rule = {
  code: "KMSAccessDenied",
  text: "refuses the call; allow it on the key for the operator's AWS identity",
  quote: true,
};

const badCredentials: Rule = {
  code: "KMSAccessDenied",
  text: "does not accept the AWS credentials; check the role, the token or the access key that the operator is given",
};

const noCredentials: Rule = {
  code: "KMSAccessDenied",
  text: "cannot be asked without AWS credentials, and none were found; give the operator a role (IRSA, Pod Identity) or an access key",
};

/** By AWS's name of the error; the same for every operation. */
const rules: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  [
    "InvalidCiphertextException",
    {
      code: "DecryptingError",
      text: "cannot decrypt the ciphertext: it is damaged, or made with another key or encryption context; correct secretContext or encrypt the value again",
    },
  ],
  [
    "IncorrectKeyException",
    {
      code: "KeyNotAllowed",
      text: "found the value to be encrypted with another key than spec.kmsKeyId, --kms-allowed-keys or the policy names; encrypt it again with that key",
    },
  ],
  ["DisabledException", { code: "DecryptingError", text: "has the key disabled; enable it", quote: true }],
  [
    "KMSInvalidStateException",
    {
      code: "DecryptingError",
      text: "cannot use the key in its state; cancel its deletion, or encrypt the value again with another key",
      quote: true,
    },
  ],
  [
    "NotFoundException",
    {
      code: "DecryptingError",
      text: "does not know the key in this region; check the key and AWS_REGION",
      quote: true,
    },
  ],
  [
    "InvalidKeyUsageException",
    {
      code: "DecryptingError",
      text: "cannot use the key for encryption; take a symmetric encryption key",
      quote: true,
    },
  ],
  ["InvalidArnException", { code: "DecryptingError", text: "does not accept the key's ARN; correct it", quote: true }],
  [
    "KeyUnavailableException",
    { code: "KMSUnavailable", text: "cannot reach the key at the moment; it is tried again by itself" },
  ],
  ["KMSInternalException", unavailable],
  ["DependencyTimeoutException", unavailable],
  ["InternalFailure", unavailable],
  ["ServiceUnavailable", unavailable],
  ["ServiceUnavailableException", unavailable],
  ["ThrottlingException", throttled],
  ["Throttling", throttled],
  ["ThrottledException", throttled],
  ["TooManyRequestsException", throttled],
  ["LimitExceededException", throttled],
  ["RequestLimitExceeded", throttled],
  ["AccessDeniedException", denied],
  ["AccessDenied", denied],
  ["NotAuthorized", denied],
  ["OptInRequired", denied],
  ["CredentialsProviderError", noCredentials],
  ["TokenProviderError", noCredentials],
  ["MissingAuthenticationToken", noCredentials],
  ["MissingAuthenticationTokenException", noCredentials],
  ["ExpiredToken", badCredentials],
  ["ExpiredTokenException", badCredentials],
  ["RequestExpired", badCredentials],
  ["UnrecognizedClientException", badCredentials],
  ["InvalidClientTokenId", badCredentials],
  ["InvalidIdentityToken", badCredentials],
  ["InvalidIdentityTokenException", badCredentials],
  ["IDPRejectedClaim", badCredentials],
  ["IDPRejectedClaimException", badCredentials],
  ["InvalidSignatureException", badCredentials],
  ["SignatureDoesNotMatch", badCredentials],
  ["IncompleteSignature", badCredentials],
  ["IncompleteSignatureException", badCredentials],
]);

/** Bad input has a name of its own for each operation. */
const badInput: Readonly<Record<KmsOperation, Rule>> = {
  Decrypt: {
    code: "DecryptingError",
    text: "does not take the ciphertext: it is no ciphertext blob of KMS, or longer than 6144 bytes; encrypt the value again",
  },
  Encrypt: {
    code: "DecryptingError",
    text: "does not take the request: a value has 1 to 4096 bytes, and the key is a key id, a key ARN or an alias; correct them",
  },
  AssumeRole: { code: "KMSAccessDenied", text: "cannot be asked as the role: STS does not take its ARN", quote: true },
};

const badInputNames: ReadonlySet<string> = new Set([
  "ValidationException",
  "ValidationError",
  "SerializationException",
]);

/** Files that the credential chain reads; every other system code is a connection that failed. */
const fileCodes: ReadonlySet<string> = new Set(["ENOENT", "EACCES", "EISDIR"]);

/** What is safe to tell about an error of the SDK. */
export function describeAwsFailure(error: unknown): AwsFailure {
  const { name, code, $metadata } = fieldsOf(error);
  return {
    name,
    ...($metadata?.httpStatusCode !== undefined && { status: $metadata.httpStatusCode }),
    ...($metadata?.requestId !== undefined && { requestId: $metadata.requestId }),
    ...($metadata?.attempts !== undefined && { attempts: $metadata.attempts }),
    ...($metadata?.clockSkewCorrected === true && { isClockCorrected: true }),
    ...(code !== undefined && { systemCode: code }),
  };
}

/** Whether a failure to reach somebody was that there was no answer. */
export function isSilence({ name, status, systemCode }: AwsFailure): boolean {
  return status === undefined && (systemCode !== undefined || name === "TimeoutError");
}

/**
 * Whether a failed call says something of the key that it named, or of its ciphertext; and not of credentials, or of how
 * KMS is at the moment.
 * @param error as `mapAwsError` made it
 */
export function concernsKey({ code, retry, cause }: OperatorError): boolean {
  // STS, and services like it, refuse with a name of their own.
  const isOfKms = cause instanceof Error && cause.name === "AccessDeniedException";
  return retry === "terminal" || (code === "KMSAccessDenied" && isOfKms);
}

/**
 * The OperatorError of an error that the SDK threw. Its cause is a copy that has AWS's message only where that is
 * known to hold no input.
 */
export function mapAwsError(error: unknown, operation: KmsOperation): OperatorError {
  const fields = fieldsOf(error);
  const rule = badInputNames.has(fields.name) ? badInput[operation] : rules.get(fields.name);
  if (rule === undefined) return withoutRule(error, fields, operation);
  const quoted = rule.quote === true && fields.message !== "" ? fields.message.slice(0, 400) : undefined;
  const text = `KMS ${rule.text} (${operation}: ${fields.name}${quoted === undefined ? "" : `: ${quoted}`})`;
  return new OperatorError(rule.code, text, { cause: safeCause(error, fields, quoted) });
}

/** What AWS gave no name that we know: the region, files, connections, time, and then the HTTP status. */
function withoutRule(error: unknown, fields: ErrorFields, operation: KmsOperation): OperatorError {
  const { name, code, message, $metadata } = fields;
  const cause = safeCause(error, fields);
  if (message === "Region is missing") {
    return new OperatorError("KMSAccessDenied", "no AWS region is configured, so KMS cannot be asked; set AWS_REGION", {
      cause,
    });
  }
  if (code !== undefined && fileCodes.has(code)) {
    const text = `an AWS credentials file cannot be read (${code} ${fields.path ?? ""}); check what AWS_WEB_IDENTITY_TOKEN_FILE or AWS_SHARED_CREDENTIALS_FILE names`;
    return new OperatorError("KMSAccessDenied", text, { cause });
  }
  const status = $metadata?.httpStatusCode;
  if (status === 429)
    return new OperatorError("KMSThrottled", `KMS ${throttled.text} (${operation}: HTTP 429)`, { cause });
  if (status === 401 || status === 403) {
    return new OperatorError("KMSAccessDenied", `KMS ${denied.text} (${operation}: HTTP ${status} ${name})`, { cause });
  }
  if (status !== undefined && status !== 200) {
    const text = `KMS answered HTTP ${status} (${operation}: ${name}); it is tried again by itself; check AWS_ENDPOINT_URL_KMS if one is set`;
    return new OperatorError("KMSUnavailable", text, { cause });
  }
  if (code !== undefined || name === "TimeoutError") {
    const where = fields.address ?? fields.hostname;
    const detail = [code ?? name, where && (fields.port === undefined ? where : `${where}:${fields.port}`)];
    const text = `KMS, or the service that gives AWS credentials, cannot be reached or did not answer in time (${operation}: ${detail.filter(Boolean).join(" ")}); it is tried again by itself; check network, region and endpoint`;
    return new OperatorError("KMSUnavailable", text, { cause });
  }
  const text = `KMS gave an answer that cannot be understood (${operation}: ${name}); it is tried again by itself; check AWS_ENDPOINT_URL_KMS if one is set`;
  return new OperatorError("KMSUnavailable", text, { cause });
}

/** Fields that errors of the SDK and of Node carry. */
interface ErrorFields {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly path?: string;
  readonly address?: string;
  readonly hostname?: string;
  readonly port?: number;
  readonly $metadata?: {
    readonly httpStatusCode?: number;
    readonly requestId?: string;
    readonly attempts?: number;
    readonly clockSkewCorrected?: boolean;
  };
}

function fieldsOf(error: unknown): ErrorFields {
  if (!(error instanceof Error)) return { name: typeof error, message: "" };
  const { code, ...rest } = error as Error & ErrorFields & { code?: unknown };
  const fields = { ...rest, name: error.name, message: error.message };
  return typeof code === "string" ? { ...fields, code } : fields;
}

/** An error that can be logged: name, a message known to be safe, and the frames of the original's stack. */
function safeCause(error: unknown, { name, code }: ErrorFields, message?: string): Error {
  const cause = new Error(message ?? code ?? name);
  cause.name = name;
  const frames = error instanceof Error ? (error.stack ?? "").split("\n").filter((line) => /^ {4}at /.test(line)) : [];
  cause.stack = [`${name}: ${cause.message}`, ...frames].join("\n");
  return cause;
}
