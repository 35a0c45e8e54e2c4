// How an API server is reached and who we are to it. Credentials on disk change while we run (bound service account
// tokens every hour, CA bundles at rotation), so files are named here and read again, never read once.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { KubeError } from "./kube-error.ts";

/** An API server and the credentials for it. Of two forms of the same thing the file wins. */
export interface KubeConnection {
  /** `https://host:port`, a path prefix is kept (API servers behind a proxy). */
  readonly server: string;
  readonly caPem?: string;
  readonly caFile?: string;
  readonly clientCertPem?: string;
  readonly clientCertFile?: string;
  readonly clientKeyPem?: string;
  readonly clientKeyFile?: string;
  /** Bearer token: in a file (re-read), from a function (exec plugins, OIDC; asked before each call), or fixed. */
  readonly tokenFile?: string;
  readonly tokenProvider?: () => Promise<string>;
  readonly token?: string;
  readonly insecureSkipTlsVerify?: boolean;
  /** Name to verify in the server's certificate when it is not the host of `server`. */
  readonly tlsServerName?: string;
}

/** Where Kubernetes mounts the service account of a pod. */
export const serviceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * The connection of a pod to its own cluster.
 * @param host `KUBERNETES_SERVICE_HOST`, IPv6 without brackets
 * @param port `KUBERNETES_SERVICE_PORT`
 */
export function inClusterConnection(host: string, port: string, directory = serviceAccountDirectory): KubeConnection {
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    caFile: join(directory, "ca.crt"),
    tokenFile: join(directory, "token"),
  };
}

/** TLS material of one moment. */
export interface TlsIdentity {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Files are looked at again when their last reading is older than this. */
const rereadMs = 5_000;

interface CachedFile {
  text: string;
  readAt: number;
}

/** The connection's credentials, current to within a few seconds. */
export class Credentials {
  readonly #connection: KubeConnection;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #files = new Map<string, CachedFile>();
  #tls: TlsIdentity | undefined;
  #refused: TlsIdentity | undefined;

  constructor(connection: KubeConnection, options: { readonly clock: Clock; readonly logger: Logger }) {
    this.#connection = connection;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  /**
   * The bearer token to send now, or undefined when the identity is a client certificate.
   * @throws KubeError `CredentialsUnavailable`
   */
  async token(): Promise<string | undefined> {
    const { tokenFile, tokenProvider, token } = this.#connection;
    if (tokenFile !== undefined) return (await this.#read(tokenFile)).trim();
    if (tokenProvider === undefined) return token;
    try {
      return await tokenProvider();
    } catch (error) {
      throw credentialsError("cannot get a token for the API server from the kubeconfig's provider", error);
    }
  }

  /**
   * The TLS identity to use now; the same object as long as nothing changed.
   * @throws KubeError `CredentialsUnavailable`
   */
  async tls(): Promise<TlsIdentity> {
    const { caFile, caPem, clientCertFile, clientCertPem, clientKeyFile, clientKeyPem } = this.#connection;
    const [ca, cert, key] = await Promise.all([
      caFile === undefined ? caPem : this.#read(caFile),
      clientCertFile === undefined ? clientCertPem : this.#read(clientCertFile),
      clientKeyFile === undefined ? clientKeyPem : this.#read(clientKeyFile),
    ]);
    const next = {
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
    };
    if (this.#tls !== undefined && (isSame(this.#tls, next) || !this.#fits(next))) return this.#tls;
    this.#tls = next;
    return next;
  }

  /** Forgets when files were read (after a 401, or a certificate that did not verify): the next call reads them. */
  invalidate(): void {
    for (const file of this.#files.values()) file.readAt = Number.NEGATIVE_INFINITY;
  }

  /** Certificate and key are two files, replaced one after the other: half of a new pair never replaces the old one. */
  #fits(tls: TlsIdentity): boolean {
    if (tls.cert === undefined || tls.key === undefined) return true;
    if (this.#refused !== undefined && isSame(this.#refused, tls)) return false;
    try {
      if (new X509Certificate(tls.cert).checkPrivateKey(createPrivateKey(tls.key))) return true;
      throw new Error("the private key is of another certificate");
    } catch (error) {
      this.#refused = tls;
      this.#logger.warn({ error }, "new client certificate for the API server unusable, keeping the last one");
      return false;
    }
  }

  async #read(path: string): Promise<string> {
    const cached = this.#files.get(path);
    const now = this.#clock.monotonic();
    if (cached !== undefined && now - cached.readAt < rereadMs) return cached.text;
    try {
      const text = await readFile(path, "utf8");
      if (text.trim() === "") throw new Error("the file is empty");
      this.#files.set(path, { text, readAt: now });
      return text;
    } catch (error) {
      if (cached === undefined) {
        throw credentialsError(`cannot read ${path}, which holds credentials for the API server`, error);
      }
      this.#logger.warn({ path, error }, "cannot re-read credentials for the API server, keeping the last ones");
      cached.readAt = now;
      return cached.text;
    }
  }
}

function isSame(one: TlsIdentity, other: TlsIdentity): boolean {
  return one.ca === other.ca && one.cert === other.cert && one.key === other.key;
}

function credentialsError(message: string, cause: unknown): KubeError {
  return new KubeError(message, { status: 0, reason: "CredentialsUnavailable", cause });
}
