// The webhook's certificate on the real API server: of its own making, shared by its replicas, trusted by caBundle, put
// in order again whatever somebody does to it; and from files, however they are replaced. Rotation under load:
// test/slow/webhook-rotation.test.ts.
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import type { KubeClient } from "../../src/runtime/client.ts";
import { createToken } from "../../src/runtime/service-account-token.ts";
import { certificatesIn, checkPair } from "../../src/webhook/check-pair.ts";
import { fileCertificate } from "../../src/webhook/file-certificate.ts";
import { createAuthority, type KeyPair } from "../env/certificates.ts";
import { testEnv } from "../env/context.ts";
import { always, eventually } from "../env/eventually.ts";
import type { Manifest } from "../env/kube-client.ts";
import { adminClient, adminConnection, newNamespace } from "./runtime-env.ts";
import {
  caBundleOf,
  configMaps,
  configurations,
  createConfiguration,
  entryFor,
  entryName,
  getConfiguration,
  type Hook,
  keepingLogger,
  replicaCertificate,
  type ReplicaOptions,
  secretResource,
  startHook,
  type TlsSecret,
} from "./webhook-scene.ts";

const secretName = "kms-vault-validating-webhook-cert";
const client = adminClient();
afterAll(() => client.close());

interface Place {
  readonly namespace: string;
  readonly hooks: Hook[];
  readonly configuration: string;
  readonly logger: ReturnType<typeof keepingLogger>;
}

/** Replicas that serve, and a configuration with an entry for each. */
async function place(options: Partial<ReplicaOptions> = {}, replicas = 1): Promise<Place> {
  const namespace = options.namespace ?? (await newNamespace(client));
  const logger = keepingLogger();
  // Not there yet, as in an installation that applies its files in any order.
  const configuration = `${namespace}-hook`;
  const hooks = await Promise.all(
    Array.from({ length: replicas }, async () => {
      const hook = await startHook(replicaCertificate({ client, namespace, configuration, logger, ...options }));
      onTestFinished(() => hook[Symbol.asyncDispose]());
      return hook;
    }),
  );
  const webhooks = hooks.map(({ port }) => entryFor(namespace, port));
  await apply(configuration, webhooks.slice(0, 1));
  return { namespace, hooks, configuration, logger };
}

async function apply(name: string, webhooks: readonly object[]): Promise<void> {
  const body = {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: configurations.kind,
    metadata: { name },
    webhooks,
  };
  await client.patch(configurations, { name }, { type: "apply", body, fieldManager: "installer", force: true });
  onTestFinished(() => client.delete(configurations, { name }).catch(() => {}));
}

async function secretOf(namespace: string): Promise<TlsSecret & { readonly text: (name: string) => string }> {
  const secret = await client.get<TlsSecret>(secretResource, { namespace, name: secretName });
  return { ...secret, text: (name) => Buffer.from(secret.data[name] ?? "", "base64").toString("utf8") };
}

/** Has the API server ask the webhook, which is answered only where it is trusted. */
function ask(namespace: string): Promise<unknown> {
  const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { generateName: "asked-" } };
  return client.create(configMaps, { namespace }, body, { maxRetries: 0 });
}

async function untilTrusted({ namespace, configuration }: Place, index = 0): Promise<void> {
  const { text } = await secretOf(namespace);
  await eventually(async () =>
    expect(caBundleOf(await getConfiguration(client, configuration), index)).toBe(text("ca.crt")),
  );
  await eventually(() => ask(namespace));
}

test("it makes a Secret of type kubernetes.io/tls, and the API server trusts what it serves", async () => {
  const at = await place();
  await untilTrusted(at);
  const { type, metadata, text } = await secretOf(at.namespace);
  expect(type).toBe("kubernetes.io/tls");
  expect(metadata.labels).toEqual({ "app.kubernetes.io/managed-by": "kms-vault-operator" });
  const leaf = checkPair({ cert: text("tls.crt"), key: text("tls.key") });
  expect(leaf.checkHost(`kms-vault-validating-webhook.${at.namespace}.svc`)).toBeDefined();
  const [ca] = certificatesIn(text("ca.crt"));
  expect(ca && leaf.verify(ca.publicKey)).toBe(true);
  expect(at.hooks[0]?.answered()).toBeGreaterThan(0);
});

test("replicas that start together serve one pair", async () => {
  const at = await place({}, 3);
  const { text } = await secretOf(at.namespace);
  await eventually(() => {
    for (const { served } of at.hooks) expect(served.at(-1)).toBe(text("tls.crt"));
  });
  for (const { port } of at.hooks) {
    await apply(at.configuration, [entryFor(at.namespace, port)]);
    await untilTrusted(at);
  }
  for (const { answered } of at.hooks) expect(answered()).toBeGreaterThan(0);
});

test("a caBundle that somebody resets is repaired, and nothing else of the configuration is touched", async () => {
  const at = await place();
  await untilTrusted(at);
  const other = "other.example.com";
  const foreign = { service: { name: "kms-vault-validating-webhook", namespace: "elsewhere" } };
  const own = { service: { name: "kms-vault-validating-webhook", namespace: at.namespace, port: 443 } };
  const unused = { ...entryFor("nowhere", 1), failurePolicy: "Ignore" };
  const webhooks = [
    { ...unused, name: other, clientConfig: foreign },
    entryFor(at.namespace, at.hooks[0]?.port ?? 0),
    { ...unused, name: "by-service.example.com", clientConfig: own },
  ];
  await client.delete(configurations, { name: at.configuration });
  await client.create(configurations, {}, { metadata: { name: at.configuration }, webhooks });
  await untilTrusted(at, 1);
  const repaired = await getConfiguration(client, at.configuration);
  const { text } = await secretOf(at.namespace);
  expect([0, 1, 2].map((index) => caBundleOf(repaired, index))).toEqual(["", text("ca.crt"), text("ca.crt")]);
  expect(repaired.webhooks.map(({ name, failurePolicy }) => [name, failurePolicy])).toEqual([
    [other, "Ignore"],
    [entryName, "Fail"],
    ["by-service.example.com", "Ignore"],
  ]);
  // Once more, in place; then nothing is written any more.
  const reset = { op: "remove" as const, path: "/webhooks/1/clientConfig/caBundle" };
  await client.patch(configurations, { name: at.configuration }, { type: "json", operations: [reset] });
  await untilTrusted(at, 1);
  const { resourceVersion } = (await getConfiguration(client, at.configuration)).metadata;
  await always(
    async () =>
      expect((await getConfiguration(client, at.configuration)).metadata.resourceVersion).toBe(resourceVersion),
    1_000,
  );
});

test("a Secret that is deleted is made again with a new pair, and calls go on all the while", async () => {
  const at = await place({ periods: { announceMs: 1_500, retireMs: 1_000 } });
  await untilTrusted(at);
  const before = await secretOf(at.namespace);
  await client.delete(secretResource, { namespace: at.namespace, name: secretName });
  await eventually(async () => {
    await ask(at.namespace);
    const { data } = await secretOf(at.namespace);
    expect(Object.keys(data).toSorted()).toEqual(["ca.crt", "tls.crt", "tls.key"]);
    expect(data["tls.key"]).not.toBe(before.data["tls.key"]);
  });
  await untilTrusted(at);
});

test("a Secret of somebody else is never written to", async () => {
  const namespace = await newNamespace(client);
  const { certPem, keyPem } = await (await createAuthority("another")).server("hook");
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const data = { "tls.crt": base64(certPem), "tls.key": base64(keyPem) };
  const secret = { metadata: { name: secretName }, type: "kubernetes.io/tls", data };
  await client.create(secretResource, { namespace }, secret);
  const logger = keepingLogger();
  const certificate = replicaCertificate({ client, namespace, configuration: "none", logger });
  const waiting = certificate.first(AbortSignal.timeout(1_500));
  await expect(waiting).rejects.toThrow("timeout");
  await certificate.close();
  expect((await secretOf(namespace)).data).toEqual(data);
  expect(logger.lines).toHaveLength(1);
  expect(logger.lines[0]).toContain(`Secret ${namespace}/${secretName} was not made by this webhook`);
  expect(logger.lines[0]).not.toContain(keyPem.slice(60, 90));
});

test("the shipped rights are enough, and no key is in a log, an event or a managed field", async () => {
  const namespace = await newNamespace(client);
  const configuration = `${namespace}-hook`;
  const restricted = await serviceAccountClient(namespace, configuration);
  const at = await place({ namespace, configuration, client: restricted, periods: { announceMs: 500, retireMs: 500 } });
  await untilTrusted(at);
  // Every verb is used: made, announced, promoted, retired.
  const keys = new Set([(await secretOf(namespace)).text("tls.key")]);
  await client.delete(secretResource, { namespace, name: secretName });
  await eventually(async () => {
    const { text } = await secretOf(namespace);
    for (const name of ["tls.key", "next-tls.key"]) if (text(name) !== "") keys.add(text(name));
    expect(at.hooks[0]?.served).toHaveLength(2);
  });
  await untilTrusted(at);
  expect(keys.size).toBe(2);
  const events = await client.list<object>(
    { group: "", version: "v1", plural: "events", kind: "Event" },
    { namespace },
  );
  const { metadata } = await secretOf(namespace);
  const everything = [...at.logger.lines, JSON.stringify(events.items), JSON.stringify(metadata)].join("\n");
  expect(everything).not.toContain("PRIVATE KEY");
  for (const key of keys) for (const line of key.split("\n").slice(1, 3)) expect(everything).not.toContain(line);
  expect(at.logger.lines.join("\n")).not.toMatch(/Forbidden/);
});

/** A client with the rights of deploy/webhook/self-signed-role.yaml and no others. */
async function serviceAccountClient(namespace: string, configuration: string): Promise<KubeClient> {
  const file = join(import.meta.dirname, "..", "..", "deploy", "webhook", "self-signed-role.yaml");
  const kube = testEnv().kube;
  const name = "kms-vault-validating-webhook";
  await kube.create({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace } });
  for (const document of parseAllDocuments(await readFile(file, "utf8"))) {
    // Cluster-wide names are the test's own; the configuration is named in the rule of the ClusterRole alone.
    const text = JSON.stringify(document.toJS())
      .replaceAll('"namespace":"kms-vault-operator"', `"namespace":"${namespace}"`)
      .replaceAll("kms-vault-validating-webhook-self-signed", `${namespace}-self-signed`)
      .replace('"resourceNames":["kms-vault-validating-webhook"]', `"resourceNames":["${configuration}"]`);
    await kube.apply(JSON.parse(text) as Manifest);
  }
  const { token } = await createToken(client, { namespace, name });
  const { server, caPem } = adminConnection() as { server: string; caPem: string };
  const restricted = adminClient({ connection: { server, caPem, token } });
  onTestFinished(() => restricted.close());
  return restricted;
}

/** Two files as a mounted Secret has them: behind a link to a directory, which is swapped. */
async function mounted() {
  const directory = await mkdtemp(join(tmpdir(), "webhook-files-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  let generation = 0;
  const swap = async (files: Readonly<Record<string, string>>) => {
    generation += 1;
    const data = join(directory, `..${generation}`);
    await mkdir(data);
    for (const [name, content] of Object.entries(files)) await writeFile(join(data, name), content);
    await symlink(`..${generation}`, join(directory, "..next"));
    await rename(join(directory, "..next"), join(directory, "..data"));
  };
  for (const name of ["tls.crt", "tls.key"]) await symlink(join("..data", name), join(directory, name));
  const files = { certFile: join(directory, "tls.crt"), keyFile: join(directory, "tls.key") };
  const mount = ({ certPem, keyPem }: KeyPair) => swap({ "tls.crt": certPem, "tls.key": keyPem });
  return { ...files, mount, swap };
}

test("files are waited for, and read again when they are swapped", async () => {
  const { certFile, keyFile, mount } = await mounted();
  const authority = await createAuthority("files");
  const [one, two] = await Promise.all([authority.server("one"), authority.server("two")]);
  const logger = keepingLogger();
  const certificate = fileCertificate({ certFile, keyFile, clock: systemClock, logger });
  onTestFinished(() => certificate.close());
  const waiting = certificate.first(AbortSignal.timeout(20_000));
  await eventually(() => expect(logger.lines.join()).toContain("tls.crt cannot be read (ENOENT)"));
  await mount(one);
  expect(await waiting).toEqual({ cert: one.certPem, key: one.keyPem });
  const changes: string[] = [];
  certificate.onChange(({ cert }) => changes.push(cert));
  const since = performance.now();
  await mount(two);
  await eventually(() => expect(changes).toEqual([two.certPem]));
  expect(performance.now() - since).toBeLessThan(3_000);
});

test("half of a pair, a torn file and an empty one never replace what works; each is told once", async () => {
  const { certFile, keyFile, mount, swap } = await mounted();
  const authority = await createAuthority("files");
  const [one, two] = await Promise.all([authority.server("one"), authority.server("two")]);
  const logger = keepingLogger();
  const certificate = fileCertificate({ certFile, keyFile, clock: systemClock, logger });
  onTestFinished(() => certificate.close());
  await mount(one);
  await certificate.first(AbortSignal.timeout(20_000));
  const changes: string[] = [];
  certificate.onChange(({ cert }) => changes.push(cert));
  const problems = () => logger.lines.filter((line) => line.includes("cannot be used as it stands in the files"));
  const broken: ReadonlyArray<[Record<string, string>, string]> = [
    [{ "tls.crt": two.certPem, "tls.key": one.keyPem }, "the private key is of another certificate"],
    [{ "tls.crt": two.certPem, "tls.key": two.keyPem.slice(0, 90) }, "the private key cannot be parsed"],
    [{ "tls.crt": "", "tls.key": two.keyPem }, "there is no certificate in it"],
    [{ "tls.crt": two.certPem }, "tls.key cannot be read (ENOENT)"],
  ];
  for (const [index, [files, problem]] of broken.entries()) {
    await swap(files);
    await eventually(() => expect(problems()).toHaveLength(index + 1));
    expect(problems()[index]).toContain(problem);
  }
  // Three looks later nothing has been told again, and the first pair is still the one.
  await always(() => expect(problems()).toHaveLength(broken.length), 1_600);
  expect(changes).toEqual([]);
  await mount(two);
  await eventually(() => expect(changes).toEqual([two.certPem]));
  for (const { keyPem } of [one, two]) expect(logger.lines.join("\n")).not.toContain(keyPem.split("\n")[1]);
});

test("a configuration of another name is not looked at", async () => {
  const at = await place();
  await untilTrusted(at);
  const other = await createConfiguration(client, [entryFor("nowhere", 1)]);
  onTestFinished(() => client.delete(configurations, { name: other }));
  await always(async () => expect(caBundleOf(await getConfiguration(client, other))).toBe(""), 600);
});
