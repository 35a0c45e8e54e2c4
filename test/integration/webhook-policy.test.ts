// The tenancy policy under review: the reconciler's own code says what is refused, before anything is stored.
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { type MountedPolicy, mountedPolicy } from "./policy-scene.ts";
import { denial, openReviewScene, type ReviewScene } from "./review-scene.ts";

let mounted: MountedPolicy;
let scene: ReviewScene;

beforeAll(async () => {
  mounted = await mountedPolicy(policy({ require: { bindContext: "Namespace" } }));
  scene = await openReviewScene({ args: [`--policy=${mounted.file}`] });
});
afterAll(async () => {
  await scene[Symbol.asyncDispose]();
  await mounted[Symbol.asyncDispose]();
});

function policy(rule: object): object[] {
  return [{ name: "tenants", namespaces: { names: ["*"] }, vaultPaths: ["secret/{{namespace}}/**"], ...rule }];
}

test("what it refuses is denied with the rest, and nothing is decrypted in the object's name", async () => {
  const spec = {
    path: "secret/theirs/x",
    secrets: [await scene.entry("k"), { key: "bad", encryptedSecret: "no base64!" }],
  };
  await scene.kms.reset();
  const lines = (await denial(scene.create("theirs", spec))).split("\n");
  expect(lines).toEqual([
    expect.stringMatching(/^Error decoding key bad /),
    expect.stringMatching(/^PolicyDenied: .*rule "tenants" of the policy/),
    expect.stringMatching(/^PolicyDenied: .*bindContext/),
  ]);
  expect(await scene.decryptions()).toBe(0);
});

test("what it allows passes; a change of the policy counts at once, and does not stand in the way of other edits", async () => {
  const path = `secret/${scene.namespace}/x`;
  const bound = await scene.entry("k", "v", { "k8s.patoarvizu.dev/namespace": scene.namespace });
  const manifest = scene.secret("ours", { path, bindContext: "Namespace", secrets: [bound] });
  expect(await scene.warnings(manifest)).toEqual([]);
  await mounted.swap(policy({ vaultPaths: ["secret/{{namespace}}/only/**"] }));
  await eventually(() => expect(scene.webhook.output()).toContain("policy changed"));
  const refused = denial(scene.edit("ours", { spec: { path: `${path}/elsewhere` } }));
  expect(await refused).toMatch(/^PolicyDenied: /);
  const spec = { ...(manifest["spec"] as object), syncPeriod: "1h" };
  expect(await scene.warnings({ ...manifest, spec })).toEqual([expect.stringMatching(/was so before: PolicyDenied: /)]);
  await scene.edit("ours", { spec: { path: `secret/${scene.namespace}/only/x` } });
});

test("labels of namespaces, which a policy may go by, are followed", async () => {
  const labels = { team: "shop" };
  await scene.kube.patch({ apiVersion: "v1", plural: "namespaces", name: scene.namespace }, { metadata: { labels } });
  await mounted.swap(policy({ namespaces: { labels }, vaultPaths: ["secret/{{label:team}}/**"] }));
  const good = scene.secret("labelled", { path: "secret/shop/x", secrets: [await scene.entry("k")] });
  await eventually(async () => expect(await scene.warnings(good, "--dry-run=server")).toEqual([]));
  const theirs = scene.create("not-labelled", { path: "secret/other/x", secrets: [await scene.entry("k")] });
  expect(await denial(theirs)).toMatch(/^PolicyDenied: /);
});
