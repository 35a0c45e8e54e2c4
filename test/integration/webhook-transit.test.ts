// Values of Vault's transit engine under review: with a Vault of its own for them (VAULT_TRANSIT_ADDR) the webhook tries
// them, also those of a Partial, whose key only the objects that include it name; without one it lets them through.
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { uniqueName } from "../env/unique.ts";
import { VaultClient } from "../env/vault-client.ts";
import { denial, openReviewScene, type ReviewScene } from "./review-scene.ts";

const server = inject("stack").vault;
const mount = uniqueName("transit");
const vault = new VaultClient(server);
const kmsKeyId = `${mount}/shop`;
const cleanUp = new AsyncDisposableStack();

/** With, and without, a Vault for transit keys. */
let asking: ReviewScene;
let blind: ReviewScene;

beforeAll(async () => {
  cleanUp.defer(() => vault.close());
  await vault.write(`sys/mounts/${mount}`, { type: "transit" });
  for (const key of ["shop", "other"]) await vault.write(`${mount}/keys/${key}`);
  const env = {
    VAULT_TRANSIT_ADDR: server.address,
    VAULT_TRANSIT_CACERT: server.caFile,
    VAULT_TRANSIT_TOKEN: server.rootToken,
  };
  asking = cleanUp.use(await openReviewScene({ env }));
  blind = cleanUp.use(await openReviewScene());
});
afterAll(() => cleanUp.disposeAsync());

async function entry(key: string, of = "shop"): Promise<{ readonly key: string; readonly encryptedSecret: string }> {
  const plaintext = Buffer.from(`value of ${key}`).toString("base64");
  const { data } = await vault.write(`${mount}/encrypt/${of}`, { plaintext });
  return { key, encryptedSecret: data.ciphertext };
}

test("an object's are tried with the key that it names", async () => {
  await asking.create("named", { kmsKeyId, secrets: [await entry("k")] });
  expect(await denial(asking.create("foreign", { kmsKeyId, secrets: [await entry("k", "other")] }))).toMatch(
    /^Error decrypting key k in KMSVaultSecret foreign: /,
  );
});

test("a Partial's are tried with the keys that its including objects name", async () => {
  const secrets = [await entry("k")];
  expect(await denial(asking.createPartial("shared", { secrets }))).toMatch(
    /no KMSVaultSecret includes this Partial yet.*kmsKeyId.*create that one first/,
  );
  await asking.create("no-key", { includeSecrets: ["shared"] });
  await asking.create("includer", { kmsKeyId, includeSecrets: ["shared"] });
  expect(await asking.warnings(asking.partial("shared", { secrets }))).toEqual([]);
  const foreign = asking.editPartial("shared", { spec: { secrets: [await entry("k", "other")] } });
  expect(await denial(foreign)).toMatch(/the including KMSVaultSecrets add \(2 tried\)/);
});

test("without a Vault for them they are let through, with a warning", async () => {
  const unchecked = [expect.stringMatching(/not checked, KMSAccessDenied: keys k: /)];
  expect(await blind.warnings(blind.secret("named", { kmsKeyId, secrets: [await entry("k")] }))).toEqual(unchecked);
  await blind.create("includer", { kmsKeyId, includeSecrets: ["shared"] });
  expect(await blind.warnings(blind.partial("shared", { secrets: [await entry("k")] }))).toEqual(unchecked);
});
