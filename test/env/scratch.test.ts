import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { auditCount, auditMark, auditRequests } from "./audit.ts";
import { testEnv } from "./context.ts";
import { eventually } from "./eventually.ts";
import { startOperator } from "./operator.ts";
import { privateKms, privateVault } from "./private.ts";
import { KmsTestClient } from "./kms-client.ts";
import { VaultClient } from "./vault-client.ts";
import { installServiceAccount } from "./service-account.ts";
const env = testEnv();
test("operator", async () => {
  const ns = await env.freshNamespace();
  const [v1, v2] = await Promise.all([env.freshMount("v1"), env.freshMount("v2")]);
  const key = await env.kms.createKey();
  const sa = await installServiceAccount(env.kube, ns);
  const t = performance.now();
  for (const [built, serviceAccount] of [
    [false, undefined],
    [true, sa],
  ] as const) {
    const t = performance.now();
    await using op = await startOperator({ namespace: ns, built, ...(serviceAccount && { serviceAccount }) });
    console.log("ready", performance.now() - t);
    const mark = await auditMark(env.stack.vault);
    const n = built ? "b" : "a";
    await env.kube.create({
      apiVersion: "k8s.patoarvizu.dev/v1alpha1",
      kind: "KMSVaultSecret",
      metadata: { name: n, namespace: ns },
      spec: {
        path: `${v2}/data/${n}`,
        secrets: [
          { key: "k", encryptedSecret: await env.kms.encrypt(key, "hello", { a: "b" }), secretContext: { a: "b" } },
        ],
      },
    });
    try {
      await eventually(async () => expect((await env.vault.read(`${v2}/data/${n}`))?.data).toEqual({ k: "hello" }), {
        timeoutMs: 5000,
      });
    } catch (e) {
      console.log(op.output());
      console.log(
        JSON.stringify(
          await env.kube.get({
            apiVersion: "k8s.patoarvizu.dev/v1alpha1",
            plural: "kmsvaultsecrets",
            namespace: ns,
            name: n,
          }),
        ),
      );
      throw e;
    }
    console.log(await auditRequests(env.stack.vault, { path: v2, since: mark }), await env.kms.calls());
    console.log(op.logs().length, (await op.metrics()).length, await op.metric("controller_runtime_reconcile_total"));
    console.log(await op.stop(), performance.now() - t);
  }
}, 60000);
test("private", async () => {
  const t = performance.now();
  await using v = await privateVault({ persistent: true });
  console.log("pv", performance.now() - t);
  const c = new VaultClient(v.info);
  await c.write("sys/mounts/kv", { type: "kv" });
  await c.write("kv/x", { a: 1 });
  await v.seal();
  expect((await c.ask({ method: "GET", path: "/v1/kv/x" })).status).toBe(503);
  await v.unseal();
  await v.stop();
  await v.start();
  await v.unseal();
  expect(await c.read("kv/x")).toEqual({ a: 1 });
  console.log("pv", performance.now() - t);
  await using k = await privateKms();
  const kc = new KmsTestClient(k.info);
  const id = await kc.createKey();
  await k.stop();
  await k.start();
  await kc.encrypt(id, "x");
  console.log(await kc.calls());
});
