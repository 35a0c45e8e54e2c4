// --decrypt: what becomes of values that cannot be decrypted when they are not to be denied.
import { expect, test } from "vitest";
import { denial, openReviewScene } from "./review-scene.ts";

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
