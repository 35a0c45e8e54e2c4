// The floor: the calls of a first sync and nothing between them. `node bench/floor.ts` is told what to do by JSON on
// stdin and says what it took by JSON on stdout; it is a process of its own, as the operator is.
import { randomUUID } from "node:crypto";
import pLimit from "p-limit";
import { Agent, Pool } from "undici";
import { createAwsKms } from "../src/kms/aws.ts";

/** What the floor is told. */
export interface FloorJob {
  /** Which client decrypts: AWS's SDK as the operator uses it, or plain HTTP. */
  readonly kmsBy: "sdk" | "http";
  readonly kmsEndpoint: string;
  /** Base64. */
  readonly ciphertext: string;
  readonly engine: "v1" | "v2";
  readonly keys: number;
  /** Objects at the same time. */
  readonly concurrency: number;
  readonly objects: readonly { readonly name: string; readonly readPath: string; readonly writePath: string }[];
  readonly namespace: string;
  /** A status as the operator writes it. */
  readonly status: object;
  readonly vault: { readonly address: string; readonly caPem: string; readonly token: string };
  readonly kubernetes: {
    readonly server: string;
    readonly caPem: string;
    readonly certPem: string;
    readonly keyPem: string;
  };
}

/** What it says. */
export interface FloorReport {
  /** From the first call to the last answer. */
  readonly ms: number;
  readonly cpuMs: number;
  /** Of a second pass over as many Decrypts, and nothing else. */
  readonly cpuMsPerDecrypt: number;
}

interface Doors {
  decrypt(): Promise<string>;
  vault(method: "GET" | "POST" | "PATCH", path: string, body?: object): Promise<void>;
  kube(method: "POST" | "PATCH", path: string, body: object): Promise<void>;
}

const resource = "apis/k8s.patoarvizu.dev/v1alpha1";
const eventWriters = 8;

async function run(job: FloorJob): Promise<FloorReport> {
  const doors = openDoors(job);
  const cpuBefore = process.cpuUsage();
  const since = performance.now();
  const events = pLimit(eventWriters);
  const written: Promise<void>[] = [];
  const limit = pLimit(job.concurrency);
  await Promise.all(
    job.objects.map((object) =>
      limit(async () => {
        await syncOne(job, doors, object);
        written.push(
          events(() => doors.kube("POST", `/api/v1/namespaces/${job.namespace}/events`, eventOf(job, object))),
        );
      }),
    ),
  );
  await Promise.all(written);
  const ms = performance.now() - since;
  const cpuMs = cpuMsSince(cpuBefore);
  const count = job.objects.length * job.keys;
  const decryptBefore = process.cpuUsage();
  const decryptions = pLimit(64);
  await Promise.all(Array.from({ length: count }, () => decryptions(() => doors.decrypt())));
  return { ms, cpuMs, cpuMsPerDecrypt: cpuMsSince(decryptBefore) / count };
}

async function syncOne(job: FloorJob, doors: Doors, object: FloorJob["objects"][number]): Promise<void> {
  await doors.vault("GET", object.readPath);
  const values = await Promise.all(Array.from({ length: job.keys }, () => doors.decrypt()));
  const data = Object.fromEntries(values.map((value, index) => [`key-${index}`, value]));
  await doors.vault("POST", object.writePath, job.engine === "v2" ? { data, options: { cas: 0 } } : data);
  if (job.engine === "v2") await doors.vault("PATCH", object.readPath, { custom_metadata: markOf(object) });
  await doors.kube("PATCH", `/${resource}/namespaces/${job.namespace}/kmsvaultsecrets/${object.name}/status`, [
    { op: "test", path: "/metadata/name", value: object.name },
    { op: "add", path: "/status", value: job.status },
  ]);
}

/** Of the size of the operator's. */
function markOf({ name }: FloorJob["objects"][number]): object {
  const uid = randomUUID();
  return { "managed-by": "kms-vault-operator", owner: `namespace/${name}`, uid, cluster: uid };
}

function openDoors(job: FloorJob): Doors {
  const { engine, vault, kubernetes } = job;
  const written = engine === "v2" ? 200 : 204;
  const vaultPool = new Pool(vault.address, { allowH2: false, connections: 64, connect: { ca: vault.caPem } });
  const kubePool = new Pool(kubernetes.server, {
    allowH2: false,
    connect: { ca: kubernetes.caPem, cert: kubernetes.certPem, key: kubernetes.keyPem },
  });
  return {
    decrypt: job.kmsBy === "sdk" ? sdkDecrypt(job) : httpDecrypt(job),
    async vault(method, path, body) {
      const answer = await vaultPool.request({
        method,
        path: `/v1/${path}`,
        headers: {
          "x-vault-token": vault.token,
          ...(method === "PATCH" && { "content-type": "application/merge-patch+json" }),
        },
        ...(body && { body: JSON.stringify(body) }),
      });
      await settle(answer, { GET: 404, POST: written, PATCH: 204 }[method]);
    },
    async kube(method, path, body) {
      const contentType = method === "PATCH" ? "application/json-patch+json" : "application/json";
      const answer = await kubePool.request({
        method,
        path,
        headers: { "content-type": contentType },
        body: JSON.stringify(body),
      });
      await settle(answer, method === "PATCH" ? 200 : 201);
    },
  };
}

function sdkDecrypt({ kmsEndpoint, ciphertext }: FloorJob): () => Promise<string> {
  const kms = createAwsKms({ endpoint: kmsEndpoint });
  const blob = Buffer.from(ciphertext, "base64");
  return async () =>
    Buffer.from((await kms.decrypt({ ciphertext: blob, encryptionContext: {} })).open()).toString("utf8");
}

/** With a signature that is none: the emulator checks none. */
function httpDecrypt({ kmsEndpoint, ciphertext }: FloorJob): () => Promise<string> {
  const agent = new Agent({ allowH2: false, connections: 64 });
  const headers = {
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": "TrentService.Decrypt",
    authorization: "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/kms/aws4_request",
  };
  const body = JSON.stringify({ CiphertextBlob: ciphertext, EncryptionContext: {} });
  return async () => {
    const answer = await agent.request({ origin: kmsEndpoint, path: "/", method: "POST", headers, body });
    if (answer.statusCode !== 200) throw new Error(`KMS answered ${answer.statusCode}`);
    const { Plaintext: plaintext } = (await answer.body.json()) as { readonly Plaintext: string };
    return Buffer.from(plaintext, "base64").toString("utf8");
  };
}

async function settle(
  { statusCode, body }: { statusCode: number; body: { text(): Promise<string> } },
  expected: number,
) {
  const text = await body.text();
  if (statusCode !== expected) throw new Error(`${statusCode} in place of ${expected}: ${text}`);
}

function eventOf({ namespace }: FloorJob, { name, writePath }: FloorJob["objects"][number]): object {
  const time = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  const kind = { apiVersion: "k8s.patoarvizu.dev/v1alpha1", kind: "KMSVaultSecret" };
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { namespace, generateName: `${name}.` },
    involvedObject: { ...kind, namespace, name },
    type: "Normal",
    reason: "SecretCreated",
    message: `Wrote secret ${name} to ${writePath}`,
    source: { component: "floor" },
    firstTimestamp: time,
    lastTimestamp: time,
    count: 1,
  };
}

function cpuMsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

let input = "";
for await (const chunk of process.stdin.setEncoding("utf8")) input += String(chunk);
const job: FloorJob = JSON.parse(input);
process.stdout.write(`${JSON.stringify(await run(job))}\n`);
process.exit(0);
