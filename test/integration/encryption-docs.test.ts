// docs/concepts/encryption.md, tried as written: its commands are run by a shell and by Node, and what they leave in
// value.txt, with the fields that the page shows, becomes a secret in Vault. Commands of programs that are not installed
// here (aws, age) are left out.
import { execFile, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { parse } from "yaml";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { awsEnvironment } from "../env/kms-client.ts";
import type { VaultInfo } from "../env/openbao.ts";
import { privateKms, privateVault } from "../env/private.ts";
import { type TemporaryFiles, withFiles } from "./temporary-files.ts";
import { openWorld, type World } from "./world.ts";

const root = join(import.meta.dirname, "..", "..");
const page = readFileSync(join(root, "docs/concepts/encryption.md"), "utf8");
const cleanUp = new AsyncDisposableStack();
let world: World;
let files: TemporaryFiles;
/** What the page calls by these names. */
let readers: { readonly KEY_ARN: string; readonly RECIPIENT: string };
let kmsEndpoint: string;
let vault: VaultInfo;

beforeAll(async () => {
  const kms = cleanUp.use(await privateKms());
  kmsEndpoint = kms.info.endpoint;
  vault = cleanUp.use(await privateVault()).info;
  world = cleanUp.use(await openWorld({ servers: { kms: kms.info, vault } }));
  const identity = await generateX25519Identity();
  files = cleanUp.use(await withFiles({ "secret.txt": "the secret of the page", "keys.txt": identity }));
  await symlink(join(root, "node_modules"), files.path("node_modules"));
  readers = {
    KEY_ARN: await world.kms.arnOf(await world.kms.createKey()),
    RECIPIENT: await identityToRecipient(identity),
  };
  await world.vault.write("sys/mounts/transit", { type: "transit" });
  await world.vault.write("transit/keys/shop");
  await world.start({ args: [`--age-key-file=${files.path("keys.txt")}`] });
});

afterAll(() => cleanUp.disposeAsync());

function section(title: string): string {
  const found = page.split(/^## /m).find((text) => text.startsWith(`${title}\n`));
  if (found === undefined) throw new Error(`the page has no section ${title}`);
  return found;
}

/** The first block of a language in a section; the language may have a word of its own behind it. */
function block(title: string, language: string): string {
  const [, text] = new RegExp(`^\`\`\`${language}\\b.*\n([^]*?)^\`\`\``, "m").exec(section(title)) ?? [];
  if (text === undefined) throw new Error(`section ${title} has no ${language} block`);
  return text;
}

/** As the reader's shell has it. */
function surroundings(): NodeJS.ProcessEnv {
  const { programs } = inject("stack");
  return {
    PATH: [dirname(programs.bao), process.env["PATH"]].join(":"),
    HOME: dirname(files.path("x")),
    BAO_ADDR: vault.address,
    BAO_CACERT: vault.caFile,
    BAO_TOKEN: vault.rootToken,
    ...awsEnvironment,
    AWS_DEFAULT_REGION: awsEnvironment.AWS_REGION,
    AWS_ENDPOINT_URL_KMS: kmsEndpoint,
    ...readers,
  };
}

async function run(program: string, args: readonly string[]): Promise<string> {
  await promisify(execFile)(program, args, { cwd: dirname(files.path("x")), env: surroundings(), timeout: 30_000 });
  return readFile(files.path("value.txt"), "utf8");
}

/** Applies an object as the section has it (with more in `spec`), and looks for the value in Vault. */
async function expectSynced(name: string, title: string, encryptedSecret: string, spec: object = {}): Promise<void> {
  const named = Object.entries(readers).reduce(
    (text, [word, value]) => text.replace(word, value),
    block(title, "yaml"),
  );
  const path = `${world.v2}/data/${name}`;
  await world.sync(name, { path, ...parse(named), ...spec, secrets: [{ key: "k", encryptedSecret }] });
  expect(await world.atV2(name)).toEqual({ k: "the secret of the page" });
}

function isInstalled(program: string): boolean {
  return spawnSync("sh", ["-c", `${program} --version`]).status === 0;
}

const sections: readonly { readonly name: string; readonly title: string; readonly program?: string }[] = [
  { name: "aws", title: "AWS KMS", program: "aws" },
  { name: "age", title: "age", program: "age" },
  { name: "transit", title: "Vault transit" },
];

const runnable = sections.filter(({ program }) => program === undefined || isInstalled(program));

test.each(runnable)("$title", async ({ name, title }) => {
  await expectSynced(name, title, await run("sh", ["-euc", block(title, "sh")]));
});

test("Long values, and many for one call", async () => {
  const title = "Long values, and many for one call";
  await writeFile(files.path("encrypt.mjs"), block(title, "js"));
  await expectSynced("long", title, await run(process.execPath, [files.path("encrypt.mjs")]));
});

describe("Binding values to their place", () => {
  const title = "Binding values to their place";
  const here = (text: string) => text.replace(/(namespace"?[=:] ?"?)shop/, `$1${world.namespace}`);

  async function expectBound(value: string, spec: object = {}): Promise<void> {
    await expectSynced("bound", title, value, spec);
    const secrets = [{ key: "k", encryptedSecret: value }];
    const copy = { path: `${world.v2}/data/copied`, ...parse(block(title, "yaml")), ...spec, secrets };
    await world.apply("copied", copy);
    await world.untilReady("copied", "DecryptingError");
  }

  test.runIf(isInstalled("aws"))("AWS KMS", async () => {
    await expectBound(await run("sh", ["-euc", here(block(title, "sh bind"))]));
  });

  test("the Encryption SDK", async () => {
    const script = block("Long values, and many for one call", "js");
    const bound = script.replace(/encryptionContext: \{.*?\}/, here(block(title, "js bind")).trim());
    expect(bound).not.toBe(script);
    await writeFile(files.path("bind.mjs"), bound);
    await expectBound(await run(process.execPath, [files.path("bind.mjs")]));
  });

  test("Vault transit", async () => {
    const value = await run("sh", ["-euc", here(block(title, "sh bind-transit"))]);
    await expectBound(value, { kmsKeyId: "transit/shop" });
  });
});
