// 200 requests a second, each by a TLS connection of its own, while two replicas go through two rotations: none fails.
// Once through the real API server, and once straight to the replicas by a caller that learns of a new caBundle later
// than an API server does. On a machine that has no time for 200 a second there are fewer, and still none may fail.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { request, type RequestOptions } from "node:https";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createSecureContext, type SecureContext } from "node:tls";
import { expect, inject, onTestFinished, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { JsonClient } from "../env/http.ts";
import { adminClient, adminConnection, newNamespace } from "../integration/runtime-env.ts";
import {
  caBundleOf,
  configurations,
  createConfiguration,
  entryFor,
  getConfiguration,
} from "../integration/webhook-scene.ts";
import type { ReplicaJob, ReplicaReport } from "./webhook-replica.ts";

const perSecond = 200;
/** More than wait for an answer at any time when there is time for all. */
const mostPending = 100;
/** A rotation about every 10 s. The old authority stays until a replica has been held up for longer than it is here. */
const periods = { validityMs: 60_000, renewBeforeMs: 56_000, announceMs: 3_000, retireMs: 4_000 };
const rotations = 2;
const askEveryMs = 200;

interface Scene {
  readonly client: ReturnType<typeof adminClient>;
  readonly namespace: string;
  readonly configuration: string;
  readonly replicas: readonly Replica[];
}

/** A replica's process. */
class Replica {
  report: ReplicaReport;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, report: ReplicaReport) {
    this.#child = child;
    this.report = report;
    child.on("message", (message) => {
      this.report = message as ReplicaReport;
    });
  }

  static async start(job: ReplicaJob): Promise<Replica> {
    const child = fork(join(import.meta.dirname, "webhook-replica.ts"), { execArgv: [], env: {} });
    onTestFinished(() => void child.kill());
    child.send(job);
    const [report] = (await once(child, "message")) as [ReplicaReport];
    return new Replica(child, report);
  }

  /** Its report of now, before long. */
  ask(): void {
    this.#child.send({});
  }
}

/** Two replicas, and a configuration by which the API server asks them about ConfigMaps. */
async function scene(): Promise<Scene> {
  const client = adminClient();
  onTestFinished(() => client.close());
  const namespace = await newNamespace(client);
  const ports: number[] = [];
  const configuration = await createConfiguration(client, [entryFor(namespace, await startBalancer(ports))]);
  onTestFinished(() => client.delete(configurations, { name: configuration }));
  const job = { connection: adminConnection(), namespace, configuration, periods };
  const replicas = await Promise.all([Replica.start(job), Replica.start(job)]);
  ports.push(...replicas.map(({ report }) => report.port));
  await eventually(async () => expect(caBundleOf(await getConfiguration(client, configuration))).not.toBe(""));
  return { client, namespace, configuration, replicas };
}

/** What a Service is: connections go to the replicas in turn. @returns its port */
async function startBalancer(ports: readonly number[]): Promise<number> {
  let turn = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    turn += 1;
    const upstream = connect(ports[turn % ports.length] ?? 0, "127.0.0.1");
    for (const [from, to] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      sockets.add(from);
      from.on("error", () => to.destroy()).on("close", () => sockets.delete(from));
      from.pipe(to);
    }
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
}

/**
 * Sends 200 requests a second, as long as no more than `mostPending` wait for an answer, until both replicas have gone
 * through the rotations. Fails with the first request that fails, and unless each was answered by a replica.
 */
async function loadWhileRotating({ replicas }: Scene, send: (turn: number) => Promise<void>): Promise<void> {
  const failures: string[] = [];
  const pending = new Set<Promise<void>>();
  const answered = () => replicas.reduce((sum, { report }) => sum + report.answered, 0);
  const hasRotated = () => replicas.every(({ report }) => report.served.length > rotations);
  const since = performance.now();
  let askedAt = since;
  let sent = 0;
  while (!hasRotated() && failures.length === 0 && performance.now() - since < 100_000) {
    const due = ((performance.now() - since) * perSecond) / 1_000;
    for (; sent < due && pending.size < mostPending; sent += 1) {
      const second = Math.round((performance.now() - since) / 1_000);
      const one = send(sent).catch((error: unknown) => void failures.push(`after ${second} s: ${String(error)}`));
      pending.add(one);
      void one.then(() => pending.delete(one));
    }
    if (performance.now() - askedAt > askEveryMs) {
      for (const replica of replicas) replica.ask();
      askedAt = performance.now();
    }
    await sleep(5);
  }
  const seconds = (performance.now() - since) / 1_000;
  await Promise.all(pending);
  process.stdout.write(`${sent} requests, ${Math.round(sent / seconds)} a second, ${failures.length} failed\n`);
  expect(failures.slice(0, 3), replicas.map(({ report }) => report.log.join("\n")).join("\n\n")).toEqual([]);
  expect(hasRotated()).toBe(true);
  // Far below what a quiet machine does; below that nothing has been shown.
  expect(sent / seconds).toBeGreaterThan(perSecond / 10);
  for (const replica of replicas) replica.ask();
  await eventually(() => expect(answered()).toBeGreaterThanOrEqual(sent));
  for (const { report } of replicas) expect(report.answered).toBeGreaterThan(sent / 4);
  const [one, other] = replicas.map(({ report }) => report.served.slice(0, rotations + 1));
  expect(one).toEqual(other);
}

test("through the API server", async () => {
  const at = await scene();
  const { server, caPem, admin } = inject("stack").kubernetes;
  const api = new JsonClient(server, { caPem, ...admin });
  onTestFinished(() => api.close());
  const path = `/api/v1/namespaces/${at.namespace}/configmaps?dryRun=All`;
  const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { generateName: "asked-" } };
  const send = async () => void (await api.send({ method: "POST", path, body }));
  // The API server has learned of the configuration and its caBundle.
  await eventually(send);
  await loadWhileRotating(at, send);
});

test("by a caller whose caBundle is up to a second old", async () => {
  const at = await scene();
  let trusted = await bundleOfNow(at);
  const closing = new AbortController();
  const refreshing = (async () => {
    while (!closing.signal.aborted) {
      await sleep(1_000);
      trusted = await bundleOfNow(at);
    }
  })();
  onTestFinished(async () => {
    closing.abort();
    await refreshing;
  });
  await loadWhileRotating(at, (turn) => review(at.replicas[turn % 2]?.report.port ?? 0, trusted));
});

async function bundleOfNow({ client, configuration }: Scene): Promise<SecureContext> {
  return createSecureContext({ ca: caBundleOf(await getConfiguration(client, configuration)) });
}

/** One review by a connection of its own. */
async function review(port: number, secureContext: SecureContext): Promise<void> {
  // Its types do not say that it takes what tls.connect takes.
  const options: RequestOptions & { secureContext: SecureContext } = {
    host: "127.0.0.1",
    port,
    method: "POST",
    agent: false,
    secureContext,
  };
  const asked = request(options);
  asked.end(JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request: { uid: "1" } }));
  const [answer] = await once(asked, "response");
  let text = "";
  for await (const chunk of answer.setEncoding("utf8")) text += String(chunk);
  expect(JSON.parse(text).response.allowed).toBe(true);
}
