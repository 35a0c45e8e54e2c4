// What the webhook adds to an edit: reviews come at a steady 200 a second over connections that are kept, as an API
// server sends them, each of an object with one entry that has to be decrypted. A review's time counts from when it was
// due, not from when the one before had ended, so that a stall is seen in every review that it held up.
import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Pool, request } from "undici";
import { apiVersion } from "../src/api/kinds.ts";
import { createAuthority } from "../test/env/certificates.ts";
import { freePorts } from "../test/env/ports.ts";
import { checkout, type Cluster } from "./cluster.ts";
import { rounded } from "./report.ts";
import type { Bench } from "./speed.ts";
import { latencyOf } from "./stats.ts";
import { pause } from "./time.ts";
import { usageOf } from "./usage.ts";

const perSecond = 200;
/** What may come on top of the time that KMS takes, ms. */
const ownMs = 50;
/** Of the KMS that the bench runs on, ms. */
const kmsMs = 10;
const connections = 64;

/** A webhook that listens. */
interface Webhook {
  readonly pid: number;
  /** To its address. */
  readonly pool: Pool;
  stop(): Promise<void>;
}

/** Reviews at a steady pace. */
export async function webhookScenario({ cluster, settings, found }: Bench): Promise<void> {
  const webhook = await startWebhook(cluster);
  try {
    const ciphertext = await cluster.kms.encrypt(await cluster.kms.createKey(), "a value");
    // Connections, and the code that is warm after the first few hundred.
    await reviews(webhook.pool, ciphertext, 3);
    const before = await cluster.calls();
    const usageBefore = usageOf(webhook.pid);
    const seconds = settings.quick ? 10 : 60;
    const latencies = await reviews(webhook.pool, ciphertext, seconds);
    const { kms } = await cluster.calls();
    const { p50, p99, max, count } = latencyOf(latencies);
    const usage = usageOf(webhook.pid);
    const cpuMs = (1_000 * (usage.cpuSeconds - usageBefore.cpuSeconds)) / count;
    found({
      name: `webhook: review at ${perSecond} a second, p99`,
      value: p99,
      unit: "ms",
      atMost: kmsMs + ownMs,
      note: `${count} reviews of one entry, KMS takes ${kmsMs} ms of it; p50 ${rounded(p50)} ms, slowest ${rounded(max)} ms`,
    });
    // Or they had been answered without a look at the value.
    found({ name: "webhook: KMS calls per review", value: (kms - before.kms) / count, unit: "", exactly: 1 });
    found({ name: "webhook: CPU per review", value: cpuMs, unit: "ms", note: `RSS ${rounded(usage.rssMiB)} MiB` });
  } finally {
    await webhook.stop();
  }
}

async function startWebhook(cluster: Cluster): Promise<Webhook> {
  const authority = await createAuthority("webhook bench");
  const { certPem, keyPem } = await authority.server("webhook");
  const [certFile, keyFile] = ["webhook.crt", "webhook.key"].map((name) => join(cluster.group.directory, name)) as [
    string,
    string,
  ];
  await Promise.all([writeFile(certFile, certPem), writeFile(keyFile, keyPem, { mode: 0o600 })]);
  const [port, metricsPort] = (await freePorts(2)) as [number, number];
  const server = await cluster.group.start({
    name: "webhook",
    program: join(checkout, "bin/kms-vault-operator"),
    args: [
      "webhook",
      `-tls-cert-file=${certFile}`,
      `-tls-key-file=${keyFile}`,
      `-listen-addr=127.0.0.1:${port}`,
      `-metrics-addr=127.0.0.1:${metricsPort}`,
    ],
    env: cluster.environment(await cluster.place("v2")),
    async ready() {
      const { statusCode, body } = await request(`http://127.0.0.1:${metricsPort}/readyz`);
      await body.dump();
      return statusCode === 200;
    },
  });
  if (server.pid === undefined) throw new Error("the webhook has no process");
  const pool = new Pool(`https://127.0.0.1:${port}`, {
    allowH2: false,
    connections,
    keepAliveTimeout: 60_000,
    connect: { ca: authority.caPem },
  });
  return {
    pid: server.pid,
    pool,
    async stop() {
      await pool.destroy();
      await server.stop("SIGTERM");
    },
  };
}

/** Sends reviews for so many seconds. @returns ms from when each was due to its answer */
async function reviews(pool: Pool, ciphertext: string, seconds: number): Promise<number[]> {
  const latencies: number[] = [];
  const pending: Promise<void>[] = [];
  const since = performance.now();
  for (let sent = 0; sent < perSecond * seconds; sent += 1) {
    const due = since + (sent * 1_000) / perSecond;
    while (performance.now() < due) await pause(1);
    pending.push(
      review(pool, ciphertext).then(() => {
        latencies.push(performance.now() - due);
      }),
    );
  }
  await Promise.all(pending);
  return latencies;
}

/** One review. Rejects unless it is allowed, and without a warning: a value that nobody looked at comes with one. */
async function review(pool: Pool, encryptedSecret: string): Promise<void> {
  const uid = randomUUID();
  const name = `bench-${uid}`;
  const object = {
    apiVersion,
    kind: "KMSVaultSecret",
    metadata: { name, namespace: "default", uid },
    spec: {
      path: `secret/data/${name}`,
      kvSettings: { engineVersion: "v2" },
      secrets: [{ key: "k", encryptedSecret }],
    },
  };
  const asked = {
    uid,
    kind: { group: "k8s.patoarvizu.dev", version: "v1alpha1", kind: object.kind },
    resource: { group: "k8s.patoarvizu.dev", version: "v1alpha1", resource: "kmsvaultsecrets" },
    name,
    namespace: "default",
    operation: "CREATE",
    userInfo: { username: "bench" },
    object,
    oldObject: null,
    dryRun: false,
  };
  const body = JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request: asked });
  const headers = { "content-type": "application/json" };
  const answer = await pool.request({ method: "POST", path: "/?timeout=10s", headers, body });
  const text = await answer.body.text();
  if (answer.statusCode !== 200) throw new Error(`the webhook answered ${answer.statusCode}: ${text}`);
  const { response } = JSON.parse(text) as { readonly response: { allowed: boolean; warnings?: readonly string[] } };
  if (!response.allowed || response.warnings !== undefined) throw new Error(`the webhook answered: ${text}`);
}
