// KMS asked as an AWS role, against moto, which has STS and KMS and keeps the keys of accounts apart: what a role of
// another account decrypts was decrypted as that role.
import { CreateKeyCommand, EncryptCommand, KMSClient } from "@aws-sdk/client-kms";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { request } from "undici";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { type AwsKms, type AwsKmsOptions, type BlobRequest, createAwsKms } from "../../src/kms/aws.ts";
import { RoleTaker } from "../../src/kms/credentials.ts";
import { type AwsIdentity, startAwsIdentity } from "../env/aws-identity.ts";

const region = "eu-west-1";
const account = "111122223333";
const roleArn = `arn:aws:iam::${account}:role/team/kms`;
const otherRoleArn = `arn:aws:iam::444455556666:role/kms`;

let aws: AwsIdentity;
let blob: BlobRequest;
let opened: { close(): void }[];

beforeAll(async () => {
  aws = await startAwsIdentity();
  await aws.checkSignatures(false);
  const taker = new RoleTaker(roleArn, { region, endpoint: aws.url, credentials: credentialsOf(aws) });
  const client = new KMSClient({ region, endpoint: aws.url, credentials: () => taker.take() });
  const { KeyMetadata } = await client.send(new CreateKeyCommand({}));
  expect(KeyMetadata?.AWSAccountId).toBe(account);
  const answer = await client.send(
    new EncryptCommand({ KeyId: KeyMetadata?.KeyId, Plaintext: Buffer.from("the value") }),
  );
  blob = { ciphertext: answer.CiphertextBlob ?? new Uint8Array(), encryptionContext: {} };
  client.destroy();
  taker.close();
});

afterAll(() => aws[Symbol.asyncDispose]());

beforeEach(async () => {
  opened = [];
  vi.stubEnv("AWS_ENDPOINT_URL", aws.url);
  vi.stubEnv("AWS_REGION", region);
  vi.stubEnv("AWS_ACCESS_KEY_ID", aws.operator.id);
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", aws.operator.secret);
  await recorder("reset-recording");
  await recorder("start-recording");
});

afterEach(async () => {
  await recorder("stop-recording");
  await aws.checkSignatures(false);
  for (const one of opened) one.close();
  vi.unstubAllEnvs();
});

function credentialsOf({ operator }: AwsIdentity) {
  return { accessKeyId: operator.id, secretAccessKey: operator.secret };
}

function connect(options: AwsKmsOptions): AwsKms {
  const kms = createAwsKms(options);
  opened.push(kms);
  return kms;
}

async function recorder(action: string): Promise<string> {
  const method = action === "download-recording" ? "GET" : "POST";
  const { body } = await request(`${aws.url}/moto-api/recorder/${action}`, { method });
  return body.text();
}

/** The requests for roles that STS was sent since the test began. */
async function rolesAsked(): Promise<URLSearchParams[]> {
  const lines = (await recorder("download-recording")).split("\n").filter((line) => line !== "");
  return lines
    .map((line) => new URLSearchParams(Buffer.from((JSON.parse(line) as { body: string }).body, "base64").toString()))
    .filter((body) => body.get("Action") === "AssumeRole");
}

const textOf = async (kms: AwsKms, call = {}) => Buffer.from((await kms.decrypt(blob, call)).open()).toString();

test("the operator's own role is taken once for many values", async () => {
  const kms = connect({ roleArn });
  const texts = await Promise.all(Array.from({ length: 30 }, () => textOf(kms)));
  expect(new Set([...texts, await textOf(kms)])).toEqual(new Set(["the value"]));
  const [asked, ...more] = await rolesAsked();
  expect(asked?.get("RoleArn")).toBe(roleArn);
  expect(asked?.get("RoleSessionName")).toBe("kms-vault-operator");
  expect(more).toEqual([]);
});

test("an object's role wins, and each has credentials of its own", async () => {
  const kms = connect({ roleArn: otherRoleArn });
  await expect(textOf(kms)).rejects.toMatchObject({ name: "OperatorError" });
  expect(await textOf(kms, { roleArn })).toBe("the value");
  await expect(textOf(kms)).rejects.toMatchObject({ name: "OperatorError" });
  expect((await rolesAsked()).map((asked) => asked.get("RoleArn"))).toEqual([otherRoleArn, roleArn]);
});

test("without a role it is the operator's own identity, whose account has no such key", async () => {
  await expect(textOf(connect({}))).rejects.toMatchObject({ name: "OperatorError" });
  expect(await rolesAsked()).toEqual([]);
});

test("a role that may not be taken is KMSAccessDenied, in AWS's words", async () => {
  await aws.checkSignatures(true);
  await expect(textOf(connect({ roleArn }))).rejects.toMatchObject({
    code: "KMSAccessDenied",
    retry: "backoff",
    message: expect.stringMatching(
      /role arn:aws:iam::.*:role\/team\/kms cannot be taken; allow sts:AssumeRole.*not authorized/,
    ),
  });
});

test("an STS that is not there is KMSUnavailable", async () => {
  vi.stubEnv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9");
  await expect(textOf(connect({ roleArn }))).rejects.toMatchObject({
    code: "KMSUnavailable",
    message: expect.stringContaining("cannot be taken; it is tried again by itself"),
  });
});

test("an STS that does not answer holds nobody up longer than KMS would", async () => {
  const silent = createServer().listen(0, "127.0.0.1");
  await once(silent, "listening");
  vi.stubEnv("AWS_ENDPOINT_URL_STS", `http://127.0.0.1:${(silent.address() as AddressInfo).port}`);
  const kms = connect({ roleArn });
  const since = performance.now();
  const results = await Promise.allSettled(Array.from({ length: 30 }, () => textOf(kms)));
  expect(performance.now() - since).toBeLessThan(5_000);
  expect(results.filter(({ status }) => status === "fulfilled")).toEqual([]);
  silent.close();
});

test("what is no role is not asked for", async () => {
  await expect(textOf(connect({}), { roleArn: "arn:aws:iam::1:user/x" })).rejects.toMatchObject({
    code: "KMSAccessDenied",
    retry: "terminal",
  });
  expect(await rolesAsked()).toEqual([]);
});
