// The serving certificate from two files, read once.
import { readFile } from "node:fs/promises";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { ServingCertificate } from "./serving-certificate.ts";

export interface FileCertificateOptions {
  readonly certFile: string;
  readonly keyFile: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The pair in two files. */
export function fileCertificate({ certFile, keyFile }: FileCertificateOptions): ServingCertificate {
  return {
    async first() {
      const [cert, key] = await Promise.all([readFile(certFile, "utf8"), readFile(keyFile, "utf8")]);
      return { cert, key };
    },
    onChange: () => {},
    close: () => Promise.resolve(),
  };
}
