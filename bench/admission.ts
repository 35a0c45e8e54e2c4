// The webhook under a steady stream of reviews, as an API server sends them: one new object with one entry each, at fixed
// times whether the last one has been answered or not. What is told is how much longer than KMS itself an answer takes.
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Agent, type Dispatcher, request } from "undici";
import { createAuthority } from "../test/env/certificates.ts";
import { freePorts } from "../test/env/ports.ts";
import { kmsVaultSecret } from "../test/gen/manifests.ts";
import { checkout, type Cluster } from "./cluster.ts";
import { rounded } from "./report.ts";
import type { Bench } from "./speed.ts";
import { latencyOf } from "./stats.ts";
import { pause, until } from "./time.ts";
import { usageOf } from "./usage.ts";

const perSecond = 200;

/** Reviews at a steady rate. */
export async function admissionScenario({ cluster, settings, found }: Bench): Promise<void> {
  const webhook = await startWebhook(cluster);
  const keyId = await cluster.kms.createKey();
  const ciphertext = await cluster.kms.encrypt(keyId, "a secret of ordinary length");
  // The first calls load the SDK and open the connections.
  await stream(webhook, ciphertext, 2);
  const before = (await cluster.calls()).kms;
  const seconds = settings.quick ? 5 : 30;
  const latencies = await stream(webhook, ciphertext, seconds);
  const asked = (await cluster.calls()).kms - before;
  const { count, p50, p99, max } = latencyOf(latencies);
  const { rssMiB, cpuSeconds } = usageOf(webhook.pid);
  const kmsMs = await kmsLatency(cluster, keyId);
  found({ name: "review: KMS calls each", value: asked / count, unit: "", exactly: 1 });
  found({
    name: `review, ${perSecond} a second: p99 above KMS's latency`,
    value: p99 - kmsMs,
    unit: "ms",
    atMost: 50,
    note: `${count} reviews of one entry each; KMS ${rounded(kmsMs)} ms; in all p50 ${rounded(p50)}, p99 ${rounded(p99)}, slowest ${rounded(max)} ms`,
  });
  found({ name: "webhook: RSS after it", value: rssMiB, unit: "MiB", note: `CPU ${rounded(cpuSeconds)} s in all` });
}

interface Target {
  readonly pid: number;
  readonly url: string;
  readonly agent: Dispatcher;
}

async function startWebhook(cluster: Cluster): Promise<Target> {
  const [port = 0, metricsPort = 0] = await freePorts(2);
  const { directory } = cluster.info;
  const authority = await createAuthority("bench CA");
  const { certPem, keyPem } = await authority.server("webhook");
  const [certFile, keyFile, log] = ["tls.crt", "tls.key", "webhook.log"].map((name) => join(directory, name));
  writeFileSync(certFile ?? "", certPem);
  writeFileSync(keyFile ?? "", keyPem, { mode: 0o600 });
  const descriptor = openSync(log ?? "", "a");
  const flags = [`--listen-addr=127.0.0.1:${port}`, `--metrics-addr=127.0.0.1:${metricsPort}`];
  const child = spawn(
    join(checkout, "bin/kms-vault-operator"),
    ["webhook", `--tls-cert-file=${certFile}`, `--tls-key-file=${keyFile}`, ...flags],
    {
      env: cluster.environment({ namespace: "default", mount: "", engine: "v2" }),
      stdio: ["ignore", descriptor, descriptor],
      detached: true,
    },
  );
  closeSync(descriptor);
  cluster.group.adopt(child, "webhook");
  await until("the webhook", async () => {
    if (child.exitCode !== null) throw new Error(`the webhook ended:\n${readFileSync(log ?? "", "utf8")}`);
    const answer = await request(`http://127.0.0.1:${metricsPort}/readyz`).catch(() => undefined);
    await answer?.body.dump();
    return answer?.statusCode === 200 || undefined;
  });
  const agent = new Agent({ allowH2: false, connections: 32, connect: { ca: authority.caPem } });
  return { pid: child.pid ?? 0, url: `https://127.0.0.1:${port}/?timeout=10s`, agent };
}

/** @returns for each review the ms from when it was due to when it was answered */
async function stream(target: Target, ciphertext: string, seconds: number): Promise<number[]> {
  const begin = performance.now();
  const answers = Array.from({ length: perSecond * seconds }, async (_, index) => {
    const due = begin + (index * 1_000) / perSecond;
    await pause(Math.max(1, due - performance.now()));
    await review(target, ciphertext, index);
    return performance.now() - due;
  });
  return Promise.all(answers);
}

async function review({ url, agent }: Target, encryptedSecret: string, index: number): Promise<void> {
  const name = `object-${index}`;
  const object = kmsVaultSecret(
    { namespace: "bench", name },
    { path: "secret/x", secrets: [{ key: "k", encryptedSecret }] },
  );
  const kind = { group: "k8s.patoarvizu.dev", version: "v1alpha1", kind: object.kind };
  const asked = { uid: name, kind, operation: "CREATE", namespace: "bench", name, object };
  const { statusCode, body } = await request(url, {
    method: "POST",
    dispatcher: agent,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request: asked }),
  });
  const { response } = (await body.json()) as { response: { allowed: boolean; warnings?: string[] } };
  if (statusCode !== 200 || !response.allowed || response.warnings !== undefined) {
    throw new Error(`a review was answered with ${statusCode}: ${JSON.stringify(response)}`);
  }
}

/** What KMS takes by itself: the median of calls one after the other. */
async function kmsLatency(cluster: Cluster, keyId: string): Promise<number> {
  const taken: number[] = [];
  for (let call = 0; call < 50; call += 1) {
    const since = performance.now();
    await cluster.kms.encrypt(keyId, "x");
    taken.push(performance.now() - since);
  }
  return latencyOf(taken).p50;
}
