// Who we are to the API server, and who it is, replaced on disk under a running client: the next call goes by what is
// there now, what is in flight ends in peace. A stack of our own, because it changes its certificates.
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import type { KubeClient } from "../../src/runtime/client.ts";
import type { KubeConnection } from "../../src/runtime/connection.ts";
import type { Resource } from "../../src/runtime/objects.ts";
import { createToken } from "../../src/runtime/service-account-token.ts";
import { type Private, privateStack } from "../env/private.ts";
import type { Stack } from "../env/stack.ts";
import {
  adminClient,
  adminConnection,
  ensureWidgets,
  newNamespace,
  type Widget,
  widget,
  widgets,
} from "./runtime-env.ts";

interface Review {
  readonly status: { readonly userInfo: { readonly username: string } };
}

const reviews: Resource = {
  group: "authentication.k8s.io",
  version: "v1",
  plural: "selfsubjectreviews",
  kind: "SelfSubjectReview",
};
const serviceAccounts: Resource = { group: "", version: "v1", plural: "serviceaccounts", kind: "ServiceAccount" };
/** Files are read again after 5 s; a machine that is busy may need more. */
const soon = { timeout: 20_000, interval: 200 };

let stack: Private<Stack>;
let admin: KubeClient;
let namespace: string;
let directory: string;

beforeAll(async () => {
  stack = await privateStack();
  directory = await mkdtemp(join(tmpdir(), "runtime-rotation-"));
  admin = adminClient({ connection: adminConnection(stack.info.kubernetes) });
  await ensureWidgets(admin);
  namespace = await newNamespace(admin);
});
afterAll(async () => {
  await admin.close();
  await stack[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

/** Replaces a file in one step, as whoever rotates does. */
async function replace(name: string, content: string): Promise<string> {
  const file = join(directory, name);
  await writeFile(`${file}.next`, content, { mode: 0o600 });
  await rename(`${file}.next`, file);
  return file;
}

async function certificateOf(user: string): Promise<Pick<KubeConnection, "clientCertFile" | "clientKeyFile">> {
  const { certPem, keyPem } = await stack.kubernetes.clientCertificate(user, "system:masters");
  return { clientCertFile: await replace("client.crt", certPem), clientKeyFile: await replace("client.key", keyPem) };
}

function clientBy(connection: Omit<KubeConnection, "server">): KubeClient {
  const client = adminClient({ connection: { server: stack.info.kubernetes.server, ...connection } });
  onTestFinished(() => client.close());
  return client;
}

/** Who the API server takes the client for. A mutation to the client, so nothing repeats it after a failure. */
async function whoIs(client: KubeClient): Promise<string> {
  const review = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
  return (await client.create<Review>(reviews, {}, review)).status.userInfo.username;
}

/** A watch that goes on; what it saw. */
async function keepWatching(client: KubeClient): Promise<string[]> {
  const { resourceVersion } = await client.list(widgets, { namespace });
  const seen: string[] = [];
  const abort = new AbortController();
  const opened = Promise.withResolvers<void>();
  const watching = (async () => {
    const options = { namespace, resourceVersion, signal: abort.signal, onOpen: opened.resolve };
    for await (const { object } of client.watch<Widget>(widgets, options)) seen.push(object.metadata.name);
  })();
  const ended = watching.catch((error: unknown) => {
    if (!abort.signal.aborted) seen.push(String(error));
  });
  onTestFinished(async () => {
    abort.abort();
    await ended;
  });
  await opened.promise;
  return seen;
}

test("a client certificate: the next call is the new user's, a watch goes on, and no call fails", async () => {
  const client = clientBy({ caPem: stack.info.kubernetes.caPem, ...(await certificateOf("first")) });
  expect(await whoIs(client)).toBe("first");
  const seen = await keepWatching(client);
  await certificateOf("second");
  // Each call of these is made once: it fails the test if it fails.
  const users: string[] = [];
  const until = performance.now() + soon.timeout;
  while (users.at(-1) !== "second" && performance.now() < until) {
    users.push(...(await Promise.all([whoIs(client), whoIs(client), whoIs(client)])));
  }
  expect(new Set(users)).toEqual(new Set(["first", "second"]));
  await admin.create(widgets, { namespace }, widget("after-certificate"));
  await vi.waitFor(() => expect(seen).toEqual(["after-certificate"]));
});

test("a token: the next call is the new account's", async () => {
  const tokenOf = async (name: string): Promise<string> => {
    await admin.create(serviceAccounts, { namespace }, { metadata: { name } });
    return (await createToken(admin, { namespace, name })).token;
  };
  const tokenFile = await replace("token", await tokenOf("first"));
  const client = clientBy({ caPem: stack.info.kubernetes.caPem, tokenFile });
  expect(await whoIs(client)).toBe(`system:serviceaccount:${namespace}:first`);
  await replace("token", await tokenOf("second"));
  await vi.waitFor(async () => expect(await whoIs(client)).toBe(`system:serviceaccount:${namespace}:second`), soon);
});

test("the server's authority: new connections go by the new CA file, a watch goes on", async () => {
  const caFile = await replace("ca.crt", stack.info.kubernetes.caPem);
  const client = clientBy({ caFile, ...(await certificateOf("admin-of-old")) });
  expect(await whoIs(client)).toBe("admin-of-old");
  const seen = await keepWatching(client);
  const { caPem, server } = await stack.kubernetes.rotate();
  // Whoever has the old CA alone no longer believes the server.
  const stale = adminClient({ connection: { ...adminConnection(stack.info.kubernetes), server } });
  onTestFinished(() => stale.close());
  await expect(stale.list(widgets, { limit: 1, maxRetries: 0 })).rejects.toThrow("certificate does not verify");
  await replace("ca.crt", caPem);
  await certificateOf("admin-of-new");
  await vi.waitFor(async () => expect(await whoIs(client)).toBe("admin-of-new"), soon);
  await client.create(widgets, { namespace }, widget("after-authority"));
  await vi.waitFor(() => expect(seen).toEqual(["after-authority"]));
});
