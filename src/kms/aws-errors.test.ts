// The table of what AWS answers and what it means here. aws.test.ts has the same from a server for what one can be
// made to answer.
import { describe, expect, test } from "vitest";
import { type ErrorCode, OperatorError } from "../base/errors.ts";
import { concernsKey, describeAwsFailure, mapAwsError } from "./aws-errors.ts";

/** An error as the SDK throws it. */
function sdkError(name: string, more: object = {}): Error {
  return Object.assign(new Error("text of AWS"), { name, $metadata: { httpStatusCode: 400, requestId: "r-1" } }, more);
}

/** An error as Node throws it for a connection. */
function systemError(code: string, more: object = {}): Error {
  return Object.assign(new Error(`connect ${code}`), { code, ...more });
}

const byName: Readonly<Record<string, readonly string[]>> = {
  DecryptingError: [
    "InvalidCiphertextException",
    "DisabledException",
    "KMSInvalidStateException",
    "NotFoundException",
    "InvalidKeyUsageException",
    "InvalidArnException",
    "ValidationException",
    "SerializationException",
  ],
  KeyNotAllowed: ["IncorrectKeyException"],
  KMSAccessDenied: [
    "AccessDeniedException",
    "AccessDenied",
    "CredentialsProviderError",
    "MissingAuthenticationTokenException",
    "ExpiredTokenException",
    "ExpiredToken",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "InvalidIdentityToken",
  ],
  KMSThrottled: ["ThrottlingException", "Throttling", "LimitExceededException", "RequestLimitExceeded"],
  KMSUnavailable: [
    "KMSInternalException",
    "DependencyTimeoutException",
    "KeyUnavailableException",
    "ServiceUnavailable",
    "SomethingNew",
  ],
};

describe("AWS's name of the error decides", () => {
  const rows = Object.entries(byName).flatMap(([code, names]) => names.map((name) => ({ name, code })));
  test.each(rows)("$name is $code", ({ name, code }) => {
    for (const operation of ["Decrypt", "Encrypt"] as const) {
      const mapped = mapAwsError(sdkError(name), operation);
      expect(mapped).toBeInstanceOf(OperatorError);
      expect(mapped.code).toBe(code);
      expect(mapped.retry).toBe(["DecryptingError", "KeyNotAllowed"].includes(code) ? "terminal" : "backoff");
      expect(mapped.message).toContain(name);
    }
  });
});

test.each<{ name: string; error: unknown; code: ErrorCode; says: string }>([
  { name: "no region", error: new Error("Region is missing"), code: "KMSAccessDenied", says: "set AWS_REGION" },
  {
    name: "web identity token that is not there",
    error: systemError("ENOENT", { path: "/var/run/token" }),
    code: "KMSAccessDenied",
    says: "/var/run/token",
  },
  {
    name: "connection refused",
    error: systemError("ECONNREFUSED", { address: "127.0.0.1", port: 4599 }),
    code: "KMSUnavailable",
    says: "ECONNREFUSED 127.0.0.1:4599",
  },
  {
    name: "unknown host",
    error: systemError("ENOTFOUND", { hostname: "kms.nowhere.invalid" }),
    code: "KMSUnavailable",
    says: "ENOTFOUND kms.nowhere.invalid",
  },
  { name: "a certificate", error: systemError("CERT_HAS_EXPIRED"), code: "KMSUnavailable", says: "CERT_HAS_EXPIRED" },
  {
    name: "time-out",
    error: Object.assign(new Error("slow"), { name: "TimeoutError" }),
    code: "KMSUnavailable",
    says: "TimeoutError",
  },
  {
    name: "a load balancer's 503",
    error: sdkError("UnknownError", { $metadata: { httpStatusCode: 503 } }),
    code: "KMSUnavailable",
    says: "HTTP 503",
  },
  {
    name: "a proxy's 403",
    error: sdkError("UnknownError", { $metadata: { httpStatusCode: 403 } }),
    code: "KMSAccessDenied",
    says: "HTTP 403",
  },
  {
    name: "429 without a name",
    error: sdkError("UnknownError", { $metadata: { httpStatusCode: 429 } }),
    code: "KMSThrottled",
    says: "HTTP 429",
  },
  { name: "an answer that is no JSON", error: new SyntaxError("x"), code: "KMSUnavailable", says: "SyntaxError" },
  { name: "what is no Error", error: "text", code: "KMSUnavailable", says: "string" },
])("without a name that AWS documents: $name", ({ error, code, says }) => {
  const mapped = mapAwsError(error, "Decrypt");
  expect(mapped.code).toBe(code);
  expect(mapped.message).toContain(says);
});

test("AWS's text is quoted where it names key or identity, and nowhere else", () => {
  const canary = "CANARY-plaintext";
  const withCanary = (name: string) => Object.assign(sdkError(name), { message: canary, $responseBodyText: canary });
  expect(mapAwsError(withCanary("AccessDeniedException"), "Decrypt").message).toContain(canary);
  for (const name of [
    "InvalidCiphertextException",
    "ValidationException",
    "SyntaxError",
    "TypeError",
    "UnknownError",
  ]) {
    const mapped = mapAwsError(withCanary(name), "Decrypt");
    const cause = mapped.cause as Error;
    const told = [mapped.message, cause.message, cause.stack, JSON.stringify(cause), JSON.stringify(mapped)].join("\n");
    expect(told).not.toContain(canary);
    expect(cause.stack).toContain("aws-errors.test.ts");
  }
});

test.each([
  ["IncorrectKeyException", true],
  ["NotFoundException", true],
  ["DisabledException", true],
  ["AccessDeniedException", true],
  // Of STS.
  ["AccessDenied", false],
  ["ExpiredTokenException", false],
  ["CredentialsProviderError", false],
  ["ThrottlingException", false],
  ["KMSInternalException", false],
])("%s concerns the key: %s", (name, expected) => {
  expect(concernsKey(mapAwsError(Object.assign(new Error("x"), { name }), "Decrypt"))).toBe(expected);
});

test("what is safe to tell about a failure", () => {
  const error = sdkError("ThrottlingException", {
    $metadata: { httpStatusCode: 400, requestId: "r-2", attempts: 3, cfId: "never" },
  });
  expect(describeAwsFailure(error)).toEqual({
    name: "ThrottlingException",
    status: 400,
    requestId: "r-2",
    attempts: 3,
  });
  expect(describeAwsFailure(systemError("ECONNRESET"))).toEqual({ name: "Error", systemCode: "ECONNRESET" });
});
