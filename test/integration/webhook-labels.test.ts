// A webhook whose policy goes by labels of namespaces, at its start: with an API server that is slow to tell them it is not
// ready before it knows them, and one that never tells keeps it waiting for some seconds only.
import { readFileSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { expect, inject, test } from "vitest";
import { testEnv } from "../env/context.ts";
import { JsonClient } from "../env/http.ts";
import { freePort } from "../env/ports.ts";
import { ProcessGroup } from "../env/processes.ts";
import { startWebhook } from "../env/webhook.ts";
import { mountedPolicy } from "./policy-scene.ts";

const unknown = expect.stringMatching(/^not checked against the policy: KubernetesError: the labels of namespace/);

test.each([
  { told: "late", delayMs: 1_500, warnings: undefined },
  { told: "never", delayMs: Number.POSITIVE_INFINITY, warnings: [unknown] },
])("labels that are told $told", { timeout: 30_000 }, async ({ delayMs, warnings }) => {
  const env = testEnv();
  const namespace = await env.freshNamespace();
  await using policy = await mountedPolicy([
    { name: "all", namespaces: { labels: { "kubernetes.io/metadata.name": "*" } }, vaultPaths: ["secret/**"] },
  ]);
  const files = await ProcessGroup.create();
  await using server = await slowServer(delayMs);
  const kubeconfig = join(files.directory, "kubeconfig");
  const { kubernetes } = inject("stack");
  writeFileSync(kubeconfig, readFileSync(kubernetes.kubeconfig, "utf8").replaceAll(kubernetes.server, server.url));
  await using webhook = await startWebhook({ args: [`--policy=${policy.file}`], env: { KUBECONFIG: kubeconfig } });
  const client = new JsonClient(webhook.url, { caPem: webhook.caPem });
  const { response } = await client.send({ method: "POST", path: "/", body: review(namespace) });
  expect(response).toEqual({ uid: "u", allowed: true, ...(warnings && { warnings }) });
  await Promise.all([client.close(), files.stop(), env.kube.close(), env.vault.close(), env.kms.close()]);
});

function review(namespace: string): object {
  const kind = { group: "k8s.patoarvizu.dev", version: "v1alpha1", kind: "KMSVaultSecret" };
  const object = { spec: { path: "secret/x", secrets: [{ key: "k", emptySecret: true }] } };
  const request = { uid: "u", kind, operation: "CREATE", namespace, name: "object", object };
  return { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request };
}

/** The API server behind a connection that takes so long to be made. */
async function slowServer(delayMs: number): Promise<AsyncDisposable & { readonly url: string }> {
  const { hostname, port } = new URL(inject("stack").kubernetes.server);
  const ends = new AbortController();
  const server = createServer((near) => {
    near.on("error", () => {});
    ends.signal.addEventListener("abort", () => near.destroy());
    if (!Number.isFinite(delayMs)) return;
    setTimeout(() => {
      const far = connect(Number(port), hostname);
      far.on("error", () => near.destroy());
      near.once("close", () => far.destroy());
      near.pipe(far).pipe(near);
    }, delayMs);
  });
  const listen = await freePort();
  await once(server.listen(listen, "127.0.0.1"), "listening");
  return {
    url: `https://127.0.0.1:${listen}`,
    async [Symbol.asyncDispose]() {
      ends.abort();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
