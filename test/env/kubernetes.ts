// The API server: etcd and kube-apiserver with RBAC, and nothing else. There is no controller manager, so namespaces
// are never really deleted; TokenRequest and TokenReview work, so Vault's Kubernetes login does.
import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Authority, createAuthority, type KeyPair } from "./certificates.ts";
import { eventually } from "./eventually.ts";
import { JsonClient } from "./http.ts";
import { freePorts } from "./ports.ts";
import type { ProcessGroup, Server } from "./processes.ts";

/** How the API server is reached as a member of system:masters. Plain data: it crosses to the test workers. */
export interface KubernetesInfo {
  readonly server: string;
  readonly caPem: string;
  readonly admin: KeyPair;
  /** A kubeconfig of the same. */
  readonly kubeconfig: string;
}

/** A running API server. */
export interface Kubernetes {
  readonly info: KubernetesInfo;
  /** Ends kube-apiserver; etcd, and so every object, stays. */
  stop(): Promise<void>;
  /** Starts it again on the same port and resolves when it is ready. */
  start(): Promise<void>;
  readonly etcd: Etcd;
  /** A client certificate of the present authority. */
  clientCertificate(user: string, group: string): Promise<KeyPair>;
  /**
   * Replaces the authority, and with it the server's certificate and every client's: those of the old one are refused
   * from now on. The API server reads its files again by itself, within seconds.
   * @returns how it is reached from now on
   */
  rotate(): Promise<KubernetesInfo>;
}

/** The API server's store. */
export interface Etcd {
  /** Kills it; its data stays. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Forgets every revision but the present one, so that older resourceVersions and continue tokens are gone. */
  compact(): Promise<void>;
  /** The present revision. */
  revision(): Promise<number>;
  /** What the store held at a revision below a prefix: key → the value as text. Custom resources and CRDs are JSON. */
  at(revision: number, prefix: string): Promise<ReadonlyMap<string, string>>;
  /** Puts a value under a key behind the API server's back: what an older API server stored and this one refuses. */
  put(key: string, value: string): Promise<void>;
}

export interface KubernetesPrograms {
  readonly etcd: string;
  readonly "kube-apiserver": string;
}

const issuer = "https://kubernetes.default.svc.cluster.local";

/** Starts etcd and kube-apiserver. */
export async function startKubernetes(group: ProcessGroup, programs: KubernetesPrograms): Promise<Kubernetes> {
  const directory = join(group.directory, "kubernetes");
  mkdirSync(directory);
  const [clientPort = 0, peerPort = 0, port = 0] = await freePorts(3);
  const etcdUrl = `http://127.0.0.1:${clientPort}`;
  writeSigningKey(directory);
  let [identity, etcd] = await Promise.all([
    writeIdentity(directory, port),
    startEtcd(group, programs.etcd, { etcd: etcdUrl, peer: `http://127.0.0.1:${peerPort}` }),
  ]);
  const start = () =>
    group.start({
      name: "kube-apiserver",
      program: programs["kube-apiserver"],
      args: apiServerArgs(directory, etcdUrl, port),
      ready: () => isReady(identity.info),
    });
  let server: Server = await start();
  return {
    info: identity.info,
    stop: () => server.stop(),
    async start() {
      server = await start();
    },
    etcd,
    clientCertificate: (user, userGroup) => identity.authority.client(user, userGroup),
    async rotate() {
      identity = await writeIdentity(directory, port);
      await eventually(async () => {
        if (!(await isReady(identity.info))) throw new Error("the API server is not ready");
      });
      return identity.info;
    },
  };
}

async function isReady({ server, caPem, admin }: KubernetesInfo): Promise<boolean> {
  const client = new JsonClient(server, { caPem, ...admin });
  try {
    return (await client.ask({ method: "GET", path: "/readyz" })).status === 200;
  } finally {
    await client.close();
  }
}

async function startEtcd(
  group: ProcessGroup,
  program: string,
  urls: { readonly etcd: string; readonly peer: string },
): Promise<Etcd> {
  const client = new JsonClient(urls.etcd);
  const start = () =>
    group.start({
      name: "etcd",
      program,
      args: [
        `--data-dir=${join(group.directory, "etcd")}`,
        `--listen-client-urls=${urls.etcd}`,
        `--advertise-client-urls=${urls.etcd}`,
        `--listen-peer-urls=${urls.peer}`,
        `--initial-advertise-peer-urls=${urls.peer}`,
        `--initial-cluster=default=${urls.peer}`,
        "--log-level=warn",
        // Nothing here has to survive a power cut, and fsync is what etcd spends its time on.
        "--unsafe-no-fsync",
      ],
      ready: async () => (await client.ask({ method: "GET", path: "/readyz" })).status === 200,
    });
  const currentRevision = async () => {
    const { header } = await client.send({ method: "POST", path: "/v3/kv/range", body: { key: base64("/") } });
    return Number(header.revision);
  };
  let server: Server = await start();
  return {
    stop: () => server.stop(),
    async start() {
      server = await start();
    },
    async compact() {
      const body = { revision: await currentRevision(), physical: true };
      await client.send({ method: "POST", path: "/v3/kv/compaction", body });
    },
    revision: currentRevision,
    async put(key, value) {
      const body = { key: base64(key), value: base64(value) };
      await client.send({ method: "POST", path: "/v3/kv/put", body });
    },
    async at(revision, prefix) {
      // The end of a range of keys with a prefix: the first key after them.
      const end = `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;
      const body = { key: base64(prefix), range_end: base64(end), revision };
      const { kvs = [] } = await client.send({ method: "POST", path: "/v3/kv/range", body });
      const text = (encoded: string) => Buffer.from(encoded, "base64").toString("utf8");
      return new Map(kvs.map(({ key, value }: Record<"key" | "value", string>) => [text(key), text(value)] as const));
    },
  };
}

function apiServerArgs(directory: string, etcd: string, port: number): string[] {
  const file = (name: string) => join(directory, name);
  return [
    `--etcd-servers=${etcd}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${port}`,
    `--tls-cert-file=${file("server.crt")}`,
    `--tls-private-key-file=${file("server.key")}`,
    `--client-ca-file=${file("ca.crt")}`,
    `--service-account-issuer=${issuer}`,
    `--service-account-key-file=${file("service-account.pub")}`,
    `--service-account-signing-key-file=${file("service-account.key")}`,
    "--service-cluster-ip-range=10.0.0.0/24",
    "--authorization-mode=RBAC",
    // Without a controller manager no namespace gets its default service account.
    "--disable-admission-plugins=ServiceAccount",
    "--endpoint-reconciler-type=none",
    "--shutdown-delay-duration=0s",
  ];
}

/** Who the API server is, and how it is reached. */
interface Identity {
  readonly authority: Authority;
  readonly info: KubernetesInfo;
}

async function writeIdentity(directory: string, port: number): Promise<Identity> {
  const authority = await createAuthority("kubernetes test CA");
  const [server, admin] = await Promise.all([
    authority.server("kube-apiserver"),
    authority.client("test-admin", "system:masters"),
  ]);
  writePrivately(directory, "ca.crt", authority.caPem);
  writePrivately(directory, "server.crt", server.certPem);
  writePrivately(directory, "server.key", server.keyPem);
  return { authority, info: adminInfo(directory, port, authority, admin) };
}

/** Tokens of service accounts are signed with it. */
function writeSigningKey(directory: string): void {
  const signing = generateKeyPairSync("ec", {
    namedCurve: "P-256",
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "sec1", format: "pem" },
  });
  writePrivately(directory, "service-account.pub", signing.publicKey);
  writePrivately(directory, "service-account.key", signing.privateKey);
}

function writePrivately(directory: string, name: string, content: string): void {
  writeFileSync(join(directory, name), content, { mode: 0o600 });
}

function adminInfo(directory: string, port: number, authority: Authority, admin: KeyPair): KubernetesInfo {
  const server = `https://127.0.0.1:${port}`;
  const kubeconfig = join(directory, "admin.kubeconfig");
  const user = { "client-certificate-data": base64(admin.certPem), "client-key-data": base64(admin.keyPem) };
  writeFileSync(kubeconfig, renderKubeconfig({ server, caPem: authority.caPem, user }), { mode: 0o600 });
  return { server, caPem: authority.caPem, admin, kubeconfig };
}

/** A kubeconfig (JSON, which is YAML) with one cluster, one user and one context. */
export function renderKubeconfig(given: {
  readonly server: string;
  readonly caPem?: string;
  /** In place of `caPem`. */
  readonly caFile?: string;
  /** The `user` stanza: client certificate, token or tokenFile. */
  readonly user: Readonly<Record<string, string>>;
  readonly namespace?: string;
}): string {
  const name = "test";
  const cluster = {
    server: given.server,
    ...(given.caPem !== undefined && { "certificate-authority-data": base64(given.caPem) }),
    ...(given.caFile !== undefined && { "certificate-authority": given.caFile }),
  };
  const context = { cluster: name, user: name, ...(given.namespace !== undefined && { namespace: given.namespace }) };
  return JSON.stringify(
    {
      apiVersion: "v1",
      kind: "Config",
      "current-context": name,
      clusters: [{ name, cluster }],
      users: [{ name, user: given.user }],
      contexts: [{ name, context }],
    },
    undefined,
    2,
  );
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
