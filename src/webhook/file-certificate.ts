// The serving certificate from two files, which whoever made them replaces while we run: cert-manager through a mounted
// Secret (a symbolic link is swapped), or people, one file after the other. Half of a new pair never replaces the old.
import type { X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { codeOf } from "../base/retry.ts";
import { checkPair } from "./check-pair.ts";
import { type Offer, PairLoop } from "./pair-loop.ts";
import type { ServingCertificate } from "./serving-certificate.ts";

export interface FileCertificateOptions {
  /** PEM: the certificate, followed by its issuers if there are any. */
  readonly certFile: string;
  /** PEM, not encrypted. */
  readonly keyFile: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** ms between two looks at the files. */
const lookEveryMs = 500;

/** The pair in two files, waited for while they are missing, read again when one of them changes. */
export function fileCertificate(options: FileCertificateOptions): ServingCertificate {
  const { clock, logger } = options;
  const files = new Files(options);
  const look = async (offer: Offer) => {
    await files.look(offer);
    return lookEveryMs;
  };
  const trouble = "the webhook's certificate cannot be used as it stands in the files";
  return new PairLoop({ look, retryMs: lookEveryMs, trouble, clock, logger });
}

class Files {
  readonly #options: FileCertificateOptions;
  /** Of the files as they were read last and found to be in order. */
  #signature = "";

  constructor(options: FileCertificateOptions) {
    this.#options = options;
  }

  async look(offer: Offer): Promise<void> {
    const { certFile, keyFile, logger } = this.#options;
    // Taken before reading: what changes meanwhile is read at the next look.
    const signature = (await Promise.all([signatureOf(certFile), signatureOf(keyFile)])).join("\n");
    if (signature === this.#signature) return;
    const [cert, key] = await Promise.all([readText(certFile), readText(keyFile)]);
    const leaf = leafOf({ cert, key }, this.#options);
    offer({ cert, key });
    this.#signature = signature;
    const { validTo: notAfter, fingerprint256: fingerprint } = leaf;
    logger.info({ certFile, notAfter, fingerprint }, "the webhook's certificate was read");
    this.#warnIfExpired(leaf);
  }

  #warnIfExpired({ validTo: notAfter }: X509Certificate): void {
    const { certFile, clock, logger } = this.#options;
    if (Date.parse(notAfter) > clock.now()) return;
    logger.warn(
      { certFile, notAfter },
      "the webhook's certificate has expired; whoever made the files has to renew it",
    );
  }
}

function leafOf(pair: { cert: string; key: string }, { certFile, keyFile }: FileCertificateOptions): X509Certificate {
  try {
    return checkPair(pair);
  } catch (error) {
    const problem = error instanceof Error ? error.message : "unknown";
    throw new Error(`${certFile} and ${keyFile} do not hold a certificate with its key: ${problem}`, { cause: error });
  }
}

/** Changes whenever the file does, be it replaced, written in place, or behind a symbolic link that is swapped. */
async function signatureOf(path: string): Promise<string> {
  try {
    const { ino, dev, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(":");
  } catch (error) {
    throw unreadable(path, error);
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, cause: unknown): Error {
  return new Error(`${path} cannot be read (${codeOf(cause)}); is the Secret of the certificate there and mounted?`, {
    cause,
  });
}
