// AwsKms through AWS's own SDK against the emulator, in this process: every failure that a server can be made to show.
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DisableKeyCommand,
  KMSClient,
  UpdateAliasCommand,
} from "@aws-sdk/client-kms";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text as textOfStream } from "node:stream/consumers";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { startRelay } from "../../test/env/relay.ts";
import { FakeClock } from "../../test/gen/fake-clock.ts";
import type { ErrorCode } from "../base/errors.ts";
import type { LogFields } from "../base/log.ts";
import { Plaintext } from "../base/plaintext.ts";
import { type AwsKms, type AwsKmsOptions, type BlobRequest, createAwsKms } from "./aws.ts";
import { type KmsEmulator, startKmsEmulator } from "./emulator/emulator.ts";
import type { CallCounts, FaultSettings } from "./emulator/faults.ts";

const value = new Plaintext(Buffer.from("the value"));
let emulator: KmsEmulator;
let opened: { close(): void }[];

beforeEach(async () => {
  // The chain as in a pod with an access key, and nothing of the machine that runs this.
  vi.stubEnv("AWS_ACCESS_KEY_ID", "test");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "test");
  vi.stubEnv("AWS_REGION", "eu-central-1");
  vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
  vi.stubEnv("AWS_CONFIG_FILE", "/dev/null");
  vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
  for (const name of ["AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS", "AWS_SESSION_TOKEN"]) {
    vi.stubEnv(name, undefined);
  }
  emulator = await startKmsEmulator();
  opened = [];
});

afterEach(async () => {
  vi.unstubAllEnvs();
  for (const one of opened) one.close();
  await emulator.close();
});

function connect(options: AwsKmsOptions = {}): AwsKms {
  const kms = createAwsKms({ endpoint: emulator.url, ...options });
  opened.push(kms);
  return kms;
}

/** AWS's own client, for what is no business of AwsKms. */
function sdk(region = "eu-central-1"): KMSClient {
  const client = new KMSClient({ endpoint: emulator.url, region });
  opened.push({ close: () => client.destroy() });
  return client;
}

/** @returns its ARN */
async function newKey(region?: string): Promise<string> {
  const { KeyMetadata } = await sdk(region).send(new CreateKeyCommand({}));
  return KeyMetadata?.Arn ?? "";
}

async function newAlias(keyArn: string): Promise<string> {
  const name = `alias/${randomUUID()}`;
  await sdk().send(new CreateAliasCommand({ AliasName: name, TargetKeyId: keyArn }));
  return name;
}

async function encrypted(keyId: string): Promise<BlobRequest> {
  const ciphertext = await connect().encrypt({ keyId, plaintext: value, encryptionContext: {} });
  return { ciphertext, encryptionContext: {} };
}

async function decryptCalls(): Promise<number> {
  return (await calls()).operations["Decrypt"] ?? 0;
}

async function faults(settings: FaultSettings): Promise<void> {
  await fetch(`${emulator.url}/_admin/faults`, { method: "POST", body: JSON.stringify(settings) });
}

async function calls(): Promise<CallCounts> {
  return (await (await fetch(`${emulator.url}/_admin/calls`)).json()) as CallCounts;
}

/** Those that the emulator reads. */
const headersOf = ({ headers }: IncomingMessage) =>
  Object.fromEntries(["x-amz-target", "authorization", "content-type"].map((name) => [name, String(headers[name])]));

const textOf = (plaintext: Plaintext) => Buffer.from(plaintext.open()).toString();

const failure = (code: ErrorCode, text = "") =>
  expect.objectContaining({ code, message: expect.stringContaining(text) });

describe("round trip", () => {
  test("many values under many pairs, in any order of the pairs", async () => {
    const kms = connect();
    const keyId = await newKey();
    const context = fc.dictionary(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }), { maxKeys: 6 });
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 100 }), context, async (bytes, encryptionContext) => {
        const ciphertext = await kms.encrypt({ keyId, plaintext: new Plaintext(bytes), encryptionContext });
        const reversed = Object.fromEntries(Object.entries(encryptionContext).toReversed());
        const plaintext = await kms.decrypt({ ciphertext, encryptionContext: reversed });
        expect(Buffer.from(plaintext.open())).toEqual(Buffer.from(bytes));
      }),
      { numRuns: 30 },
    );
  });

  test("pairs that only look alike when joined are not interchangeable", async () => {
    const kms = connect();
    const ciphertext = await kms.encrypt({ keyId: await newKey(), plaintext: value, encryptionContext: { a: "bc" } });
    await expect(kms.decrypt({ ciphertext, encryptionContext: { ab: "c" } })).rejects.toEqual(
      failure("DecryptingError", "encryption context"),
    );
  });
});

describe("endpoint and region", () => {
  test.each(["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS"])("the SDK honours %s", async (name) => {
    const keyId = await newKey();
    vi.stubEnv(name, emulator.url);
    const kms = createAwsKms();
    opened.push(kms);
    const ciphertext = await kms.encrypt({ keyId, plaintext: value, encryptionContext: {} });
    expect(textOf(await kms.decrypt({ ciphertext, encryptionContext: {} }))).toBe("the value");
    expect(keyId).toContain(":eu-central-1:");
  });

  test("no region at all", async () => {
    vi.stubEnv("AWS_REGION", undefined);
    await expect(connect().decrypt({ ciphertext: Buffer.from("x"), encryptionContext: {} })).rejects.toEqual(
      failure("KMSAccessDenied", "set AWS_REGION"),
    );
  });

  test("a region that is handed in wins over the environment", async () => {
    const keyId = (await newKey()).split("/")[1] ?? "";
    await expect(
      connect({ region: "us-west-2" }).encrypt({ keyId, plaintext: value, encryptionContext: {} }),
    ).rejects.toEqual(failure("DecryptingError", "NotFoundException"));
  });
});

describe("which key", () => {
  test("its ARN says which region is asked", async () => {
    const keyId = await newKey("ap-southeast-2");
    const request = await encrypted(keyId);
    expect(textOf(await connect().decrypt(request, { keyId }))).toBe("the value");
    await expect(connect().decrypt(request)).rejects.toEqual(failure("KMSAccessDenied"));
  });

  test("another than the one that is named", async () => {
    const request = await encrypted(await newKey());
    const keyId = await newKey();
    await expect(connect().decrypt(request, { keyId })).rejects.toEqual(failure("KeyNotAllowed", "spec.kmsKeyId"));
  });

  test("a list of keys holds for the answer: by ARN, by id, by alias, and by both lists", async () => {
    const [keyArn, otherArn] = [await newKey(), await newKey()];
    const [alias, otherAlias] = [await newAlias(keyArn), await newAlias(otherArn)];
    const id = keyArn.split("/")[1] ?? "";
    const request = await encrypted(keyArn);
    for (const allowedKeys of [
      [keyArn],
      [id],
      [alias],
      [otherArn, keyArn],
      [otherArn, id],
      [otherAlias, alias],
      ["*"],
    ]) {
      expect(textOf(await connect({ allowedKeys }).decrypt(request))).toBe("the value");
      expect(textOf(await connect().decrypt(request, { allowedKeys }))).toBe("the value");
      for (const keyId of [keyArn, id, alias]) {
        expect(textOf(await connect({ allowedKeys }).decrypt(request, { keyId, allowedKeys }))).toBe("the value");
      }
    }
    for (const allowedKeys of [[otherArn], [otherAlias], [otherArn, otherAlias], ["alias/none", otherArn], ["age1x"]]) {
      const refused = failure("KeyNotAllowed");
      await expect(connect({ allowedKeys }).decrypt(request)).rejects.toEqual(refused);
      await expect(connect({ allowedKeys: [keyArn, alias] }).decrypt(request, { allowedKeys })).rejects.toEqual(
        refused,
      );
      for (const keyId of [keyArn, id, alias]) {
        await expect(connect({ allowedKeys }).decrypt(request, { keyId })).rejects.toEqual(refused);
      }
    }
  });

  test("an alias is looked up once, and again after five minutes; each at most once for one value", async () => {
    const clock = new FakeClock();
    const [keyArn, otherArn] = [await newKey(), await newKey()];
    const aliases = [await newAlias(otherArn), await newAlias(keyArn), await newAlias(otherArn)];
    const kms = connect({ allowedKeys: aliases, clock });
    const request = await encrypted(keyArn);
    for (const total of [3, 4, 5]) {
      await kms.decrypt(request);
      expect(await decryptCalls()).toBe(total);
    }
    await clock.advance(300_001);
    await kms.decrypt(request);
    expect(await decryptCalls()).toBe(8);
    const stranger = await encrypted(await newKey());
    await expect(kms.decrypt(stranger)).rejects.toEqual(failure("KeyNotAllowed", "arn:aws:kms"));
    expect(await decryptCalls()).toBe(8 + 4);
    await expect(kms.decrypt(stranger)).rejects.toEqual(failure("KeyNotAllowed"));
    expect(await decryptCalls()).toBe(12 + 1);
  });

  test("an alias that was pointed at another key is asked again before a value is refused", async () => {
    const clock = new FakeClock();
    const [before, after] = [await newKey(), await newKey()];
    const [alias, otherAlias] = [await newAlias(before), await newAlias(await newKey())];
    const kms = connect({ allowedKeys: [alias, otherAlias], clock });
    await kms.decrypt(await encrypted(before));
    const request = await encrypted(after);
    await expect(kms.decrypt(request)).rejects.toEqual(failure("KeyNotAllowed"));
    await sdk().send(new UpdateAliasCommand({ AliasName: alias, TargetKeyId: after }));
    await clock.advance(5_001);
    expect(textOf(await kms.decrypt(request))).toBe("the value");
    const total = await decryptCalls();
    expect(textOf(await kms.decrypt(request))).toBe("the value");
    expect(await decryptCalls()).toBe(total + 1);
    await expect(kms.decrypt(await encrypted(before))).rejects.toEqual(failure("KeyNotAllowed"));
  });

  test("credentials that are refused while an alias is looked up say nothing of the key", async () => {
    const keyArn = await newKey();
    const aliases = [await newAlias(await newKey()), await newAlias(keyArn)];
    const request = await encrypted(keyArn);
    // They expire once KMS has answered with the value's own key.
    const server = createServer((asked, answer) => {
      void textOfStream(asked).then(async (body) => {
        const isLookUp = "KeyId" in (JSON.parse(body) as object);
        if (isLookUp) answer.writeHead(400).end('{"__type":"ExpiredTokenException"}');
        else answer.end(await (await fetch(emulator.url, { method: "POST", headers: headersOf(asked), body })).text());
      });
    }).listen(0, "127.0.0.1");
    opened.push(server);
    await once(server, "listening");
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await expect(connect({ allowedKeys: aliases, endpoint }).decrypt(request)).rejects.toEqual(
      failure("KMSAccessDenied", "ExpiredTokenException"),
    );
  });

  test("throttling while an alias is looked up is throttling", async () => {
    vi.stubEnv("AWS_MAX_ATTEMPTS", "1");
    const keyArn = await newKey();
    const aliases = [await newAlias(await newKey()), await newAlias(keyArn)];
    const request = await encrypted(keyArn);
    await faults({ throttle: 1 });
    await expect(connect({ allowedKeys: aliases }).decrypt(request)).rejects.toEqual(failure("KMSThrottled"));
  });
});

describe("connections", () => {
  test("after one that was lost without a sign, no other from before is used", async () => {
    await using relay = await startRelay(new URL(emulator.url).host);
    const kms = connect({ endpoint: `http://${relay.address}`, requestTimeoutMs: 500 });
    const request = await encrypted(await newKey());
    await faults({ latencyMs: 50 });
    const many = (count: number) => Promise.all(Array.from({ length: count }, () => kms.decrypt(request)));
    await many(10);
    expect(relay.lose()).toBe(10);
    for (const plaintext of await many(3)) expect(textOf(plaintext)).toBe("the value");
    expect(await decryptCalls()).toBe(13);
  });
});

describe("credentials", () => {
  test("none anywhere", async () => {
    vi.stubEnv("AWS_ACCESS_KEY_ID", undefined);
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", undefined);
    await expect(connect().decrypt({ ciphertext: Buffer.from("x"), encryptionContext: {} })).rejects.toEqual(
      failure("KMSAccessDenied", "CredentialsProviderError"),
    );
  });

  test("a web identity token file that is not there", async () => {
    vi.stubEnv("AWS_ACCESS_KEY_ID", undefined);
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", undefined);
    vi.stubEnv("AWS_WEB_IDENTITY_TOKEN_FILE", "/nonexistent/token");
    vi.stubEnv("AWS_ROLE_ARN", "arn:aws:iam::000000000000:role/operator");
    await expect(connect().decrypt({ ciphertext: Buffer.from("x"), encryptionContext: {} })).rejects.toEqual(
      failure("KMSAccessDenied", "/nonexistent/token"),
    );
  });
});

describe("failures", () => {
  // Only where there is no answer to miss: a loaded machine may need longer for one.
  const impatient = { requestTimeoutMs: 150 };

  test.each<{ name: string; fault: FaultSettings; code: ErrorCode; attempts: number; options?: AwsKmsOptions }>([
    { name: "HTTP 500", fault: { outage: "error" }, code: "KMSUnavailable", attempts: 2 },
    { name: "broken connections", fault: { outage: "reset" }, code: "KMSUnavailable", attempts: 2 },
    { name: "no answer", fault: { outage: "hang" }, code: "KMSUnavailable", attempts: 2, options: impatient },
    { name: "a slow answer", fault: { latencyMs: 60_000 }, code: "KMSUnavailable", attempts: 2, options: impatient },
    { name: "no permission", fault: { accessDenied: true }, code: "KMSAccessDenied", attempts: 1 },
  ])("$name is $code after $attempts attempts", async ({ fault, code, attempts, options }) => {
    // As an administrator would set it; two attempts keep the SDK's pauses short.
    vi.stubEnv("AWS_MAX_ATTEMPTS", "2");
    const kms = connect(options);
    await faults(fault);
    await expect(kms.decrypt({ ciphertext: Buffer.from("x"), encryptionContext: {} })).rejects.toEqual(failure(code));
    expect((await calls()).operations).toEqual({ Decrypt: attempts });
  });

  test("throttling is KMSThrottled, of which AWS_MAX_ATTEMPTS=1 hears at once", async () => {
    vi.stubEnv("AWS_MAX_ATTEMPTS", "1");
    await faults({ throttle: true });
    await expect(connect().decrypt({ ciphertext: Buffer.from("x"), encryptionContext: {} })).rejects.toEqual(
      failure("KMSThrottled"),
    );
    expect((await calls()).operations).toEqual({ Decrypt: 1 });
  });

  test("a short throttling heals within the call", async () => {
    const kms = connect();
    const ciphertext = await kms.encrypt({ keyId: await newKey(), plaintext: value, encryptionContext: {} });
    await faults({ throttle: true, times: 1 });
    expect(textOf(await kms.decrypt({ ciphertext, encryptionContext: {} }))).toBe("the value");
    expect((await calls()).errors).toEqual({ ThrottlingException: 1 });
  });

  test("nobody listens", async () => {
    vi.stubEnv("AWS_MAX_ATTEMPTS", "1");
    const kms = connect();
    await emulator.close();
    await expect(kms.decrypt({ ciphertext: Buffer.from("x"), encryptionContext: {} })).rejects.toEqual(
      failure("KMSUnavailable", `ECONNREFUSED ${new URL(emulator.url).host}`),
    );
    emulator = await startKmsEmulator();
  });

  test("a disabled key, an unknown key, a damaged ciphertext, an empty and a too long one", async () => {
    const kms = connect();
    const keyId = await newKey();
    const encryptionContext = {};
    const ciphertext = await kms.encrypt({ keyId, plaintext: value, encryptionContext });
    const damaged = Buffer.from(ciphertext);
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
    const decrypt = (bytes: Uint8Array) => kms.decrypt({ ciphertext: bytes, encryptionContext });
    await expect(decrypt(damaged)).rejects.toEqual(failure("DecryptingError", "InvalidCiphertextException"));
    await expect(decrypt(Buffer.alloc(0))).rejects.toEqual(failure("DecryptingError", "ValidationException"));
    await expect(decrypt(Buffer.alloc(6145))).rejects.toEqual(failure("DecryptingError", "ValidationException"));
    await expect(kms.encrypt({ keyId: "alias/none", plaintext: value, encryptionContext })).rejects.toEqual(
      failure("DecryptingError", "NotFoundException"),
    );
    await sdk().send(new DisableKeyCommand({ KeyId: keyId }));
    await expect(decrypt(ciphertext)).rejects.toEqual(failure("DecryptingError", "is disabled"));
  });

  test("a failed call is told at debug level, with AWS's request id", async () => {
    const lines: LogFields[] = [];
    const ignore = () => {};
    const logger = { debug: (fields: LogFields) => lines.push(fields), info: ignore, warn: ignore, error: ignore };
    await expect(connect({ logger }).decrypt({ ciphertext: Buffer.from("x"), encryptionContext: {} })).rejects.toEqual(
      failure("DecryptingError"),
    );
    expect(lines).toEqual([
      {
        operation: "Decrypt",
        code: "DecryptingError",
        failure: {
          name: "InvalidCiphertextException",
          status: 400,
          requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
          attempts: 1,
        },
      },
    ]);
  });
});

describe("an answer that is not KMS's", () => {
  let server: Server;

  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  /** Answers every request with that body; an unfinished one stays open. */
  async function answering(body: string, finished = true): Promise<string> {
    server = createServer((request, response) => {
      request.resume();
      response.writeHead(200, { "content-type": "application/x-amz-json-1.1" });
      if (finished) response.end(body);
      else response.write(body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  test.each([
    { name: "broken JSON around a plaintext", body: '{"Plaintext": "Q0FOQVJZ" CANARY', finished: true },
    { name: "no plaintext in it", body: '{"KeyId": "CANARY"}', finished: true },
    { name: "a page of a proxy", body: "<html>CANARY</html>", finished: true },
    { name: "a body that stalls", body: '{"Plaintext": "Q0FOQVJZ', finished: false },
  ])("$name is KMSUnavailable, and nothing of it is told", async ({ body, finished }) => {
    vi.stubEnv("AWS_MAX_ATTEMPTS", "1");
    const kms = connect({ endpoint: await answering(body, finished), ...(!finished && { requestTimeoutMs: 150 }) });
    const error = await kms.decrypt({ ciphertext: Buffer.from("x"), encryptionContext: {} }).catch((e: unknown) => e);
    expect(error).toEqual(failure("KMSUnavailable"));
    const { message, cause } = error as Error;
    const told = [message, (cause as Error).message, (cause as Error).stack, JSON.stringify(error)].join("\n");
    expect(told).not.toMatch(/CANARY|Q0FOQVJZ/);
  });
});

describe("how many at once", () => {
  test("no more than maxInFlight", async () => {
    const kms = connect({ maxInFlight: 3 });
    const ciphertext = await kms.encrypt({ keyId: await newKey(), plaintext: value, encryptionContext: {} });
    await faults({ latencyMs: 20 });
    await Promise.all(Array.from({ length: 12 }, () => kms.decrypt({ ciphertext, encryptionContext: {} })));
    expect((await calls()).peakInFlight).toBe(3);
  });

  test("an abort ends the call under way, and those that wait never start", async () => {
    const kms = connect({ maxInFlight: 1 });
    await faults({ outage: "hang" });
    const abort = new AbortController();
    const under = [1, 2, 3].map(() =>
      kms.decrypt({ ciphertext: Buffer.from("x"), encryptionContext: {} }, { signal: abort.signal }),
    );
    const settled = Promise.allSettled(under);
    await expect.poll(async () => (await calls()).total).toBe(1);
    abort.abort();
    for (const result of await settled) {
      expect(result).toEqual({ status: "rejected", reason: failure("KMSUnavailable", "cancelled") });
    }
    expect((await calls()).total).toBe(1);
  });
});
