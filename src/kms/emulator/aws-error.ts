// An error as AWS KMS answers it. The list is what the emulator can answer, with AWS's own names, so that the SDK and
// our error mapping meet here what they meet in production.

/** Names of AWS errors, as they stand in `__type`. */
export type AwsErrorType =
  | "AccessDeniedException"
  | "AlreadyExistsException"
  | "DisabledException"
  | "IncorrectKeyException"
  | "InvalidAliasNameException"
  | "InvalidArnException"
  | "InvalidCiphertextException"
  | "InvalidKeyUsageException"
  | "InvalidMarkerException"
  | "KMSInternalException"
  | "KMSInvalidStateException"
  | "MissingAuthenticationTokenException"
  | "NotFoundException"
  | "SerializationException"
  | "ThrottlingException"
  | "UnknownOperationException"
  | "UnsupportedOperationException"
  | "ValidationException";

/** Thrown by an operation, answered as JSON `{__type, message}`. */
export class AwsError extends Error {
  override readonly name = "AwsError";
  readonly type: AwsErrorType;

  /** @param message AWS answers some errors (InvalidCiphertextException for one) without any */
  constructor(type: AwsErrorType, message = "") {
    super(message);
    this.type = type;
  }

  /** HTTP status: 500 for what AWS blames on itself, 400 for everything else, refusals of access included. */
  get status(): number {
    return this.type === "KMSInternalException" ? 500 : 400;
  }
}
