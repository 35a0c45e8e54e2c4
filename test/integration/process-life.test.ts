// From the start of the process to its end: it starts while the API server is down and works once that is up, lives
// through its outages, finishes what is in flight when it is asked to stop, and exits 0.
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { JsonClient } from "../env/http.ts";
import { renderKubeconfig } from "../env/kubernetes.ts";
import { freePort } from "../env/ports.ts";
import { kmsVaultSecret } from "../gen/manifests.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
let way: WayToApiServer;
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "process-life-"));
  way = new WayToApiServer(await freePort());
  world = await openWorld({ args: ["--sync-period-seconds=0"], kubeconfig: await kubeconfigBy(way) });
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await way.close();
  await rm(directory, { recursive: true });
});

test("started while the API server is down it lives, is not ready and says why; ready once the API server is up", async () => {
  await world.apply("waiting", { path: `${world.v2}/data/waiting`, secrets: await world.entries({ k: "v" }) });
  await world.start({ until: "started" });
  await eventually(async () => expect(await ask("/healthz")).toMatchObject({ status: 200 }));
  expect(await ask("/readyz")).toMatchObject({
    status: 503,
    body: expect.stringContaining("the API server has not been reached yet"),
  });
  await eventually(() => expect(world.operator.output()).toContain("cannot start yet, trying again"));
  expect(await world.versionOf("waiting")).toBeUndefined();
  await way.open();
  await eventually(async () => expect(await ask("/readyz")).toMatchObject({ status: 200 }));
  await world.settled("waiting");
});

test("an edit made while it had lost the API server arrives once it is back", async () => {
  await way.close();
  await world.apply("waiting", { path: `${world.v2}/data/waiting`, secrets: await world.entries({ k: "edited" }) });
  const failures = await world.operator.metric("informer_failures_total");
  await eventually(async () =>
    expect(await world.operator.metric("informer_failures_total")).toBeGreaterThan(failures),
  );
  expect(await ask("/healthz")).toMatchObject({ status: 200 });
  await way.open();
  await eventually(async () => expect(await world.atV2("waiting")).toEqual({ k: "edited" }), { timeoutMs: 30_000 });
  await world.settled("waiting");
});

test("SIGTERM: what is in flight is written and reported, nothing else is begun, exit code 0", async () => {
  await world.kms.faults({ latencyMs: 700 });
  const before = (await world.kms.calls()).operations["Decrypt"] ?? 0;
  const secrets = await world.entries({ k: "v" });
  await world.apply("in-flight", { path: `${world.v2}/data/in-flight`, secrets });
  await eventually(async () => expect(await world.decryptions()).toBeGreaterThan(before));
  world.operator.signal("SIGTERM");
  await eventually(() => expect(world.operator.output()).toContain('"signal":"SIGTERM"'));
  await world.apply("too-late", { path: `${world.v2}/data/too-late`, secrets });
  expect(await world.operator.exit).toEqual({ code: 0, signal: null });
  await world.kms.faults({});
  expect(await world.atV2("in-flight")).toEqual({ k: "v" });
  // With its status and its event, so that the next start has nothing to do again.
  await world.settled("in-flight");
  await world.event("in-flight", "SecretCreated");
  expect(await world.versionOf("too-late")).toBeUndefined();
  expect((await world.get("too-late")).status).toBeUndefined();
});

test("SIGTERM while the API server has not been reached ends it with 0 as well", async () => {
  await way.close();
  const operator = await world.start({ until: "started" });
  await eventually(() => expect(operator.output()).toContain("cannot start yet, trying again"));
  expect(await operator.stop()).toEqual({ code: 0, signal: null });
  await way.open();
});

test("a promise that nobody catches is a bug that ends the process, with a clear log", async () => {
  const bug = join(directory, "bug.mjs");
  await writeFile(bug, `process.once("SIGUSR2", () => void Promise.reject(new TypeError("a bug of this test")));`);
  const operator = await world.start({ env: { NODE_OPTIONS: `--import=${bug}` } });
  expect(await operator.stop("SIGUSR2")).toEqual({ code: 1, signal: null });
  const [last] = operator.logs().filter(({ level }) => level === "fatal" || level === 60);
  expect(last?.["msg"]).toContain("this is a bug in the operator, which ends now");
  expect(operator.output()).toContain("a bug of this test");
});

test("an object that was deleted and made anew under its name while nobody looked goes on where the former stopped", async () => {
  const spec = { path: `${world.v2}/data/anew`, secrets: await world.entries({ k: "one" }) };
  await world.start();
  await world.sync("anew", spec);
  await world.operator.stop();
  await world.remove("anew");
  const named = { namespace: world.namespace, name: "anew" };
  await world.kube.create(kmsVaultSecret(named, { ...spec, secrets: await world.entries({ k: "two" }) }));
  await world.start();
  // The mark tells that the data is the former object's.
  await world.settled("anew");
  expect(await world.atV2("anew")).toEqual({ k: "two" });
  expect(await world.versionOf("anew")).toBe(2);
});

/** A door on loopback in front of the shared API server, which this file may shut. */
class WayToApiServer {
  readonly port: number;
  readonly #server = createServer((client) => this.#pass(client));
  readonly #sockets = new Set<Socket>();

  constructor(port: number) {
    this.port = port;
  }

  async open(): Promise<void> {
    await once(this.#server.listen(this.port, "127.0.0.1"), "listening");
  }

  /** Refuses from now on, and cuts what is connected. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server.close(), "close");
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #pass(client: Socket): void {
    const server = connect(Number(new URL(inject("stack").kubernetes.server).port), "127.0.0.1");
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from);
      from.pipe(to);
      from.once("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      // The close that follows says all there is to say.
      from.on("error", () => to.destroy());
    }
  }
}

async function kubeconfigBy({ port }: WayToApiServer): Promise<string> {
  const { caPem, admin } = inject("stack").kubernetes;
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const user = { "client-certificate-data": base64(admin.certPem), "client-key-data": base64(admin.keyPem) };
  const file = join(directory, "kubeconfig");
  await writeFile(file, renderKubeconfig({ server: `https://127.0.0.1:${port}`, caPem, user }));
  return file;
}

/** One question to the operator's own server. */
async function ask(path: string) {
  const client = new JsonClient(world.operator.metricsUrl);
  try {
    return await client.ask({ method: "GET", path });
  } finally {
    await client.close();
  }
}
