// The TLS identity from files that change while we run: CA bundles at rotation, client certificates every few hours.
// Files are looked at again (stat only) at most twice a second and read when something changed. What is broken or
// half written never replaces what worked.
import { X509Certificate } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import type { Clock } from "../base/clock.ts";
import { OperatorError } from "../base/errors.ts";
import { codeOf } from "../base/retry.ts";
import type { Logger } from "../base/log.ts";

/** Where certificates are. Names in the comments are those of the variables that users set. */
export interface TlsFileOptions {
  /** `VAULT_CACERT`: a PEM file. With a CA given, the system's own are not trusted. */
  readonly caCert?: string;
  /** `VAULT_CAPATH`: a directory, walked recursively, or a PEM file. `VAULT_CACERT` wins, as in Vault's own clients. */
  readonly caPath?: string;
  /** `VAULT_CLIENT_CERT` and `VAULT_CLIENT_KEY`: PEM files. */
  readonly clientCert?: string;
  readonly clientKey?: string;
  /** `VAULT_SKIP_VERIFY` */
  readonly skipVerify?: boolean;
}

/** Files are looked at again when that was longer ago, in ms. */
const lookAgainMs = 500;
/** Deeper than any real directory of certificates, shallower than a loop of symbolic links. */
const deepest = 8;

interface Loaded {
  readonly context: SecureContext;
  /** Path, size and times of every file: changes when one of them does. */
  readonly signature: string;
}

/** The current TLS identity. */
export class TlsFiles {
  readonly #options: TlsFileOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #loaded: Loaded | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<SecureContext> | undefined;
  #problem = "";

  constructor(options: TlsFileOptions, tools: { readonly clock: Clock; readonly logger: Logger }) {
    this.#options = options;
    this.#clock = tools.clock;
    this.#logger = tools.logger;
  }

  /**
   * The same object as long as no file changed.
   * @throws OperatorError `VaultUnavailable` when a file cannot be used and none ever could
   */
  async current(): Promise<SecureContext> {
    const isFresh = this.#clock.monotonic() - this.#lookedAt < lookAgainMs;
    if (this.#loaded !== undefined && isFresh) return this.#loaded.context;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** To be called when a handshake failed: the next request looks at the files whatever the time. */
  invalidate(): void {
    this.#lookedAt = Number.NEGATIVE_INFINITY;
  }

  async #look(): Promise<SecureContext> {
    this.#lookedAt = this.#clock.monotonic();
    try {
      const files = await this.#list();
      const signature = await signatureOf(Object.values(files).flat());
      if (this.#loaded?.signature !== signature) {
        const isFirst = this.#loaded === undefined;
        this.#loaded = { signature, context: await this.#read(files) };
        if (!isFirst) this.#logger.info({}, "TLS files for Vault changed, used from now on");
      }
      this.#problem = "";
      return this.#loaded.context;
    } catch (error) {
      const problem = problemOf(error);
      if (this.#loaded === undefined) throw unusable(problem);
      // Once per problem, not at each look.
      if (problem !== this.#problem) this.#logger.warn({ problem }, "TLS files for Vault unusable, keeping the last");
      this.#problem = problem;
      return this.#loaded.context;
    }
  }

  async #list(): Promise<{ ca: readonly string[]; cert: readonly string[]; key: readonly string[] }> {
    const { caCert, caPath, clientCert, clientKey } = this.#options;
    const caRoot = caCert ?? caPath;
    return {
      ca: caRoot === undefined ? [] : await filesBelow(caRoot, deepest),
      cert: clientCert === undefined ? [] : [clientCert],
      key: clientKey === undefined ? [] : [clientKey],
    };
  }

  async #read(files: { ca: readonly string[]; cert: readonly string[]; key: readonly string[] }) {
    const [cert, key] = await Promise.all([readAll(files.cert), readAll(files.key)]);
    const ca = await this.#authorities(files.ca);
    return createSecureContext({
      ...(ca !== undefined && { ca: [...ca] }),
      ...(cert.length > 0 && { cert }),
      ...(key.length > 0 && { key }),
    });
  }

  async #authorities(files: readonly string[]): Promise<readonly string[] | undefined> {
    const { caCert, caPath, skipVerify } = this.#options;
    const caRoot = caCert ?? caPath;
    if (caRoot === undefined) {
      if (skipVerify) return undefined;
      // As Vault's own clients do; what Node was built with only where the system has none.
      const system = getCACertificates("system");
      return system.length === 0 ? getCACertificates("default") : [...system, ...getCACertificates("extra")];
    }
    const found: string[] = [];
    for (const [index, text] of (await readAll(files)).entries()) found.push(...certificatesIn(text, files[index]));
    if (found.length === 0) throw new Error(`no certificate in ${caRoot}`);
    return found;
  }
}

/** Without the path, which Node's errors quote: it may be the key itself, in the wrong variable. */
function problemOf(error: unknown): string {
  const isOfFile = error instanceof Error && "syscall" in error;
  if (isOfFile) return `a file cannot be read (${codeOf(error)})`;
  return error instanceof Error ? error.message : "unknown";
}

function unusable(problem: string): OperatorError {
  return new OperatorError(
    "VaultUnavailable",
    `cannot use the TLS files for Vault: ${problem}; check VAULT_CACERT, VAULT_CAPATH, VAULT_CLIENT_CERT and VAULT_CLIENT_KEY`,
  );
}

/** The path itself when it is a file. Kubernetes' own entries of a mounted Secret (`..data`) are seen through links. */
async function filesBelow(path: string, depth: number): Promise<readonly string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  if (depth === 0) return [];
  const names = (await readdir(path)).filter((name) => !name.startsWith("..")).toSorted();
  const nested = await Promise.all(names.map((name) => filesBelow(join(path, name), depth - 1)));
  return nested.flat();
}

async function signatureOf(paths: readonly string[]): Promise<string> {
  const parts = paths.map(async (path) => {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return `${path}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
  });
  return (await Promise.all(parts)).join("\n");
}

function readAll(paths: readonly string[]): Promise<string[]> {
  return Promise.all(paths.map((path) => readFile(path, "utf8")));
}

/** @throws Error that names the file, for a certificate that is none */
function certificatesIn(pem: string, file: string | undefined): readonly string[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? [];
  for (const block of blocks) {
    try {
      // Parsed for its error alone: a secure context would pass over a broken certificate in silence.
      void new X509Certificate(block);
    } catch (error) {
      throw new Error(`a certificate in ${file} cannot be parsed`, { cause: error });
    }
  }
  return blocks;
}
