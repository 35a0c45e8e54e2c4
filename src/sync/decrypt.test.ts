import { expect, test } from "vitest";
import { OperatorError } from "../base/errors.ts";
import { Plaintext } from "../base/plaintext.ts";
import { decodeBase64 } from "../kms/base64.ts";
import type { Decryptor } from "../kms/cipher.ts";
import { combineFailures, decrypt } from "./decrypt.ts";
import type { ResolvedEntry } from "./resolve.ts";

function entry(key: string, encryptedSecret: string, more: Partial<ResolvedEntry> = {}): ResolvedEntry {
  return { key, encryptedSecret, encryptionContext: {}, encoding: "utf8", empty: false, ...more };
}

/** "Decrypts" by handing the ciphertext back; counts how often it was asked. */
function echo(): Decryptor & { calls: number } {
  return {
    calls: 0,
    async decrypt({ encryptedSecret }) {
      this.calls += 1;
      return new Plaintext(decodeBase64(encryptedSecret));
    },
  };
}

async function decryptOne(given: ResolvedEntry, decryptor: Decryptor = echo()): Promise<unknown> {
  const { values, failures } = await decrypt([given], decryptor, {});
  return failures[0]?.error.code ?? values.get(given.key)?.open();
}

test.each([
  ["text", entry("a", "YWJj"), "abc"],
  ["UTF-8 with a byte order mark, kept", entry("a", "77u/YQ=="), "\uFEFFa"],
  ["base64 of binary", entry("a", "/wA=", { encoding: "base64" }), "/wA="],
  ["binary without it", entry("a", "/wA="), "InvalidEncoding"],
  ["no base64", entry("a", "not base64!"), "DecodingError"],
  ["URL-safe base64", entry("a", "_wA="), "DecodingError"],
  ["missing padding", entry("a", "YQ"), "DecodingError"],
  ["spaces", entry("a", "YW Jj"), "DecodingError"],
  ["empty ciphertext", entry("a", ""), "DecryptingError"],
])("%s", async (_what, given, expected) => {
  expect(await decryptOne(given)).toBe(expected);
});

test("emptySecret is the empty string, whatever the ciphertext, and costs no call", async () => {
  const decryptor = echo();
  expect(await decryptOne(entry("a", "not base64!", { empty: true }), decryptor)).toBe("");
  expect(decryptor.calls).toBe(0);
});

test("every entry is tried and every failure told, in list order; the first gives the code", async () => {
  const entries = [entry("bad", "!"), entry("good", "YQ=="), entry("worse", "")];
  const { values, failures } = await decrypt(entries, echo(), {});
  expect([...values.keys()]).toEqual(["good"]);
  const [first, ...rest] = failures;
  if (first === undefined) throw new Error("no failure");
  const combined = combineFailures([first, ...rest]);
  expect(combined.code).toBe("DecodingError");
  expect(combined.message).toMatch(/key bad: .*key worse: /);
  expect(combined.retry).toBe("terminal");
});

test("a failure that may heal by itself makes the whole be tried again", () => {
  const terminal = { key: "a", error: new OperatorError("DecodingError", "x") };
  const backoff = { key: "b", error: new OperatorError("KMSThrottled", "x") };
  expect(combineFailures([terminal, backoff])).toMatchObject({ code: "DecodingError", retry: "backoff" });
});

test("the message stays readable with a thousand failed keys", () => {
  const failures = Array.from({ length: 1_000 }, (_, index) => ({
    key: `key-${index}`,
    error: new OperatorError("DecryptingError", "x".repeat(100)),
  }));
  const [first, ...rest] = failures;
  if (first === undefined) throw new Error("no failure");
  const { message } = combineFailures([first, ...rest]);
  expect(message).toContain("and 990 more keys");
  expect(message.length).toBeLessThan(2_500);
});

test("of very many entries few are under way at once", async () => {
  let [underWay, most] = [0, 0];
  const slow: Decryptor = {
    async decrypt() {
      underWay += 1;
      most = Math.max(most, underWay);
      await new Promise(setImmediate);
      underWay -= 1;
      return new Plaintext(Buffer.from("v"));
    },
  };
  const entries = Array.from({ length: 5_000 }, (_, index) => entry(`key-${index}`, "YQ=="));
  const { values } = await decrypt(entries, slow, {});
  expect([...values.keys()]).toEqual(entries.map(({ key }) => key));
  expect(most).toBeLessThanOrEqual(64);
});
