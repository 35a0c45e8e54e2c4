// The webhook as its own service account, with what deploy/webhook gives it and nothing else: it looks up what includes a
// Partial, makes its certificate and has it trusted. Without the right to list it says so and lets values through.
import { afterAll, expect, test } from "vitest";
import { testEnv } from "../env/context.ts";
import { eventually } from "../env/eventually.ts";
import { installServiceAccount } from "../env/service-account.ts";
import { uniqueName } from "../env/unique.ts";
import { installConfiguration, startWebhook } from "../env/webhook.ts";
import { kmsVaultSecret } from "../gen/manifests.ts";
import { denial, openReviewScene } from "./review-scene.ts";

const env = testEnv();
afterAll(async () => {
  await Promise.all([env.kube.close(), env.vault.close(), env.kms.close()]);
});

const rights = ["webhook/rbac.yaml", "webhook/self-signed-role.yaml"];

test("the shipped rights are enough for what it looks up", async () => {
  const serviceAccount = await installServiceAccount(env.kube, await env.freshNamespace(), rights);
  await using scene = await openReviewScene({ serviceAccount });
  const context = { app: "shop" };
  await scene.create("includer", { secretContext: context, includeSecrets: ["part"] });
  const partial = scene.partial("part", { secrets: [await scene.entry("k", "v", context)] });
  expect(await scene.warnings(partial)).toEqual([]);
  const requests = (await scene.webhook.metrics())
    .split("\n")
    .filter((line) => line.startsWith("rest_client_requests"));
  expect(requests.join("\n")).toMatch(/method="GET",code="200"/);
  expect(requests.filter((line) => /code="(401|403)"/.test(line))).toEqual([]);
});

test("without the right to list, a Partial that does not decrypt by itself is let through with a warning", async () => {
  const namespace = await env.freshNamespace();
  await env.kube.create({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "nobody", namespace } });
  const token = await env.kube.serviceAccountToken({ name: "nobody", namespace });
  await using scene = await openReviewScene({ serviceAccount: { name: "nobody", namespace, token } });
  const partial = scene.partial("part", { secrets: [await scene.entry("k", "v", { app: "shop" })] });
  expect(await scene.warnings(partial)).toEqual([
    expect.stringMatching(/not checked, KubernetesError: keys k: .*what includes the Partial is not known/),
  ]);
});

test("--self-signed: it serves a certificate of its own, and is asked as soon as the configuration trusts it", async () => {
  const namespace = await env.freshNamespace();
  const serviceAccount = await installServiceAccount(env.kube, namespace, rights);
  await using webhook = await startWebhook({
    serviceAccount,
    hasFiles: false,
    args: ["--self-signed", "--self-signed-names=127.0.0.1"],
    env: { POD_NAMESPACE: namespace },
  });
  // By its name in the contract: that is the one which is kept in order.
  const name = "kms-vault-validating-webhook";
  await using _ = await installConfiguration(env.kube, { url: webhook.url }, { namespace, name });
  await eventually(async () => {
    const bad = { path: "secret/\u0001", secrets: [{ key: "k", emptySecret: true }] };
    const created = env.kube.create(kmsVaultSecret({ namespace, name: uniqueName("bad") }, bad));
    expect(await denial(created)).toMatch(/^(spec\.path|InvalidPath): /);
  });
});
