// Whether a certificate and a key can be served together. Asked before anything replaces what works: of two files that
// are replaced one after the other, of a Secret that anyone may have edited.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { codeOf } from "../base/retry.ts";
import type { ServingPair } from "./serving-certificate.ts";

/**
 * @returns the first certificate, which is the one that the key belongs to
 * @throws Error that says what is wrong and quotes nothing of either
 */
export function checkPair({ cert, key }: ServingPair): X509Certificate {
  const [leaf] = certificatesIn(cert);
  if (leaf === undefined) throw new Error("there is no certificate in it");
  if (!leaf.checkPrivateKey(privateKeyOf(key))) throw new Error("the private key is of another certificate");
  return leaf;
}

/**
 * Every certificate of a PEM text.
 * @throws Error for one that is none
 */
export function certificatesIn(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? [];
  return blocks.map((block) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw new Error(`a certificate cannot be parsed (${codeOf(error)})`, { cause: error });
    }
  });
}

/**
 * When the certificate of a pair that was checked ends.
 * @returns ms since the epoch
 */
export function endOf({ cert }: ServingPair): number {
  // PEM is read up to the end of its first certificate.
  return new X509Certificate(cert).validToDate.getTime();
}

function privateKeyOf(pem: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    // Without the cause: it is about the text of a private key.
    // oxlint-disable-next-line eslint/preserve-caught-error -- see above
    throw new Error(`the private key cannot be parsed (${codeOf(error)})`);
  }
}
