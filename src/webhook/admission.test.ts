// Reviews as a whole, where they are strange or very large: what an answer costs is bounded, whatever is asked. What real
// API servers ask: test/integration/webhook-*.test.ts.
import { describe, expect, test } from "vitest";
import { systemClock } from "../base/clock.ts";
import { OperatorError } from "../base/errors.ts";
import { Plaintext } from "../base/plaintext.ts";
import type { Decryptor } from "../kms/cipher.ts";
import { Includers } from "./includers.ts";
import { throughTurnstile } from "./turnstile.ts";
import type { TenancyPolicy } from "../policy/policy.ts";
import { Admission, type AdmissionOptions } from "./admission.ts";

const metrics = { reviewed() {}, uncheckedValue() {} };
const policy: TenancyPolicy = {
  refusals: () => [],
  removalRefusals: () => [],
  assertMayUse() {},
  grants: () => ({ mayLogIn: () => false }),
};
const never = new AbortController().signal;

function admission(options: Partial<AdmissionOptions> = {}) {
  const lines: { readonly fields: object; readonly message: string }[] = [];
  const log = (fields: object, message: string) => lines.push({ fields, message });
  const decryptor: Decryptor = { decrypt: async () => new Plaintext(Buffer.of()) };
  const hook = new Admission({
    mode: "deny",
    assertPath: () => {},
    assertCiphertext: () => {},
    policy,
    decryptor,
    includers: new Includers(() => {
      throw new Error("asked for who includes it");
    }, policy),
    clock: systemClock,
    logger: { debug: log, info: log, warn: log, error: log },
    metrics,
    ...options,
  });
  return { hook, lines };
}

function review(kind: string, spec: unknown, namespace = "ns") {
  const metadata = { name: "object", namespace };
  const of = { group: "k8s.patoarvizu.dev", version: "v1alpha1", kind };
  const request = { uid: "u", kind: of, operation: "CREATE", namespace, name: "object", object: { metadata, spec } };
  return { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request };
}

interface Response {
  readonly allowed: boolean;
  readonly status?: { readonly message: string };
  readonly warnings?: readonly string[];
}

async function answered(hook: Admission, body: object, signal = never): Promise<Response> {
  return ((await hook.answer(body, signal)).body as { readonly response: Response }).response;
}

describe.each(["KMSVaultSecret", "PartialKMSVaultSecret"])("%s", (kind) => {
  test("without a namespace is denied, and nothing is asked for it", async () => {
    const decryptor: Decryptor = { decrypt: () => Promise.reject(new Error("asked KMS")) };
    const { hook } = admission({ decryptor });
    const spec = { path: "kv/x", secrets: [{ key: "k", encryptedSecret: "AA==" }] };
    const { allowed, status } = await answered(hook, review(kind, spec, ""));
    expect([allowed, status?.message]).toEqual([false, "the review names no namespace"]);
  });
});

test("an object with tens of thousands of entries is answered when the answer is due, whatever KMS does", async () => {
  const slow: Decryptor = { decrypt: () => new Promise(() => {}) };
  const { hook } = admission({
    decryptor: throughTurnstile(slow, { clock: systemClock, perSecond: 500, inFlight: 64 }),
  });
  const secrets = Array.from({ length: 35_000 }, (_, key) => ({
    key: `key-${key}`,
    encryptedSecret: "AAAAAAAAAAAAAAAA",
  }));
  const started = systemClock.monotonic();
  const due = AbortSignal.timeout(500);
  const { allowed, warnings } = await answered(hook, review("KMSVaultSecret", { path: "kv/x", secrets }), due);
  expect([allowed, warnings]).toEqual([
    true,
    [expect.stringMatching(/^not checked, KMS(Unavailable|Throttled): keys key-0, /)],
  ]);
  expect(systemClock.monotonic() - started).toBeLessThan(9_000);
});

test("of an object with very many entries the first ones are decrypted, and what was not is said", async () => {
  let asked = 0;
  const decrypt = async () => {
    asked += 1;
    return new Plaintext(Buffer.of());
  };
  const { hook } = admission({ decryptor: { decrypt } });
  const secrets = Array.from({ length: 2_001 }, (_, key) => ({ key: `key-${key}`, encryptedSecret: "AAAA" }));
  const { allowed, warnings } = await answered(hook, review("KMSVaultSecret", { path: "kv/x", secrets }));
  const warning = expect.stringMatching(/^not checked, KMSThrottled: keys key-2000: .* 2000 values at most/);
  expect([allowed, asked, warnings]).toEqual([true, 2_000, [warning]]);
});

test("a denial of very many entries is logged as it is answered: the first ones, and how many there are", async () => {
  const assertCiphertext = () => {
    throw new OperatorError("DecodingError", "no base64");
  };
  const { hook, lines } = admission({ assertCiphertext });
  const secrets = Array.from({ length: 20_000 }, (_, key) => ({
    key: `${"k".repeat(100)}${key}`,
    encryptedSecret: "x",
  }));
  const { status } = await answered(hook, review("KMSVaultSecret", { path: "kv/x", secrets }));
  expect(status?.message.split("\n").at(-1)).toBe("and 19980 more");
  expect(lines).toMatchObject([{ message: "denied", fields: { count: 20_000 } }]);
  expect(JSON.stringify(lines).length).toBeLessThan(10_000);
});

test("what is said of a key with an endless name is cut", async () => {
  const { hook, lines } = admission({
    decryptor: { decrypt: () => Promise.reject(new OperatorError("DecryptingError", "not this one")) },
  });
  const secrets = [{ key: "k".repeat(1_000_000), encryptedSecret: "AA==" }];
  await answered(hook, review("KMSVaultSecret", { path: "kv/x", secrets }));
  expect(JSON.stringify(lines).length).toBeLessThan(10_000);
});
