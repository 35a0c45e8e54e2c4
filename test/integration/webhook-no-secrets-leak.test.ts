// The canary test of the webhook: distinctive values and ciphertexts go through everything that it can say, at the most
// talkative log level; then its log, its metrics and its answers are searched for them.
import { expect, test } from "vitest";
import { denial, openReviewScene } from "./review-scene.ts";

const plaintext = "canary-plaintext-4fW";
const base64 = "canary+no+base64!!-7hN";

test("no value and no ciphertext is in the log, the metrics or an answer", async () => {
  await using scene = await openReviewScene({ args: ["--log-level=debug"] });
  const good = await scene.entry("k", plaintext);
  const foreign = { ...good, secretContext: { of: "another" } };
  const binary = await scene.entry("k", plaintext);
  const said: string[] = [];
  await scene.create("good", { secrets: [good] });
  await scene.edit("good", { spec: { suspend: true } });
  said.push(await denial(scene.create("base64", { secrets: [{ key: "k", encryptedSecret: base64 }] })));
  said.push(await denial(scene.create("foreign", { secrets: [foreign] })));
  said.push(await denial(scene.createPartial("part", { secrets: [foreign] })));
  await scene.storeUnseen(scene.secret("old", { secrets: [{ key: "k", encryptedSecret: base64 }] }));
  const old = scene.secret("old", { secrets: [{ key: "k", encryptedSecret: base64 }], suspend: true });
  said.push(...(await scene.warnings(old, "--force-conflicts")));
  await scene.kms.faults({ outage: "error" });
  said.push(...(await scene.warnings(scene.secret("outage", { secrets: [binary] }))));
  expect(said).toHaveLength(5);
  said.push(scene.webhook.output(), await scene.webhook.metrics());
  const ciphertexts = [good, binary].flatMap(({ encryptedSecret }) => [encryptedSecret, encryptedSecret.slice(0, 48)]);
  const forbidden = [plaintext, base64, ...ciphertexts].flatMap((secret) => [
    secret,
    Buffer.from(secret).toString("base64"),
    encodeURIComponent(secret),
  ]);
  for (const text of said) expect(forbidden.filter((secret) => text.includes(secret))).toEqual([]);
  expect(scene.webhook.output()).toContain('"level":"debug"');
});
