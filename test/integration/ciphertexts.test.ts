// Entries that cannot be decrypted, each in its own way: the object says which key, why and what to do; the value that
// Vault holds under that key stays, the other keys are written, the other objects go on.
import { afterAll, beforeAll, expect, test } from "vitest";
import { KmsTestClient } from "../env/kms-client.ts";
import { privateKms } from "../env/private.ts";
import { openScene, type Scene } from "./scene.ts";

let scene: Scene;
/** Of a key that the operator's KMS does not have. */
let foreignCiphertext: string;

beforeAll(async () => {
  scene = await openScene();
  await scene.start();
  await using kms = await privateKms();
  const client = new KmsTestClient(kms.info);
  foreignCiphertext = await client.encrypt(await client.createKey(), "foreign");
  await client.close();
});

afterAll(() => scene[Symbol.asyncDispose]());

interface BadEntry {
  readonly encryptedSecret?: string;
  readonly secretContext?: Readonly<Record<string, string>>;
}

interface Case {
  readonly what: string;
  readonly reason: string;
  /** In the condition. */
  readonly message: RegExp;
  readonly event: string | RegExp;
  readonly entry: () => BadEntry | Promise<BadEntry>;
}

const context = { app: "shop", team: "red" };
const decoding = { reason: "DecodingError", event: "Error decoding key bad" };
const decrypting = { reason: "DecryptingError", event: "Error decrypting key bad" };
const anotherContext = /key bad: DecryptingError: .*encryption context.*correct secretContext/;

const cases: readonly Case[] = [
  {
    what: "malformed base64",
    ...decoding,
    message: /key bad: DecodingError: encryptedSecret is not standard base64; put the base64/,
    entry: () => ({ encryptedSecret: "no base64!" }),
  },
  {
    what: "base64 without its padding",
    ...decoding,
    message: /key bad: DecodingError: /,
    entry: () => ({ encryptedSecret: "YQ" }),
  },
  {
    what: "base64 of something else",
    ...decrypting,
    message: /key bad: DecryptingError: .*encrypt the value again/,
    entry: () => ({ encryptedSecret: Buffer.from("no ciphertext at all").toString("base64") }),
  },
  {
    // What AWS answers for a key that it does not have; it does not tell that from one that we may not use.
    what: "a ciphertext of a key that KMS does not have",
    reason: "KMSAccessDenied",
    message: /key bad: KMSAccessDenied: .*allow it on the key .*ciphertext refers to a .*key that does not exist/,
    event: /key bad: KMSAccessDenied/,
    entry: () => ({ encryptedSecret: foreignCiphertext }),
  },
  {
    what: "a ciphertext of another context",
    ...decrypting,
    message: anotherContext,
    entry: async () => ({ encryptedSecret: await scene.encrypt("x", context), secretContext: { app: "shop" } }),
  },
  {
    what: "a ciphertext with a context that the object does not give",
    ...decrypting,
    message: anotherContext,
    entry: async () => ({ encryptedSecret: await scene.encrypt("x", context) }),
  },
  {
    what: "an empty ciphertext",
    ...decrypting,
    message: /key bad: DecryptingError: encryptedSecret is empty; .*emptySecret: true/,
    entry: () => ({ encryptedSecret: "" }),
  },
  {
    what: "no ciphertext",
    ...decrypting,
    message: /key bad: DecryptingError: encryptedSecret is empty/,
    entry: () => ({}),
  },
  {
    what: "a value that is not UTF-8",
    reason: "InvalidEncoding",
    message: /key bad: InvalidEncoding: .*set encoding: base64/,
    event: /key bad: InvalidEncoding/,
    entry: async () => ({ encryptedSecret: await scene.encrypt(Uint8Array.of(0xff, 0xfe)) }),
  },
];

test.each(cases)("$what", async ({ what, reason, message, event, entry }) => {
  const name = what.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  const good = await scene.entry("good", "new", context);
  const bad = { key: "bad", ...(await entry()) };
  const before = [await scene.entry("good", "old"), await scene.entry("bad", "kept")];
  const engines = [
    { object: `${name}-v1`, path: `${scene.v1}/${name}`, found: () => scene.atV1(name) },
    { object: `${name}-v2`, path: `${scene.v2}/data/${name}`, found: () => scene.atV2(name) },
  ];
  for (const { object, path } of engines) await scene.create(object, { path, secrets: before });
  for (const { object, found } of engines) {
    await scene.untilReady(object, "Synced");
    await scene.edit(object, { secrets: [good, bad] });
    expect((await scene.untilReady(object, reason)).message).toMatch(message);
    expect(await found()).toEqual({ good: "new", bad: "kept" });
    expect((await scene.status(object)).keys).toEqual({ synced: 1, failed: ["bad"] });
    const told = typeof event === "string" ? event : expect.stringMatching(event);
    await scene.untilTold(object, { reason, message: told });
  }
  await scene.expectNeighbourGoesOn();
  for (const { object, found } of engines) {
    await scene.edit(object, { secrets: [good, await scene.entry("bad", "mended")] });
    await scene.untilReady(object, "Synced");
    expect(await found()).toEqual({ good: "new", bad: "mended" });
    expect((await scene.status(object)).keys).toEqual({ synced: 2 });
  }
});

test("an object that never was in Vault: what decrypts is written", async () => {
  const secrets = [await scene.entry("good", "1"), { key: "bad", encryptedSecret: "no base64!" }];
  await scene.create("partly", { path: `${scene.v2}/data/partly`, secrets });
  await scene.untilReady("partly", "DecodingError");
  expect(await scene.atV2("partly")).toEqual({ good: "1" });
  expect((await scene.status("partly")).created).toBe(true);
});

test("an object of which nothing decrypts: nothing is written, not even an empty secret", async () => {
  const secrets = [{ key: "bad", encryptedSecret: "no base64!" }];
  await scene.create("nothing-v1", { path: `${scene.v1}/nothing`, secrets });
  await scene.create("nothing-v2", { path: `${scene.v2}/nothing`, secrets });
  await scene.untilReady("nothing-v1", "DecodingError");
  await scene.untilReady("nothing-v2", "DecodingError");
  expect(await scene.atV1("nothing")).toBeUndefined();
  expect(await scene.versionOf("nothing")).toBeUndefined();
  expect((await scene.status("nothing-v1")).created).toBe(false);
});

test("several at once: all are named, the first in the list gives the reason", async () => {
  const secrets = [
    await scene.entry("a", "1"),
    { key: "b", encryptedSecret: await scene.encrypt("x", context) },
    { key: "c", encryptedSecret: "no base64!" },
  ];
  await scene.create("several", { path: `${scene.v1}/several`, secrets });
  const { message } = await scene.untilReady("several", "DecryptingError");
  expect(message).toMatch(/^key b: DecryptingError: .*; key c: DecodingError: /);
  expect((await scene.status("several")).keys).toEqual({ synced: 1, failed: ["b", "c"] });
  await scene.untilTold("several", { reason: "DecryptingError", message: "Error decrypting key b (and 1 more: c)" });
});

test("emptySecret ignores a ciphertext whatever it holds", async () => {
  const secrets = [{ key: "e", emptySecret: true, encryptedSecret: "no base64!" }];
  await scene.create("empty", { path: `${scene.v2}/empty`, secrets });
  await scene.untilReady("empty", "Synced");
  expect(await scene.atV2("empty")).toEqual({ e: "" });
});

test("keys with odd names are taken as they are", async () => {
  const names = ["__proto__", "constructor", "a.b/c", "with space", "schlüssel", '"quoted"', "data"];
  const secrets = await Promise.all(names.map((key) => scene.entry(key, `value of ${key}`)));
  const expected = new Map(names.map((key) => [key, `value of ${key}`]));
  await scene.create("odd-v1", { path: `${scene.v1}/odd`, secrets });
  await scene.create("odd-v2", { path: `${scene.v2}/odd`, secrets });
  for (const name of ["odd-v1", "odd-v2"]) await scene.untilReady(name, "Synced");
  expect(new Map(Object.entries((await scene.atV1("odd")) ?? {}))).toEqual(expected);
  expect(new Map(Object.entries((await scene.atV2("odd")) ?? {}))).toEqual(expected);
});

test("a failure is told once, not at each look", async () => {
  await scene.create("once", { path: `${scene.v1}/once`, secrets: [{ key: "bad", encryptedSecret: "no base64!" }] });
  await scene.untilTold("once", { reason: "DecodingError" });
  for (let look = 0; look < 3; look += 1) await scene.look("once");
  expect(await scene.events("once")).toEqual([expect.objectContaining({ reason: "DecodingError", count: 1 })]);
});

test("the operator is unharmed", () => scene.expectUnharmed());
