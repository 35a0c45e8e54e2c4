// The figure that says when the webhook's certificate ends follows the certificate that is served, wherever that comes
// from, so that an alert knows of it in time.
import { X509Certificate } from "node:crypto";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { createAuthority, type KeyPair } from "../env/certificates.ts";
import { testEnv } from "../env/context.ts";
import { eventually } from "../env/eventually.ts";
import type { Operator } from "../env/operator.ts";
import { startWebhook } from "../env/webhook.ts";

const env = testEnv();
const directory = await mkdtemp(join(tmpdir(), "served-certificate-"));
afterAll(async () => {
  await Promise.all([env.kube.close(), env.vault.close(), env.kms.close(), rm(directory, { recursive: true })]);
});

function endOf(certPem: string): number {
  return Date.parse(new X509Certificate(certPem).validTo) / 1_000;
}

function toldBy(webhook: Operator, source: string): Promise<number> {
  return webhook.metric("kms_vault_operator_webhook_certificate_expiry_timestamp_seconds", { source });
}

test("from files: a pair that takes the place of another one moves it, half of one does not", async () => {
  const [certFile, keyFile] = [join(directory, "tls.crt"), join(directory, "tls.key")];
  const put = async (file: string, pem: string) => {
    await writeFile(`${file}.new`, pem, { mode: 0o600 });
    await rename(`${file}.new`, file);
  };
  const authority = await createAuthority("served certificate");
  const first = await authority.server("first");
  await put(certFile, first.certPem);
  await put(keyFile, first.keyPem);
  await using webhook = await startWebhook({
    hasFiles: false,
    args: [`--tls-cert-file=${certFile}`, `--tls-key-file=${keyFile}`],
  });
  expect(await toldBy(webhook, "files")).toBe(endOf(first.certPem));

  const second = await laterThan(first, () => authority.server("second"));
  await put(certFile, second.certPem);
  await eventually(() => expect(webhook.output()).toContain("another certificate"));
  expect(await toldBy(webhook, "files")).toBe(endOf(first.certPem));
  await put(keyFile, second.keyPem);
  await eventually(async () => expect(await toldBy(webhook, "files")).toBe(endOf(second.certPem)));
});

test("of its own making: as the Secret has it", async () => {
  const namespace = await env.freshNamespace();
  await using webhook = await startWebhook({
    hasFiles: false,
    args: ["--self-signed", "--self-signed-names=127.0.0.1"],
    env: { POD_NAMESPACE: namespace },
  });
  const secret = { apiVersion: "v1", plural: "secrets", namespace, name: "kms-vault-validating-webhook-cert" };
  const { data } = await env.kube.get(secret);
  const certPem = Buffer.from(data["tls.crt"], "base64").toString("utf8");
  expect(await toldBy(webhook, "self-signed")).toBe(endOf(certPem));
  expect(await toldBy(webhook, "files")).toBe(0);
});

/** Times in certificates are whole seconds: made until one ends later than the other. */
function laterThan(former: KeyPair, make: () => Promise<KeyPair>): Promise<KeyPair> {
  return eventually(async () => {
    const made = await make();
    expect(endOf(made.certPem)).toBeGreaterThan(endOf(former.certPem));
    return made;
  });
}
