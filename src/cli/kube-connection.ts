// How the API server is found, in the order of controller-runtime: --kubeconfig, KUBECONFIG, the pod's service
// account, ~/.kube/config. Kubeconfig files are read by @kubernetes/client-node, which also runs credential plugins and
// refreshes OIDC tokens; it is loaded only then, because it is large and a pod has no use for it.
import { readFile } from "node:fs/promises";
import type { RequestOptions } from "node:https";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import type { KubeConfig, User } from "@kubernetes/client-node";
import { inClusterConnection, type KubeConnection, serviceAccountDirectory } from "../runtime/connection.ts";

/** How to reach the API server, and the namespace that goes with it, if it names one. */
export interface KubeAccess {
  readonly connection: KubeConnection;
  readonly namespace?: string;
}

export interface KubeSources {
  /** `--kubeconfig` */
  readonly kubeconfig?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** @returns what was found, or what is wrong with it: a kubeconfig's content is never quoted, it holds credentials */
export async function loadKubeAccess(sources: KubeSources): Promise<KubeAccess | { readonly problem: string }> {
  try {
    return await findKubeAccess(sources);
  } catch (error) {
    if (error instanceof ConnectionProblem) return { problem: error.message };
    throw error;
  }
}

/** What a user can put right. */
class ConnectionProblem extends Error {
  override readonly name = "ConnectionProblem";
}

async function findKubeAccess({ kubeconfig, env }: KubeSources): Promise<KubeAccess> {
  if (kubeconfig) return fromKubeconfigs([kubeconfig]);
  if (env.KUBECONFIG) return fromKubeconfigs(env.KUBECONFIG.split(delimiter));
  const host = env.KUBERNETES_SERVICE_HOST;
  if (host) return fromServiceAccount(host, env.KUBERNETES_SERVICE_PORT || "443");
  const usual = join(env.HOME || homedir(), ".kube", "config");
  if ((await readIfThere(usual)) !== undefined) return fromKubeconfigs([usual]);
  throw new ConnectionProblem(
    `no API server: this is no pod in a cluster and there is no ${usual}; give --kubeconfig or set KUBECONFIG`,
  );
}

async function fromServiceAccount(host: string, port: string): Promise<KubeAccess> {
  const namespace = (await readIfThere(join(serviceAccountDirectory, "namespace")))?.trim();
  return { connection: inClusterConnection(host, port), ...(namespace && { namespace }) };
}

/** Several files are one kubeconfig, in which the earlier ones win; missing ones are passed over (as in kubectl). */
async function fromKubeconfigs(files: readonly string[]): Promise<KubeAccess> {
  const texts = await Promise.all(files.map(async (file) => ({ file, text: await readIfThere(file) })));
  const shown = files.join(delimiter);
  if (texts.every(({ text }) => text === undefined)) throw new ConnectionProblem(`kubeconfig ${shown} does not exist`);
  const [{ KubeConfig }, { parse }] = await Promise.all([import("@kubernetes/client-node"), import("./yaml.ts")]);
  const whole = new KubeConfig();
  whole.loadFromOptions({ clusters: [], users: [], contexts: [], currentContext: "" });
  const tokenFiles: TokenFile[] = [];
  for (const { file, text } of texts) {
    if (text === undefined) continue;
    try {
      const part = new KubeConfig();
      part.loadFromFile(file);
      addTo(whole.clusters, part.clusters);
      addTo(whole.users, part.users);
      addTo(whole.contexts, part.contexts);
      whole.currentContext ||= part.currentContext;
      tokenFiles.push(...tokenFilesIn(parse(text), dirname(file)));
    } catch (error) {
      throw new ConnectionProblem(`${file} is not a kubeconfig that can be read (${nameOf(error)})`);
    }
  }
  return kubeAccessOf(whole, tokenFiles, shown);
}

interface TokenFile {
  readonly user: string;
  readonly path: string;
}

function addTo<T extends { readonly name: string }>(all: T[], more: readonly T[]): void {
  all.push(...more.filter(({ name }) => !all.some((one) => one.name === name)));
}

async function kubeAccessOf(config: KubeConfig, tokenFiles: readonly TokenFile[], file: string): Promise<KubeAccess> {
  const cluster = config.getCurrentCluster();
  if (cluster === null || !cluster.server) {
    throw new ConnectionProblem(`kubeconfig ${file} has no current context that names a cluster with a server`);
  }
  const user = config.getCurrentUser();
  const unsupported = [cluster.proxyUrl && "proxy-url", user?.username && "username", user?.impersonateUser && "as"];
  const named = unsupported.filter((field) => typeof field === "string" && field !== "");
  if (named.length > 0) throw new ConnectionProblem(`kubeconfig ${file} uses ${named.join(", ")}, not supported here`);
  const namespace = config.getContextObject(config.currentContext)?.namespace;
  return {
    connection: {
      server: cluster.server,
      ...(cluster.caFile ? { caFile: cluster.caFile } : cluster.caData && { caPem: fromBase64(cluster.caData) }),
      ...(cluster.skipTLSVerify && { insecureSkipTlsVerify: true }),
      ...(cluster.tlsServerName && { tlsServerName: cluster.tlsServerName }),
      ...(user && (await credentialsOf(config, user, tokenFiles))),
    },
    ...(namespace && { namespace }),
  };
}

type Credentials = Omit<KubeConnection, "server">;

async function credentialsOf(config: KubeConfig, user: User, tokenFiles: readonly TokenFile[]): Promise<Credentials> {
  if (user.exec || user.authProvider) return pluginCredentials(config);
  const tokenFile = tokenFiles.find((entry) => entry.user === user.name)?.path;
  return {
    ...(user.certFile
      ? { clientCertFile: user.certFile }
      : user.certData && { clientCertPem: fromBase64(user.certData) }),
    ...(user.keyFile ? { clientKeyFile: user.keyFile } : user.keyData && { clientKeyPem: fromBase64(user.keyData) }),
    ...(tokenFile === undefined ? user.token && { token: user.token } : { tokenFile }),
  };
}

/**
 * What a credential plugin or an OIDC provider gives: a token, asked for whenever one is needed (the library keeps it
 * while it is valid), or a client certificate, asked for once.
 */
async function pluginCredentials(config: KubeConfig): Promise<Credentials> {
  const ask = async (): Promise<{ token: string | undefined; cert: string | undefined; key: string | undefined }> => {
    const options: RequestOptions = { headers: {} };
    await config.applyToHTTPSOptions(options);
    const header = Object.entries(options.headers ?? {}).find(([name]) => name.toLowerCase() === "authorization")?.[1];
    return {
      token: typeof header === "string" ? header.replace(/^Bearer /, "") : undefined,
      cert: textOf(options.cert),
      key: textOf(options.key),
    };
  };
  let first: Awaited<ReturnType<typeof ask>>;
  try {
    first = await ask();
  } catch (error) {
    throw new ConnectionProblem(`the kubeconfig's credential plugin failed: ${firstLine(error)}`);
  }
  let pending: Promise<string> | undefined;
  const tokenProvider = (): Promise<string> => {
    pending ??= ask()
      .then(({ token }) => token ?? "")
      .finally(() => {
        pending = undefined;
      });
    return pending;
  };
  return {
    ...(first.cert !== undefined && { clientCertPem: first.cert }),
    ...(first.key !== undefined && { clientKeyPem: first.key }),
    ...(first.token !== undefined && { tokenProvider }),
  };
}

/** The standard `tokenFile` of users, which the library does not know; relative to the kubeconfig's directory. */
function tokenFilesIn(config: unknown, directory: string): TokenFile[] {
  const users: unknown[] = isMap(config) && Array.isArray(config.users) ? config.users : [];
  return users.flatMap((entry): TokenFile[] => {
    if (!isMap(entry) || typeof entry.name !== "string" || !isMap(entry.user)) return [];
    const { tokenFile } = entry.user;
    if (typeof tokenFile !== "string" || tokenFile === "") return [];
    return [{ user: entry.name, path: resolve(directory, tokenFile) }];
  });
}

/** Undefined when there is no such file. */
async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw new ConnectionProblem(`cannot read ${file} (${codeOf(error) ?? nameOf(error)})`);
  }
}

function fromBase64(data: string): string {
  return Buffer.from(data, "base64").toString("utf8");
}

function textOf(data: unknown): string | undefined {
  return typeof data === "string" || Buffer.isBuffer(data) ? data.toString() : undefined;
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.trim().split("\n")[0]?.slice(0, 200) || nameOf(error);
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
