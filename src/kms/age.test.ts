// age with its key file: the forms of a value, which key may open it, and what becomes of the file under a running process.
import { armor, Encrypter, generateHybridIdentity, generateX25519Identity, identityToRecipient } from "age-encryption";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { LogFields } from "../base/log.ts";
import { ageService, type AgeOptions } from "./age.ts";
import type { DecryptCall, EncryptionContext } from "./cipher.ts";

let directory: string;
let keyFile: string;
let logged: { readonly level: string; readonly fields: LogFields; readonly message: string }[];
let ours: string;
let recipient: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "age-"));
  keyFile = join(directory, "keys.txt");
  logged = [];
  ours = await generateX25519Identity();
  recipient = await identityToRecipient(ours);
});

afterEach(() => rm(directory, { recursive: true }));

const add = (level: string) => (fields: LogFields, message: string) => void logged.push({ level, fields, message });
const logger = { debug: add("debug"), info: add("info"), warn: add("warn"), error: add("error") };

/** Replaces the key file in one step, as whoever rotates keys does. */
async function keep(...lines: readonly string[]): Promise<void> {
  await writeFile(`${keyFile}.new`, `${lines.join("\n")}\n`);
  await rename(`${keyFile}.new`, keyFile);
}

async function encrypt(plaintext: string, ...recipients: readonly string[]): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  for (const one of recipients.length === 0 ? [recipient] : recipients) encrypter.addRecipient(one);
  return encrypter.encrypt(plaintext);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

function opener(options: Partial<AgeOptions> = {}) {
  const service = ageService({ keyFile, logger, ...options });
  return async (encryptedSecret: string, call: DecryptCall = {}, encryptionContext: EncryptionContext = {}) => {
    return Buffer.from((await service.decrypt({ encryptedSecret, encryptionContext }, call)).open()).toString();
  };
}

/** The identity of the key file, as no message may quote it. */
function expectNoKey(error: unknown): void {
  expect(JSON.stringify([logged, String(error)])).not.toContain("AGE-SECRET-KEY-1".concat(ours.slice(16, 24)));
}

describe("a value is", () => {
  test("base64 of a file, or the armoured text, whatever became of its line breaks", async () => {
    await keep(ours);
    const open = opener();
    const file = await encrypt("x".repeat(100));
    const armoured = armor.encode(file);
    const texts = [base64(file), armoured.replaceAll("\n", ""), armoured.replaceAll("\n", " ")];
    for (const text of texts) expect(await open(text)).toBe("x".repeat(100));
  });

  test.each([
    { what: "base64 of something else", value: Buffer.from("something else, that is longer").toString("base64") },
    { what: "of another version", value: Buffer.from("age-encryption.org/v2\n-> X25519 x\n").toString("base64") },
    { what: "no base64", value: "YWdlLWVuY3J5cHRpb24ub3JnL3Yx!" },
    { what: "armoured, without its end", value: "-----BEGIN AGE ENCRYPTED FILE-----YWdl" },
  ])("refused when it is $what", async ({ value }) => {
    await keep(ours);
    await expect(opener()(value)).rejects.toMatchObject({ code: "DecodingError" });
  });

  test("refused when it was encrypted with a passphrase", async () => {
    await keep(ours);
    const encrypter = new Encrypter();
    encrypter.setScryptWorkFactor(10);
    encrypter.setPassphrase("a passphrase");
    const value = base64(await encrypter.encrypt("x"));
    await expect(opener()(value)).rejects.toMatchObject({
      code: "DecryptingError",
      message: expect.stringContaining("passphrase"),
    });
  });

  test("of a hundred recipients at most", async () => {
    await keep(ours);
    const others = Array.from({ length: 200 }, () => recipient);
    expect(await opener()(base64(await encrypt("x", ...others.slice(0, 100))))).toBe("x");
    await expect(opener()(base64(await encrypt("x", ...others)))).rejects.toMatchObject({
      code: "DecryptingError",
      message: expect.stringContaining("too many recipients"),
    });
  });

  test("refused with an encryption context, before the key file is looked at", async () => {
    const value = base64(await encrypt("x"));
    await expect(opener({ keyFile: undefined })(value, {}, { app: "shop" })).rejects.toMatchObject({
      code: "DecryptingError",
      message: expect.stringMatching(/age has no place for one.*bindContext: None.*AWS or VaultTransit/),
    });
  });
});

test.each(["binary.age", "armoured.age", "two-recipients.age"])("what Go's age made opens: %s", async (name) => {
  const vectors = join(import.meta.dirname, "../../test/vectors/age");
  const file = await readFile(join(vectors, name));
  const value = name.startsWith("binary") ? file.toString("base64") : file.toString().replaceAll("\n", "");
  expect(await opener({ keyFile: join(vectors, "keys.txt") })(value)).toBe("päss wörd\n");
});

describe("which key may open a value", () => {
  let other: string;
  let otherRecipient: string;

  beforeEach(async () => {
    other = await generateX25519Identity();
    otherRecipient = await identityToRecipient(other);
    await keep("# two keys", ours, "", other);
  });

  test("any of the file, for values of several recipients too", async () => {
    const open = opener();
    expect(await open(base64(await encrypt("a")))).toBe("a");
    expect(await open(base64(await encrypt("b", otherRecipient)))).toBe("b");
    const stranger = await identityToRecipient(await generateX25519Identity());
    expect(await open(base64(await encrypt("c", stranger, otherRecipient)))).toBe("c");
  });

  test("the one that the object names, and no other", async () => {
    const open = opener();
    expect(await open(base64(await encrypt("a")), { keyId: recipient })).toBe("a");
    expect(await open(base64(await encrypt("a", recipient, otherRecipient)), { keyId: otherRecipient })).toBe("a");
    await expect(open(base64(await encrypt("a")), { keyId: otherRecipient })).rejects.toMatchObject({
      code: "KeyNotAllowed",
    });
  });

  test("none that is not in the file", async () => {
    const stranger = await identityToRecipient(await generateX25519Identity());
    const value = base64(await encrypt("a", stranger));
    await expect(opener()(value)).rejects.toMatchObject({ code: "DecryptingError", retry: "backoff" });
    await expect(opener()(value, { keyId: stranger })).rejects.toMatchObject({ code: "KMSAccessDenied" });
  });

  test("none, when the object names a key of another service", async () => {
    const value = base64(await encrypt("a"));
    await expect(opener()(value, { keyId: "alias/shop" })).rejects.toMatchObject({ code: "KeyNotAllowed" });
  });

  const lists: readonly {
    readonly list: () => readonly string[];
    readonly first: boolean;
    readonly second: boolean;
  }[] = [
    { list: () => ["*"], first: true, second: true },
    { list: () => ["alias/x", recipient], first: true, second: false },
    { list: () => [otherRecipient], first: false, second: true },
    { list: () => ["alias/x", "transit/x"], first: false, second: false },
    { list: () => [], first: false, second: false },
  ];

  test.each(lists)("the lists of keys say (%#)", async ({ list, first, second }) => {
    const values = [
      { value: base64(await encrypt("a")), keyId: recipient, isAllowed: first },
      { value: base64(await encrypt("a", otherRecipient)), keyId: otherRecipient, isAllowed: second },
    ];
    for (const { value, keyId, isAllowed } of values) {
      for (const opening of [
        () => opener({ allowedKeys: list() })(value),
        () => opener()(value, { allowedKeys: list() }),
        () => opener({ allowedKeys: list() })(value, { keyId, allowedKeys: ["*"] }),
        () => opener({ allowedKeys: ["*"] })(value, { keyId, allowedKeys: list() }),
      ]) {
        if (isAllowed) expect(await opening()).toBe("a");
        else await expect(opening()).rejects.toMatchObject({ code: "KeyNotAllowed" });
      }
    }
  });

  test("both lists must allow it", async () => {
    const opening = opener({ allowedKeys: [recipient] })(base64(await encrypt("a")), { allowedKeys: [otherRecipient] });
    await expect(opening).rejects.toMatchObject({ code: "KeyNotAllowed" });
  });
});

/** For a process that may open few files: uses the key file while it can open none, and then once more. */
const withoutDescriptors = `
  import { closeSync, openSync } from "node:fs";
  const [module, file] = process.argv.slice(1);
  const { AgeKeyFile } = await import(module);
  const log = () => {};
  const keys = new AgeKeyFile(file, { debug: log, info: log, warn: log, error: log });
  const taken = [];
  try {
    for (;;) taken.push(openSync("/dev/null"));
  } catch (error) {
    if (error.code !== "EMFILE") throw error;
  }
  const failure = await keys.identities().catch((error) => error);
  for (const one of taken) closeSync(one);
  console.log(/cannot be read [(][A-Z]+[)]/.exec(failure.message)[0]);
  for (const { recipient } of await keys.identities()) console.log(recipient);
`;

describe("the key file", () => {
  test("may be none, absent or broken: a condition, that heals by itself", async () => {
    const value = base64(await encrypt("a"));
    await expect(opener({ keyFile: undefined })(value)).rejects.toMatchObject({
      code: "KMSAccessDenied",
      retry: "backoff",
      message: expect.stringContaining("no age key file"),
    });
    const open = opener();
    await expect(open(value)).rejects.toMatchObject({
      code: "KMSAccessDenied",
      message: expect.stringContaining("cannot be read (ENOENT)"),
    });
    await keep("# nothing yet");
    await expect(open(value)).rejects.toMatchObject({ message: expect.stringContaining("holds no key") });
    await keep(ours);
    expect(await open(value)).toBe("a");
  });

  test("is taken up when it changes", async () => {
    const open = opener();
    await keep(ours);
    const value = base64(await encrypt("a"));
    expect(await open(value)).toBe("a");
    const next = await generateX25519Identity();
    const nextValue = base64(await encrypt("b", await identityToRecipient(next)));
    await keep(next);
    expect(await open(nextValue)).toBe("b");
    await expect(open(value)).rejects.toMatchObject({ code: "DecryptingError", retry: "backoff" });
    expect(logged).toEqual([]);
    await keep(next, ours);
    expect(await open(value)).toBe("a");
  });

  test("that could not be read for a while is read again, though it has not changed", async () => {
    await keep(ours);
    const { stdout } = await promisify(execFile)("sh", [
      "-c",
      'ulimit -n 64 && exec "$0" "$@"',
      process.execPath,
      "--input-type=module",
      "--eval",
      withoutDescriptors,
      new URL("age-key-file.ts", import.meta.url).href,
      keyFile,
    ]);
    expect(stdout).toBe(`cannot be read (EMFILE)\n${recipient}\n`);
  });

  const broken = [
    { what: "cut off", lines: () => [ours.slice(0, 40)], problem: /cut off or mistyped/ },
    {
      what: "mistyped",
      lines: () => [ours.slice(0, 30) + (ours[30] === "Q" ? "P" : "Q") + ours.slice(31)],
      problem: /mistyped/,
    },
    { what: "something else", lines: () => ["-----BEGIN CERTIFICATE-----"], problem: /neither a comment nor/ },
    { what: "empty", lines: () => [""], problem: /no key/ },
  ];

  test.each(broken)(
    "that is broken ($what) leaves the last good one in use, and is told once",
    async ({ lines, problem }) => {
      const open = opener();
      await keep(ours);
      const value = base64(await encrypt("a"));
      expect(await open(value)).toBe("a");
      await keep(...lines());
      for (let use = 0; use < 3; use += 1) expect(await open(value)).toBe("a");
      expect(logged).toEqual([
        {
          level: "warn",
          message: "the age key file is not usable",
          fields: { problem: expect.stringMatching(problem), keepsOld: true },
        },
      ]);
      expectNoKey(await opener()(value).catch((error: unknown) => error));
    },
  );

  test("that is gone leaves the last good one in use", async () => {
    const open = opener();
    await keep(ours);
    const value = base64(await encrypt("a"));
    await open(value);
    await rm(keyFile);
    expect(await open(value)).toBe("a");
    expect(logged).toHaveLength(1);
  });

  test("holds X25519 keys only", async () => {
    await keep(await generateHybridIdentity());
    await expect(opener()(base64(await encrypt("a")))).rejects.toMatchObject({
      code: "KMSAccessDenied",
      message: expect.stringContaining("nor an X25519 key"),
    });
  });
});
