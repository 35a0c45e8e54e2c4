// How long those hold workers who ask a region of KMS that does not answer or lets nothing through: the workers are what
// edits of other regions wait for.
import { CreateKeyCommand, KMSClient } from "@aws-sdk/client-kms";
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
