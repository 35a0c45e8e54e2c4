// What the webhook refuses, in the contract's words and all at once; what it lets through; and what it asks KMS for.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { reviewsIn } from "../env/webhook.ts";
import { denial, openReviewScene, type ReviewScene } from "./review-scene.ts";

let scene: ReviewScene;
beforeAll(async () => {
  scene = await openReviewScene();
});
afterAll(() => scene[Symbol.asyncDispose]());
beforeEach(() => scene.kms.reset());

const badBase64 = { key: "malformed", encryptedSecret: "no base64!" };

describe("on creation", () => {
  test("what decrypts is let through", async () => {
    const secrets = [await scene.entry("a"), { key: "e", emptySecret: true, encryptedSecret: "whatever" }];
    await scene.create("good", { secrets });
    expect(await scene.decryptions()).toBe(1);
    expect(await scene.warnings(scene.secret("good-too", { secrets }))).toEqual([]);
  });

  test("the texts are the original's, for Partials too, with the reason after them", async () => {
    const foreign = { ...(await scene.entry("foreign")), secretContext: { of: "another" } };
    expect(await denial(scene.create("one", { secrets: [badBase64] }))).toMatch(
      /^Error decoding key malformed in KMSVaultSecret one: encryptedSecret is not standard base64/,
    );
    expect(await denial(scene.create("two", { secrets: [foreign] }))).toMatch(
      /^Error decrypting key foreign in KMSVaultSecret two: /,
    );
    expect(await denial(scene.createPartial("three", { secrets: [badBase64] }))).toMatch(
      /^Error decoding key malformed in KMSVaultSecret three: /,
    );
    expect(await denial(scene.createPartial("four", { secrets: [foreign] }))).toMatch(
      /^Error decrypting key foreign in KMSVaultSecret four: .*no KMSVaultSecret includes this Partial yet/,
    );
  });

  test("everything that is wrong is said at once", async () => {
    const secrets = [
      badBase64,
      await scene.entry("fine"),
      { ...(await scene.entry("foreign")), secretContext: { of: "another" } },
      { ...(await scene.entry("reserved")), secretContext: { "k8s.patoarvizu.dev/namespace": "mine" } },
      { key: "nothing" },
    ];
    const spec = { path: "secret/a/\u0001", secrets, includeSecrets: [""] };
    const lines = (await denial(scene.create("all", spec))).split("\n");
    const expected = [
      /^spec\.includeSecrets\[0\]: must not be empty$/,
      /^InvalidPath: .*control character/,
      /^Error decoding key malformed in KMSVaultSecret all: /,
      /^ReservedContextKey: key reserved: /,
      /^Error decrypting key nothing in KMSVaultSecret all: encryptedSecret is empty/,
      /^Error decrypting key foreign in KMSVaultSecret all: /,
    ];
    for (const text of expected) expect(lines).toContainEqual(expect.stringMatching(text));
    expect(lines).toHaveLength(expected.length);
    expect(await scene.decryptions()).toBe(2);
  });

  test("bytes that are no text need encoding: base64", async () => {
    const key = await scene.kms.createKey();
    const encryptedSecret = await scene.kms.encrypt(key, Buffer.from([0xff, 0xfe]));
    expect(await denial(scene.create("binary", { secrets: [{ key: "k", encryptedSecret }] }))).toMatch(
      /^Error decrypting key k in KMSVaultSecret binary: .*encoding: base64/,
    );
    await scene.create("binary", { secrets: [{ key: "k", encryptedSecret, encoding: "base64" }] });
  });

  test("a value that is bound to another place is refused, to this one let through", async () => {
    const bind = (namespace: string) => scene.entry("k", "v", { "k8s.patoarvizu.dev/namespace": namespace });
    const spec = async (namespace: string) => ({ bindContext: "Namespace", secrets: [await bind(namespace)] });
    expect(await denial(scene.create("bound", await spec("elsewhere")))).toMatch(/by bindContext it belongs to/);
    await scene.create("bound", await spec(scene.namespace));
  });

  test("a dry run is reviewed as well, and stores nothing", async () => {
    const good = scene.secret("dry", { secrets: [await scene.entry("k")] });
    expect(await scene.warnings(good, "--dry-run=server")).toEqual([]);
    const bad = scene.secret("dry", { secrets: [badBase64] });
    await expect(scene.warnings(bad, "--dry-run=server")).rejects.toThrow(/Error decoding key malformed/);
    const names = (
      await scene.kube.list({
        apiVersion: "k8s.patoarvizu.dev/v1alpha1",
        plural: "kmsvaultsecrets",
        namespace: scene.namespace,
      })
    ).map(({ metadata }) => metadata.name);
    expect(names).not.toContain("dry");
    expect(reviewsIn(scene.webhook)).toContainEqual(expect.objectContaining({ name: "dry", dryRun: true }));
  });
});

describe("on update", () => {
  test("only changed entries are decrypted", async () => {
    const secrets = [await scene.entry("a"), await scene.entry("b"), await scene.entry("c")];
    await scene.create("edited", { secrets });
    expect(await scene.decryptions()).toBe(3);
    await scene.edit("edited", { spec: { secrets: [secrets[1], await scene.entry("a"), secrets[2]] } });
    expect(await scene.decryptions()).toBe(1);
    await scene.edit("edited", { spec: { path: "secret/elsewhere" } });
    await scene.edit("edited", { metadata: { annotations: { a: "b" } } });
    expect(await scene.decryptions()).toBe(0);
    expect(await denial(scene.edit("edited", { spec: { secretContext: { now: "another" } } }))).toMatch(
      /Error decrypting key b .*\n.*key a .*\n.*key c /,
    );
    expect(await scene.decryptions()).toBe(3);
  });

  test("what was wrong before does not stand in the way of an edit that does not touch it", async () => {
    const fine = await scene.entry("fine");
    const manifest = { ...scene.secret("old", { secrets: [badBase64, fine] }) };
    await scene.storeUnseen(manifest);
    const warned = await scene.warnings(
      {
        ...manifest,
        spec: { path: "secret/moved", secrets: [fine, badBase64] },
      },
      "--force-conflicts",
    );
    expect(warned).toHaveLength(1);
    expect(warned[0]).toMatch(/was so before: Error decoding key malformed in KMSVaultSecret old/);
    const worse = { ...badBase64, encryptedSecret: "still no base64!" };
    expect(await denial(scene.edit("old", { spec: { secrets: [fine, worse] } }))).toMatch(
      /Error decoding key malformed/,
    );
    await scene.edit("old", { spec: { secrets: [fine] } });
  });
});

test("a denial is one line in the log, a figure in the metrics, and names no value", async () => {
  await denial(scene.create("logged", { secrets: [badBase64] }));
  const lines = reviewsIn(scene.webhook).filter(({ name }) => name === "logged");
  expect(lines).toEqual([
    expect.objectContaining({
      level: "info",
      kind: "k8s.patoarvizu.dev/KMSVaultSecret",
      namespace: scene.namespace,
      operation: "CREATE",
      user: "test-admin",
      problems: [expect.stringMatching(/^Error decoding key malformed/)],
    }),
  ]);
  const denied = { kind: "KMSVaultSecret", operation: "CREATE", outcome: "denied" };
  expect(await scene.webhook.metric("kms_vault_operator_webhook_reviews_total", denied)).toBeGreaterThan(0);
  expect(scene.webhook.output()).not.toContain(badBase64.encryptedSecret);
});
