// An object of 1 MiB with 1,000 keys, nearly as large as the API server takes one: it syncs on both engines, fails key by
// key, and holds up no other object.
import { afterAll, beforeAll, expect, test } from "vitest";
import { kmsVaultSecret } from "../gen/manifests.ts";
import { type EntryManifest, openScene, type Scene } from "./scene.ts";

let scene: Scene;
let secrets: EntryManifest[];
let values: Record<string, string>;

const count = 1_000;
/** Of a value, so that the whole object has a mebibyte. */
const valueBytes = 720;

beforeAll(async () => {
  scene = await openScene();
  await scene.start();
  const keys = Array.from({ length: count }, (_, index) => `key-${String(index).padStart(4, "0")}`);
  const texts = Array.from("0123456789", (digit) => digit.repeat(valueBytes));
  const ciphertexts = await Promise.all(texts.map((text) => scene.encrypt(text)));
  values = Object.fromEntries(keys.map((key, index) => [key, texts[index % 10] ?? ""]));
  secrets = keys.map((key, index) => ({ key, encryptedSecret: ciphertexts[index % 10] ?? "" }));
});

afterAll(() => scene[Symbol.asyncDispose]());

function specAt(path: string): object {
  return { path, secrets };
}

test("it is a mebibyte", () => {
  const manifest = kmsVaultSecret({ namespace: scene.namespace, name: "large" }, specAt(`${scene.v2}/large`));
  expect(JSON.stringify(manifest).length).toBeGreaterThanOrEqual(1024 * 1024);
  expect(JSON.stringify(manifest).length).toBeLessThan(1.1 * 1024 * 1024);
});

test("it syncs on both engines, and the others go on meanwhile", async () => {
  await scene.create("large-v1", specAt(`${scene.v1}/large`));
  await scene.create("large-v2", specAt(`${scene.v2}/large`));
  await scene.expectNeighbourGoesOn();
  for (const name of ["large-v1", "large-v2"]) {
    expect((await scene.untilReady(name, "Synced")).message).toBe("1000 keys are in Vault");
  }
  expect(await scene.atV1("large")).toEqual(values);
  expect(await scene.atV2("large")).toEqual(values);
});

test("all of it fails: the condition names some and counts the rest, Vault keeps everything", async () => {
  const broken = secrets.map(({ key }) => ({ key, encryptedSecret: "no base64!" }));
  await scene.edit("large-v1", { secrets: broken });
  const { message } = await scene.untilReady("large-v1", "DecodingError");
  expect(message).toMatch(/^key key-0000: DecodingError: .*; and 990 more keys$/);
  await scene.untilTold("large-v1", {
    reason: "DecodingError",
    message: expect.stringMatching(/^Error decoding key key-0000 \(and 999 more: key-0001, .*key-0010\)$/),
  });
  expect((await scene.status("large-v1")).keys?.failed).toHaveLength(count);
  expect(await scene.atV1("large")).toEqual(values);
  await scene.expectNeighbourGoesOn();
});

test("the operator is unharmed", () => scene.expectUnharmed());
