// An operator without a cloud: values of age, in both of their forms, with the key file of a laptop.
import { armor, Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TemporaryFiles, withFiles } from "./temporary-files.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
let files: TemporaryFiles;
let identity: string;

/** The operator has no region and no credentials of AWS. */
const withoutCloud = {
  AWS_REGION: undefined,
  AWS_ACCESS_KEY_ID: undefined,
  AWS_SECRET_ACCESS_KEY: undefined,
  AWS_ENDPOINT_URL_KMS: undefined,
  AWS_EC2_METADATA_DISABLED: "true",
};

beforeAll(async () => {
  world = await openWorld();
  identity = await generateX25519Identity();
  files = await withFiles({ "keys.txt": "# not made yet\n" });
  await world.start({ args: [`--age-key-file=${files.path("keys.txt")}`], env: withoutCloud });
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await files[Symbol.asyncDispose]();
});

async function encrypt(plaintext: string | Uint8Array): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  encrypter.addRecipient(await identityToRecipient(identity));
  return encrypter.encrypt(plaintext);
}

async function base64(plaintext: string | Uint8Array): Promise<string> {
  return Buffer.from(await encrypt(plaintext)).toString("base64");
}

test("until there is a key, that is a condition; then values are written by themselves", async () => {
  const secrets = [
    { key: "base64", encryptedSecret: await base64("from base64") },
    // As a block of text stands in YAML.
    { key: "armoured", encryptedSecret: `${armor.encode(await encrypt("from armour".repeat(20)))}\n` },
    { key: "binary", encryptedSecret: await base64(Uint8Array.of(0xff, 0)), encoding: "base64" },
    { key: "nothing", encryptedSecret: await base64("") },
  ];
  await world.apply("laptop", { path: `${world.v2}/data/laptop`, secrets });
  expect((await world.untilReady("laptop", "KMSAccessDenied")).message).toContain("--age-key-file names holds no key");
  await files.write("keys.txt", `# created by hand\n${identity}\n`);
  await world.untilReady("laptop", "Synced");
  expect(await world.atV2("laptop")).toEqual({
    base64: "from base64",
    armoured: "from armour".repeat(20),
    binary: "/wA=",
    nothing: "",
  });
});

test("a value that is to be bound is refused, and the others are written", async () => {
  const secrets = [
    { key: "plain", encryptedSecret: await base64("plain") },
    { key: "bound", encryptedSecret: await base64("bound"), secretContext: { app: "shop" } },
  ];
  await world.apply("contexts", { path: `${world.v2}/data/contexts`, secrets });
  expect((await world.untilReady("contexts", "DecryptingError")).message).toContain("age has no place for one");
  expect(await world.atV2("contexts")).toEqual({ plain: "plain" });
  await world.apply("everywhere", {
    path: `${world.v2}/data/everywhere`,
    secrets: secrets.slice(0, 1),
    bindContext: "Namespace",
  });
  expect((await world.untilReady("everywhere", "DecryptingError")).message).toContain("bindContext: None");
});

test("values of AWS beside it are what they were", async () => {
  const secrets = [{ key: "a", encryptedSecret: await base64("a") }, await world.entry("b", "b")];
  await world.apply("mixed", { path: `${world.v2}/data/mixed`, secrets });
  expect((await world.untilReady("mixed", "KMSAccessDenied")).message).toContain("no AWS region is configured");
  expect(await world.atV2("mixed")).toEqual({ a: "a" });
});

test("neither a value nor the key is told anywhere", () => {
  for (const secret of [identity, "from base64", "from armour"]) expect(world.operator.output()).not.toContain(secret);
});
