// How long those hold workers who ask a region of KMS that does not answer or lets nothing through: the workers are what
// edits of other regions wait for.
import { CreateKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import pLimit from "p-limit";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Plaintext } from "../base/plaintext.ts";
import { type AwsKms, createAwsKms } from "./aws.ts";
import type { DecryptCall } from "./cipher.ts";
import { type KmsEmulator, startKmsEmulator } from "./emulator/emulator.ts";
import type { FaultSettings } from "./emulator/faults.ts";

const farRegion = "eu-west-1";
let emulator: KmsEmulator;
let kms: AwsKms;

beforeEach(async () => {
  vi.stubEnv("AWS_ACCESS_KEY_ID", "test");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "test");
  vi.stubEnv("AWS_REGION", "us-east-1");
  emulator = await startKmsEmulator();
  kms = createAwsKms({ endpoint: emulator.url });
});

afterEach(async () => {
  vi.unstubAllEnvs();
  kms.close();
  await emulator.close();
});

async function faults(settings: FaultSettings): Promise<void> {
  await fetch(`${emulator.url}/_admin/faults`, { method: "POST", body: JSON.stringify(settings) });
}

/** What one object with three entries of that region asks for, once in a call of its own. */
async function objectIn(region: string): Promise<(call: DecryptCall) => Promise<unknown>> {
  const client = new KMSClient({ endpoint: emulator.url, region });
  const { KeyMetadata } = await client.send(new CreateKeyCommand({}));
  client.destroy();
  const keyId = KeyMetadata?.Arn ?? "";
  const encryptionContext = {};
  const ciphertext = await kms.encrypt({ keyId, plaintext: new Plaintext(Buffer.from("v")), encryptionContext });
  return (call) => {
    const whole = { ...call, keyId };
    return Promise.all([1, 2, 3].map(() => kms.decrypt({ ciphertext, encryptionContext }, whole)));
  };
}

test.each<{ name: string; fault: FaultSettings; isUrgent: boolean }>([
  { name: "hangs, first writes", fault: { outage: "hang" }, isUrgent: false },
  { name: "hangs, edits", fault: { outage: "hang" }, isUrgent: true },
  { name: "throttles everything, edits", fault: { throttle: true }, isUrgent: true },
])("a region that $name: a hundred objects leave a worker within 5 s, and fail", async ({ fault, isUrgent }) => {
  const [far, near] = [await objectIn(farRegion), await objectIn("us-east-1")];
  await faults({ ...fault, regions: [farRegion] });
  const workers = pLimit(16);
  const failing = Promise.allSettled(Array.from({ length: 100 }, () => workers(() => far({ isUrgent }))));
  const since = performance.now();
  await workers(() => near({ isUrgent: true }));
  expect(performance.now() - since).toBeLessThan(5_000);
  for (const { status } of await failing) expect(status).toBe("rejected");

  await faults({});
  await far({ isUrgent });
  await far({ isUrgent });
});

test("a role that STS throttles takes nobody else down, and is named to nobody else", async () => {
  const role = (name: string) => `arn:aws:iam::111122223333:role/${name}`;
  const expiration = new Date(Date.now() + 3_600_000).toISOString();
  const sts = createServer((asked, answer) => {
    void text(asked).then((body) => {
      const isOfB = new URLSearchParams(body).get("RoleArn") === role("b");
      answer
        .writeHead(isOfB ? 400 : 200, { "content-type": "text/xml" })
        .end(
          isOfB
            ? "<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>"
            : `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>a</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>${expiration}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
        );
    });
  }).listen(0, "127.0.0.1");
  await once(sts, "listening");
  vi.stubEnv("AWS_ENDPOINT_URL_STS", `http://127.0.0.1:${(sts.address() as AddressInfo).port}`);
  const object = await objectIn("us-east-1");
  await object({ roleArn: role("a") });
  const failing = Promise.allSettled(Array.from({ length: 30 }, () => object({ roleArn: role("b"), isUrgent: true })));
  const ofA: unknown[] = [];
  const since = performance.now();
  while (performance.now() - since < 3_000) ofA.push(await object({ roleArn: role("a") }).catch((e: unknown) => e));
  expect(ofA.filter((one) => one instanceof Error)).toEqual([]);
  for (const result of await failing) {
    expect(result).toMatchObject({ status: "rejected", reason: { code: "KMSUnavailable" } });
  }
  sts.close();
});
