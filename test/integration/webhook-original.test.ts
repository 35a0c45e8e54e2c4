// An installation of the original's webhook: its binary's name, its flags, its configuration (v1beta1 reviews only, no
// matchConditions, no path), its scrape of the metrics at /.
import { request } from "undici";
import { expect, inject, test } from "vitest";
import { testEnv } from "../env/context.ts";
import { startWebhook } from "../env/webhook.ts";
import { denial, openReviewScene } from "./review-scene.ts";
import { secretPath } from "../gen/manifests.ts";

const originals = {
  admissionReviewVersions: ["v1beta1"],
  matchConditions: undefined,
  timeoutSeconds: undefined,
  rules: [
    {
      apiGroups: ["k8s.patoarvizu.dev"],
      apiVersions: ["v1alpha1"],
      resources: ["kmsvaultsecrets", "partialkmsvaultsecrets"],
      operations: ["CREATE", "UPDATE"],
    },
  ],
};

test("/kms-vault-validating-webhook, asked in v1beta1", async () => {
  await using scene = await openReviewScene({ calledAs: "kms-vault-validating-webhook", configuration: originals });
  const secrets = [await scene.entry("k")];
  await scene.create("good", { secrets }, { finalizers: ["delete.k8s.patoarvizu.dev"] });
  const foreign = { ...(await scene.entry("k")), secretContext: { of: "another" } };
  expect(await denial(scene.create("bad", { secrets: [foreign] }))).toMatch(
    /^Error decrypting key k in KMSVaultSecret bad: /,
  );
  // The API server asks about all of these here.
  await scene.edit("good", { metadata: { labels: { a: "b" } } });
  await scene.kube.delete(secretPath({ namespace: scene.namespace, name: "good" }));
  await scene.edit("good", { metadata: { finalizers: null } });
  expect(await scene.kube.find(secretPath({ namespace: scene.namespace, name: "good" }))).toBeUndefined();
  for (const path of ["/", "/metrics"]) {
    const { statusCode, body } = await request(`${scene.webhook.metricsUrl}${path}`);
    expect(statusCode).toBe(200);
    expect(await body.text()).toMatch(
      /kms_vault_operator_webhook_reviews_total\{kind="KMSVaultSecret",operation="CREATE",outcome="denied"\} [1-9]/,
    );
  }
  expect(await scene.webhook.stop()).toEqual({ code: 0, signal: null });
});

test("/manager is the operator", async () => {
  const env = testEnv();
  const { vault } = inject("stack");
  const running = startWebhook({
    calledAs: "manager",
    env: { VAULT_ADDR: vault.address, VAULT_CACERT: vault.caFile, VAULT_TOKEN: vault.rootToken },
  });
  // Its flags are not the webhook's.
  await expect(running).rejects.toThrow(/flag provided but not defined: -tls-cert-file[^]*See kms-vault-operator run/);
  await Promise.all([env.kube.close(), env.vault.close(), env.kms.close()]);
});
