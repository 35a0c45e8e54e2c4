// Messages of the AWS Encryption SDK in objects: values of half a mebibyte, twenty for one KMS call, bound to their place;
// and the SDK is loaded only once there is such a value.
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { EnvelopeMaker } from "../env/envelopes.ts";
import { privateKms } from "../env/private.ts";
import { openWorld, type World } from "./world.ts";

let kms: Awaited<ReturnType<typeof privateKms>>;
let world: World;
let maker: EnvelopeMaker;

beforeAll(async () => {
  kms = await privateKms();
  world = await openWorld({ servers: { kms: kms.info } });
  maker = new EnvelopeMaker(kms.info.endpoint, await world.kms.arnOf(await world.kms.createKey()));
  await world.start({ args: ["--sync-period-seconds=0"] });
});

afterAll(async () => {
  maker.close();
  await world[Symbol.asyncDispose]();
  await kms[Symbol.asyncDispose]();
});

test("in the bundle it is a file of its own that nothing imports at the start", async () => {
  const directory = join(dirname(inject("operatorProgram")), "chunks");
  const files = (await readdir(directory)).filter((file) => file.endsWith(".js"));
  const sources = await Promise.all(files.map((file) => readFile(join(directory, file), "utf8")));
  const holders = files.filter((_, index) => sources[index]?.includes("node_modules/@aws-crypto/client-node/"));
  expect(holders).toEqual([expect.stringMatching(/^encryption-sdk-/)]);
  const imports = sources.flatMap((source) => source.split("\n").filter((line) => line.includes("./encryption-sdk-")));
  expect(imports).toEqual([expect.stringContaining("await import(")]);
});

test("a message beside values of KMS", async () => {
  const secrets = [...(await world.entries({ a: "blob" })), { key: "b", encryptedSecret: await maker.make("message") }];
  await world.sync("both", { path: `${world.v2}/data/both`, secrets });
  expect(await world.atV2("both")).toEqual({ a: "blob", b: "message" });
});

test("a hundred entries that share a data key cost one call", async () => {
  const secretContext = { app: "shop" };
  const values = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`key-${index}`, `value ${index}`]));
  const secrets = [];
  for (const [key, value] of Object.entries(values)) {
    secrets.push({ key, encryptedSecret: await maker.makeSharing(value, { encryptionContext: secretContext }) });
  }
  const before = await world.decryptions();
  await world.sync("many", { path: `${world.v2}/data/many`, secretContext, secrets });
  expect(await world.atV2("many")).toEqual(values);
  expect((await world.decryptions()) - before).toBe(1);
});

test("half a mebibyte is written to both engines, a byte more is refused", async () => {
  const value = "0123456789abcdef".repeat(32 * 1024);
  const secrets = [{ key: "long", encryptedSecret: await maker.make(value) }];
  await world.sync("long-v1", { path: `${world.v1}/long`, secrets });
  await world.sync("long-v2", { path: `${world.v2}/data/long`, secrets });
  expect(await world.atV1("long")).toEqual({ long: value });
  expect(await world.atV2("long")).toEqual({ long: value });
  const longer = [{ key: "long", encryptedSecret: await maker.make(`${value}x`) }];
  await world.apply("long-v2", { path: `${world.v2}/data/long`, secrets: longer });
  const { message } = await world.untilReady("long-v2", "DecryptingError");
  expect(message).toContain("key long: DecryptingError: the value has 524289 bytes, and 524288 are the most");
  expect(await world.atV2("long")).toEqual({ long: value });
});

test("two of them fill an object as far as the API server lets them", async () => {
  const halves = ["a", "b"].map(async (key) => ({ key, encryptedSecret: await maker.make(key.repeat(512 * 1024)) }));
  await world.sync("full", { path: `${world.v2}/data/full`, secrets: await Promise.all(halves) });
  expect(Object.keys((await world.atV2("full")) ?? {})).toEqual(["a", "b"]);
});

test("one that was copied from another namespace is refused before KMS is asked, by what differs", async () => {
  const place = (namespace: string) => ({
    "k8s.patoarvizu.dev/namespace": namespace,
    "k8s.patoarvizu.dev/name": "bound",
    "k8s.patoarvizu.dev/key": "k",
  });
  const spec = { path: `${world.v2}/data/bound`, bindContext: "Key" };
  const own = await maker.make("own", { encryptionContext: place(world.namespace) });
  await world.sync("bound", { ...spec, secrets: [{ key: "k", encryptedSecret: own }] });
  expect(await world.atV2("bound")).toEqual({ k: "own" });
  const before = await world.decryptions();
  const stolen = await maker.make("their secret", { encryptionContext: place("their-namespace") });
  await world.apply("bound", { ...spec, secrets: [{ key: "k", encryptedSecret: stolen }] });
  const { message } = await world.untilReady("bound", "DecryptingError");
  expect(message).toContain("(it has another value for k8s.patoarvizu.dev/namespace)");
  expect(message).toContain(`by bindContext it belongs to k8s.patoarvizu.dev/namespace=${world.namespace}`);
  expect(message).not.toContain("their-namespace");
  expect(await world.decryptions()).toBe(before);
  expect(await world.atV2("bound")).toEqual({ k: "own" });
  expect(world.operator.output()).not.toMatch(/their secret|their-namespace/);
});

test("the operator is unharmed", () => world.expectUnharmed());
