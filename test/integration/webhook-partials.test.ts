// Partials under review: what they do not say of their values themselves, the objects that include them say.
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { denial, openReviewScene, type ReviewScene } from "./review-scene.ts";

let scene: ReviewScene;
beforeAll(async () => {
  scene = await openReviewScene();
});
afterAll(() => scene[Symbol.asyncDispose]());
beforeEach(() => scene.kms.reset());

test("a Partial that says its encryption context itself is asked about alone", async () => {
  const context = { app: "shop" };
  await scene.createPartial("own", { secretContext: context, secrets: [await scene.entry("k", "v", context)] });
  expect(await scene.decryptions()).toBe(1);
});

test("its values may be encrypted with the context of the object that includes it, once there is one", async () => {
  const context = { app: "shop" };
  const secrets = [await scene.entry("k", "v", context)];
  expect(await denial(scene.createPartial("shared", { secrets }))).toMatch(
    /no KMSVaultSecret includes this Partial yet.*create that one first/,
  );
  await scene.create("includer", { secretContext: context, includeSecrets: ["shared"] });
  await scene.createPartial("shared", { secrets });
  // The wrong guess, and the right one.
  await scene.kms.reset();
  await scene.editPartial("shared", { spec: { secrets: [await scene.entry("k", "other", context)] } });
  expect(await scene.decryptions()).toBe(2);
  const foreign = await scene.entry("k", "v", { app: "another" });
  expect(await denial(scene.editPartial("shared", { spec: { secrets: [foreign] } }))).toMatch(
    /^Error decrypting key k in KMSVaultSecret shared: .*nor .* the including KMSVaultSecrets add \(1 tried\)/,
  );
});

test("they may be bound to the place of the object that includes it", async () => {
  const bound = {
    "k8s.patoarvizu.dev/namespace": scene.namespace,
    "k8s.patoarvizu.dev/name": "binder",
    "k8s.patoarvizu.dev/key": "k",
  };
  await scene.create("other-binder", { bindContext: "Key", includeSecrets: ["bound"] });
  await scene.create("binder", { bindContext: "Key", includeSecrets: ["bound"] });
  await scene.createPartial("bound", { secrets: [await scene.entry("k", "v", bound)] });
  expect(await denial(scene.createPartial("unbound", { secrets: [await scene.entry("k", "v", bound)] }))).toMatch(
    /no KMSVaultSecret includes/,
  );
});

test("of many including objects five are tried", async () => {
  for (const name of ["m1", "m2", "m3", "m4", "m5", "m6", "m7"]) {
    await scene.create(name, { secretContext: { of: name }, includeSecrets: ["many"] });
  }
  await scene.kms.reset();
  const secrets = [await scene.entry("k", "v", { of: "nobody" })];
  expect(await denial(scene.createPartial("many", { secrets }))).toMatch(/\(the first 5 tried\)/);
  expect(await scene.decryptions()).toBe(6);
});
