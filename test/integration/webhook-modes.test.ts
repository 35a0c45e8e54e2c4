// --decrypt: what becomes of values that cannot be decrypted when they are not to be denied.
import { Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption";
import { expect, test } from "vitest";
import { denial, openReviewScene } from "./review-scene.ts";
import { withFiles } from "./temporary-files.ts";

const badBase64 = { key: "malformed", encryptedSecret: "no base64!" };

test("warn: a warning in the original's words, and the object is stored", async () => {
  await using scene = await openReviewScene({ args: ["--decrypt=warn"] });
  const foreign = { ...(await scene.entry("k")), secretContext: { of: "another" } };
  const warnings = await scene.warnings(scene.secret("warned", { secrets: [foreign] }));
  expect(warnings).toEqual([expect.stringMatching(/^Warning: Error decrypting key k in KMSVaultSecret warned: /)]);
  expect(await denial(scene.create("malformed", { secrets: [foreign, badBase64] }))).toMatch(/^Error decoding[^\n]*$/);
});

test("off: nobody is asked, what is wrong without KMS is denied all the same", async () => {
  await using scene = await openReviewScene({ args: ["--decrypt", "off"] });
  await scene.kms.reset();
  const foreign = { ...(await scene.entry("k")), secretContext: { of: "another" } };
  expect(await scene.warnings(scene.secret("unasked", { secrets: [foreign] }))).toEqual([]);
  expect(await denial(scene.create("malformed", { secrets: [badBase64] }))).toMatch(/^Error decoding key malformed /);
  expect(await scene.decryptions()).toBe(0);
});

test("beyond the webhook's own limit on requests to KMS values are let through unchecked", async () => {
  await using scene = await openReviewScene({ args: ["--kms-qps=1", "--kms-max-in-flight=2"] });
  const secrets = await Promise.all(["a", "b", "c", "d", "e", "f"].map((key) => scene.entry(key)));
  await scene.kms.reset();
  const warnings = await scene.warnings(scene.secret("flood", { secrets }));
  expect(warnings).toEqual([expect.stringMatching(/not checked, KMSThrottled: keys .*the webhook's own limit/)]);
  expect(await scene.decryptions()).toBeLessThan(secrets.length);
});

test("a value for somebody else's age key is denied, though the key may be brought later", async () => {
  const [ours, theirs] = [await generateX25519Identity(), await generateX25519Identity()];
  await using files = await withFiles({ "keys.txt": ours });
  await using scene = await openReviewScene({ args: [`--age-key-file=${files.path("keys.txt")}`] });
  const encrypter = new Encrypter();
  encrypter.addRecipient(await identityToRecipient(theirs));
  const encryptedSecret = Buffer.from(await encrypter.encrypt("theirs")).toString("base64");
  expect(await denial(scene.create("age", { secrets: [{ key: "k", encryptedSecret }] }))).toMatch(
    /^Error decrypting key k in KMSVaultSecret age: .*encrypted for another recipient/,
  );
});
