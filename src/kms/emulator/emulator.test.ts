// The emulator as a server: protocol, faults, counters, state file. That it behaves as AWS KMS does is in
// test/conformance/kms.test.ts, through AWS's SDK.
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeClock } from "../../../test/gen/fake-clock.ts";
import { type KmsEmulator, startKmsEmulator } from "./emulator.ts";
import { type CallCounts, Faults, type FaultSettings } from "./faults.ts";

let emulator: KmsEmulator;

beforeEach(async () => {
  emulator = await startKmsEmulator();
});

afterEach(async () => {
  await emulator.close();
});

const signature = (region: string) => ({
  authorization: `AWS4-HMAC-SHA256 Credential=id/20260101/${region}/kms/aws4_request, SignedHeaders=host, Signature=0`,
});

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** As far as the tests look at it. */
  readonly json: { KeyMetadata: { KeyId: string; Arn: string }; CiphertextBlob: string };
}

async function call(
  operation: string,
  body: object | string,
  headers: object = signature("us-east-1"),
): Promise<Answer> {
  const response = await fetch(emulator.url, {
    method: "POST",
    headers: { "x-amz-target": `TrentService.${operation}`, ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, json: (await response.json()) as Answer["json"] };
}

async function encrypted(): Promise<{ readonly CiphertextBlob: string; readonly KeyId: string }> {
  const { KeyId } = (await call("CreateKey", {})).json.KeyMetadata;
  return { CiphertextBlob: (await call("Encrypt", { KeyId, Plaintext: "dmFsdWU=" })).json.CiphertextBlob, KeyId };
}

async function admin(method: string, path: string, body?: FaultSettings | string): Promise<Response> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return await fetch(`${emulator.url}/_admin/${path}`, { method, ...(body !== undefined && { body: text }) });
}

async function calls(): Promise<CallCounts> {
  return (await (await admin("GET", "calls")).json()) as CallCounts;
}

describe("protocol", () => {
  test("an answer has AWS's content type and a request id", async () => {
    const { status, headers } = await call("ListKeys", {});
    expect(status).toBe(200);
    expect(headers.get("content-type")).toBe("application/x-amz-json-1.1");
    expect(headers.get("x-amzn-requestid")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("an error names itself in body and header", async () => {
    const { status, headers, json } = await call("DescribeKey", { KeyId: "alias/none" });
    expect(status).toBe(400);
    expect(headers.get("x-amzn-errortype")).toBe("NotFoundException");
    expect(json).toEqual({
      __type: "NotFoundException",
      message: "Alias arn:aws:kms:us-east-1:000000000000:alias/none is not found.",
    });
  });

  test.each([
    { name: "no JSON", operation: "ListKeys", body: "{", error: "SerializationException" },
    { name: "no object", operation: "ListKeys", body: "[]", error: "SerializationException" },
    { name: "unknown operation", operation: "Sign", body: {}, error: "UnknownOperationException" },
    { name: "an inherited name", operation: "toString", body: {}, error: "UnknownOperationException" },
    { name: "a number for a string", operation: "DescribeKey", body: { KeyId: 1 }, error: "SerializationException" },
    { name: "no base64", operation: "Decrypt", body: { CiphertextBlob: "*" }, error: "SerializationException" },
    { name: "blob missing", operation: "Decrypt", body: {}, error: "ValidationException" },
    {
      name: "encryption context that is a list",
      operation: "Decrypt",
      body: { CiphertextBlob: "YQ==", EncryptionContext: [] },
      error: "SerializationException",
    },
    {
      name: "encryption context with a number",
      operation: "Decrypt",
      body: { CiphertextBlob: "YQ==", EncryptionContext: { a: 1 } },
      error: "SerializationException",
    },
    {
      name: "encryption context with half a surrogate pair",
      operation: "Decrypt",
      body: '{"CiphertextBlob": "YQ==", "EncryptionContext": {"a": "\\ud800"}}',
      error: "SerializationException",
    },
  ])("$name is $error", async ({ operation, body, error }) => {
    const { status, json } = await call(operation, body);
    expect(status).toBe(400);
    expect(json).toMatchObject({ __type: error });
  });

  test("a request without a signature", async () => {
    expect((await call("ListKeys", {}, {})).json).toMatchObject({ __type: "MissingAuthenticationTokenException" });
  });

  test("a key belongs to the region of the signature that made it", async () => {
    const { CiphertextBlob, KeyId } = await encrypted();
    const elsewhere = signature("eu-west-1");
    const arn = `arn:aws:kms:us-east-1:000000000000:key/${KeyId}`;
    expect((await call("DescribeKey", { KeyId: arn })).status).toBe(200);
    expect((await call("DescribeKey", { KeyId: arn }, elsewhere)).json).toMatchObject({ __type: "NotFoundException" });
    expect((await call("DescribeKey", { KeyId }, elsewhere)).json).toMatchObject({ __type: "NotFoundException" });
    expect((await call("Decrypt", { CiphertextBlob }, elsewhere)).json).toMatchObject({
      __type: "AccessDeniedException",
    });
    expect((await call("CreateKey", {}, elsewhere)).json.KeyMetadata.Arn).toMatch(/^arn:aws:kms:eu-west-1:/);
  });
});

describe("faults", () => {
  test.each<{ fault: FaultSettings; status: number; error: string }>([
    { fault: { throttle: true }, status: 400, error: "ThrottlingException" },
    { fault: { throttle: 0 }, status: 400, error: "ThrottlingException" },
    { fault: { outage: "error" }, status: 500, error: "KMSInternalException" },
    { fault: { accessDenied: true }, status: 400, error: "AccessDeniedException" },
  ])("$fault is $error, until it is ended", async ({ fault, status, error }) => {
    const { CiphertextBlob } = await encrypted();
    await admin("POST", "faults", { ...fault, operations: ["Decrypt"] });
    const failed = await call("Decrypt", { CiphertextBlob });
    expect(failed.status).toBe(status);
    expect(failed.json).toMatchObject({ __type: error });
    expect((await call("ListKeys", {})).status).toBe(200);
    await admin("POST", "faults", {});
    expect((await call("Decrypt", { CiphertextBlob })).status).toBe(200);
    expect((await calls()).errors).toEqual({ [error]: 1 });
  });

  test("a connection reset", async () => {
    await admin("POST", "faults", { outage: "reset" });
    await expect(call("ListKeys", {})).rejects.toThrow("fetch failed");
    expect((await calls()).errors).toEqual({ reset: 1 });
  });

  test("no answer ever", async () => {
    await admin("POST", "faults", { outage: "hang" });
    const hanging = call("ListKeys", {});
    await expect.poll(async () => (await calls()).errors).toEqual({ hang: 1 });
    await emulator.close();
    await expect(hanging).rejects.toThrow("fetch failed");
    emulator = await startKmsEmulator();
  });

  test("a fault for so many calls ends by itself", async () => {
    await admin("POST", "faults", { throttle: true, times: 2 });
    const results = [];
    for (let i = 0; i < 4; i++) results.push((await call("ListKeys", {})).status);
    expect(results).toEqual([400, 400, 200, 200]);
  });

  test("what is no fault is refused by name", async () => {
    const response = await admin("POST", "faults", '{"latency": 5}');
    expect(response.status).toBe(400);
    expect(JSON.stringify(await response.json())).toContain("latency");
    expect((await admin("POST", "faults", "{")).status).toBe(400);
    expect((await admin("GET", "nothing")).status).toBe(404);
  });

  test("latency is waited for on the clock", async () => {
    await emulator.close();
    const clock = new FakeClock();
    emulator = await startKmsEmulator({ clock });
    await admin("POST", "faults", { latencyMs: 500 });
    const both = Promise.all([call("ListKeys", {}), call("ListKeys", {})]);
    await expect.poll(() => clock.timers).toBe(2);
    await clock.advance(499);
    expect(clock.timers).toBe(2);
    await clock.advance(1);
    expect((await both).map(({ status }) => status)).toEqual([200, 200]);
    expect((await calls()).peakInFlight).toBe(2);
  });

  test("a throttle by rate lets one second's worth through", async () => {
    const clock = new FakeClock();
    const faults = new Faults(clock);
    faults.set({ throttle: 3 });
    const through = (count: number) =>
      Array.from({ length: count }, () => faults.judge("Decrypt", "us-east-1").failure).filter(
        (failure) => failure === undefined,
      ).length;
    expect(through(10)).toBe(3);
    await clock.advance(1_000);
    expect(through(10)).toBe(3);
    await clock.advance(60_000);
    expect(through(10)).toBe(3);
  });
});

test("a fault of one region is none of another", () => {
  const faults = new Faults(new FakeClock());
  faults.set({ outage: "hang", regions: ["eu-west-1"] });
  expect(faults.judge("Decrypt", "eu-west-1").failure).toBe("hang");
  expect(faults.judge("Decrypt", "us-east-1").failure).toBeUndefined();
});

test("calls are counted by operation, and reset forgets counts and faults but no key", async () => {
  const { CiphertextBlob } = await encrypted();
  await call("Decrypt", { CiphertextBlob });
  await call("Decrypt", { CiphertextBlob });
  await call("Decrypt", { CiphertextBlob: "YQ==" });
  expect(await calls()).toEqual({
    total: 5,
    operations: { CreateKey: 1, Encrypt: 1, Decrypt: 3 },
    errors: { InvalidCiphertextException: 1 },
    peakInFlight: 1,
  });
  await admin("POST", "faults", { outage: "error" });
  await admin("POST", "reset");
  expect(await calls()).toEqual({ total: 0, operations: {}, errors: {}, peakInFlight: 0 });
  expect((await call("Decrypt", { CiphertextBlob })).status).toBe(200);
});

describe("state file", () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "kms-emulator-"));
  });

  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  async function restart(stateFile?: string): Promise<void> {
    await emulator.close();
    emulator = await startKmsEmulator(stateFile === undefined ? {} : { stateFile });
  }

  test("keys, their states and aliases outlive a restart", async () => {
    const stateFile = join(directory, "state.json");
    await restart(stateFile);
    const { CiphertextBlob, KeyId } = await encrypted();
    const disabled = await encrypted();
    await call("CreateAlias", { AliasName: "alias/app", TargetKeyId: KeyId });
    await call("DisableKey", { KeyId: disabled.KeyId });
    await restart(stateFile);
    expect((await call("Decrypt", { CiphertextBlob, KeyId: "alias/app" })).json).toMatchObject({
      Plaintext: "dmFsdWU=",
    });
    expect((await call("Decrypt", { CiphertextBlob: disabled.CiphertextBlob })).json).toMatchObject({
      __type: "DisabledException",
    });
    expect((await stat(stateFile)).mode & 0o777).toBe(0o600);
  });

  test("without one a restart forgets every key", async () => {
    const { CiphertextBlob } = await encrypted();
    await restart();
    expect((await call("Decrypt", { CiphertextBlob })).json).toMatchObject({ __type: "AccessDeniedException" });
  });

  test("a file that is no state is refused, not overwritten and not quoted", async () => {
    const stateFile = join(directory, "other.txt");
    await writeFile(stateFile, "something dear");
    const failure = await startKmsEmulator({ stateFile }).catch((error: unknown) => error);
    expect(String(failure)).toContain(stateFile);
    expect(String(failure)).not.toContain("dear");
    expect(await readFile(stateFile, "utf8")).toBe("something dear");
  });
});

describe("listen address", () => {
  test.each(["127.0.0.1:0", "127.0.0.2:0", "localhost:0"])("%s is on loopback", async (listen) => {
    const other = await startKmsEmulator({ listen });
    expect((await fetch(`${other.url}/_admin/calls`)).status).toBe(200);
    await other.close();
  });

  test.each(["0.0.0.0:0", "[::]:0", "10.0.0.1:80", "192.168.1.1:0", "example.org:80", ":0", "127.0.0.1.evil.test:0"])(
    "%s is refused, and the reason told",
    async (listen) => {
      await expect(startKmsEmulator({ listen })).rejects.toThrow("for development and tests only");
    },
  );

  test.each(["", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:x"])("%j is no address", async (listen) => {
    await expect(startKmsEmulator({ listen })).rejects.toThrow("is no host:port");
  });

  test("a port that is taken", async () => {
    await expect(startKmsEmulator({ listen: new URL(emulator.url).host })).rejects.toThrow("EADDRINUSE");
  });
});
