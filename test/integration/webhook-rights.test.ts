// The webhook as its own service account, with what deploy/webhook gives it and nothing else: it looks up what includes a
// Partial, makes its certificate and has it trusted. Without the right to list it says so and lets values through.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkServerIdentity, connect } from "node:tls";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { testEnv } from "../env/context.ts";
import { eventually } from "../env/eventually.ts";
import type { Manifest } from "../env/kube-client.ts";
import { installServiceAccount } from "../env/service-account.ts";
import { startWebhook } from "../env/webhook.ts";
import { openReviewScene } from "./review-scene.ts";

const rights = ["webhook/rbac.yaml", "webhook/self-signed-role.yaml"];

test("the shipped rights are enough for what it looks up", async () => {
  const env = testEnv();
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
  await close(env);
});

test("without the right to list, a Partial that does not decrypt by itself is let through with a warning", async () => {
  const env = testEnv();
  const namespace = await env.freshNamespace();
  await env.kube.create({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "nobody", namespace } });
  const token = await env.kube.serviceAccountToken({ name: "nobody", namespace });
  await using scene = await openReviewScene({ serviceAccount: { name: "nobody", namespace, token } });
  const partial = scene.partial("part", { secrets: [await scene.entry("k", "v", { app: "shop" })] });
  expect(await scene.warnings(partial)).toEqual([
    expect.stringMatching(/not checked, KubernetesError: keys k: .*what includes the Partial is not known/),
  ]);
  await close(env);
});

test("--self-signed: it serves a certificate of its own, which the configuration trusts", async () => {
  const env = testEnv();
  const namespace = await env.freshNamespace();
  const file = join(import.meta.dirname, "..", "..", "deploy", "webhook", "configuration.yaml");
  const shipped = parse(readFileSync(file, "utf8"));
  const [entry] = shipped.webhooks;
  const clientConfig = { service: { ...entry.clientConfig.service, namespace } };
  const namespaceSelector = { matchLabels: { "kubernetes.io/metadata.name": namespace } };
  const configuration: Manifest = { ...shipped, webhooks: [{ ...entry, clientConfig, namespaceSelector }] };
  const path = {
    apiVersion: shipped.apiVersion,
    plural: "validatingwebhookconfigurations",
    name: shipped.metadata.name,
  };
  await env.kube.create(configuration);
  try {
    const serviceAccount = await installServiceAccount(env.kube, namespace, rights);
    const started = { serviceAccount, hasFiles: false, args: ["--self-signed"], env: { POD_NAMESPACE: namespace } };
    await using webhook = await startWebhook(started);
    const name = `kms-vault-validating-webhook.${namespace}.svc`;
    await eventually(async () => {
      const { webhooks } = await env.kube.get(path);
      const ca = Buffer.from(webhooks[0].clientConfig.caBundle ?? "", "base64").toString();
      expect(ca).toContain("BEGIN CERTIFICATE");
      await expectTrusted(webhook.url, name, ca);
    });
  } finally {
    await env.kube.delete(path);
    await close(env);
  }
});

/** Calls by that name, as an API server does. */
function expectTrusted(url: string, name: string, ca: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port: Number(new URL(url).port), servername: name, ca });
    socket.once("error", reject).once("secureConnect", () => {
      const wrong = checkServerIdentity(name, socket.getPeerCertificate());
      socket.destroy();
      if (wrong === undefined) resolve();
      else reject(wrong);
    });
  });
}

async function close({ kube, vault, kms }: ReturnType<typeof testEnv>): Promise<void> {
  await Promise.all([kube.close(), vault.close(), kms.close()]);
}
