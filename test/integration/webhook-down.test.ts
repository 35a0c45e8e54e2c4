// With the webhook down, and failurePolicy Fail as shipped: no spec can be changed, but nothing hinders a deletion, a
// status, a label or the removal of a finalizer. By matchConditions the webhook is not even asked about those.
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { HttpError } from "../env/http.ts";
import { partialPath, secretPath } from "../gen/manifests.ts";
import { openReviewScene, type ReviewScene } from "./review-scene.ts";

const finalizers = ["delete.k8s.patoarvizu.dev"];
let scene: ReviewScene;

beforeAll(async () => {
  scene = await openReviewScene();
  const secrets = [await scene.entry("k")];
  await scene.create("object", { secrets }, { finalizers });
  await scene.create("large", { secrets: await largeSecrets() }, { finalizers });
  await scene.createPartial("part", { secrets });
  // An object that was invalid before there was a webhook.
  await scene.storeUnseen(scene.secret("invalid", { path: "", secrets: [{ key: "k" }] }, { finalizers }));
  await scene.webhook.stop();
});
afterAll(() => scene[Symbol.asyncDispose]());

async function largeSecrets() {
  const empty = Array.from({ length: 500 }, (_, index) => ({
    key: `key-${index}`,
    emptySecret: true,
    encryptedSecret: "A".repeat(1_024),
  }));
  return [...empty, await scene.entry("k")];
}

const pathOf = (name: string) => secretPath({ namespace: scene.namespace, name });

test("a change of the spec and a new object are refused", async () => {
  const refusals = [
    () => scene.edit("object", { spec: { path: "secret/elsewhere" } }),
    () => scene.create("another", { secrets: [{ key: "k", emptySecret: true }] }),
    () => scene.editPartial("part", { spec: { secretContext: { a: "b" } } }),
  ];
  for (const refused of refusals) {
    const error: unknown = await refused().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(HttpError);
    expect((error as HttpError).message).toMatch(/failed calling webhook/);
  }
});

test.each(["object", "large", "invalid"])(
  "%s: labels, status, deletion and the end of a finalizer pass",
  async (name) => {
    await scene.edit(name, { metadata: { labels: { a: "b" } } });
    await scene.kube.patch({ ...pathOf(name), subresource: "status" }, { status: { created: true } });
    await scene.kube.delete(pathOf(name));
    expect((await scene.kube.get(pathOf(name))).metadata.deletionTimestamp).toBeDefined();
    // A spec that is changed on the way out is nobody's concern either.
    await scene.edit(name, { spec: { suspend: true } });
    await scene.edit(name, { metadata: { finalizers: null } });
    await eventually(async () => expect(await scene.kube.find(pathOf(name))).toBeUndefined());
  },
);

test("a Partial can be labelled and deleted", async () => {
  const path = partialPath({ namespace: scene.namespace, name: "part" });
  await scene.kube.patch(path, { metadata: { labels: { a: "b" } } });
  await scene.kube.delete(path);
  expect(await scene.kube.find(path)).toBeUndefined();
});
