// What the replicas share of their certificate: one Secret of type kubernetes.io/tls. What is in it tells how far a
// rotation has come; there is no field beside it that could contradict it.
import { certificatesIn, checkPair } from "./check-pair.ts";
import type { ServingPair } from "./serving-certificate.ts";

/** A serving pair, with the authority that it was signed by. All PEM. */
export interface IssuedPair extends ServingPair {
  readonly ca: string;
  /** End of its validity, ms since the epoch. */
  readonly notAfter: number;
}

/**
 * How far things are: `next` while a new authority is being announced, `previousCa` while the old one leaves (or, after
 * a beginning, all that stood in caBundle before).
 */
export interface CertificateState {
  readonly serving: IssuedPair;
  readonly next?: IssuedPair;
  readonly previousCa?: string;
}

/** The texts of a Secret, by their names, not in base64. */
export type SecretData = Readonly<Record<string, string>>;

/** What those who call the webhook have to trust: PEM. The same text before and after the serving pair is changed. */
export function bundleOf({ serving, next, previousCa }: CertificateState): string {
  return [serving.ca, next?.ca, previousCa]
    .filter((ca) => ca !== undefined)
    .toSorted()
    .join("");
}

/** What the Secret holds of a state. */
export function encodeState({ serving, next, previousCa }: CertificateState): SecretData {
  return {
    "tls.crt": serving.cert,
    "tls.key": serving.key,
    "ca.crt": serving.ca,
    ...(next && { "next-tls.crt": next.cert, "next-tls.key": next.key, "next-ca.crt": next.ca }),
    ...(previousCa !== undefined && { "previous-ca.crt": previousCa }),
  };
}

/**
 * The state that the Secret holds; a part of a rotation that cannot be used counts as absent.
 * @returns undefined when there is no pair to serve in it
 */
export function decodeState(data: SecretData): CertificateState | undefined {
  const serving = pairIn(data, "");
  if (serving === undefined) return undefined;
  const next = pairIn(data, "next-");
  const previousCa = authorityIn(data["previous-ca.crt"]);
  return { serving, ...(next && { next }), ...(previousCa !== undefined && { previousCa }) };
}

function pairIn(data: SecretData, prefix: string): IssuedPair | undefined {
  const { [`${prefix}tls.crt`]: cert, [`${prefix}tls.key`]: key, [`${prefix}ca.crt`]: ca } = data;
  if (cert === undefined || key === undefined || ca === undefined) return undefined;
  try {
    const leaf = checkPair({ cert, key });
    const [authority] = certificatesIn(ca);
    if (authority === undefined || !leaf.checkIssued(authority) || !leaf.verify(authority.publicKey)) return undefined;
    return { cert, key, ca, notAfter: Date.parse(leaf.validTo) };
  } catch {
    // Whatever is wrong with it: it cannot be served, which is told by the one who asked.
    return undefined;
  }
}

/** The text itself, if there are certificates in it. */
export function authorityIn(ca: string | undefined): string | undefined {
  try {
    return ca !== undefined && certificatesIn(ca).length > 0 ? ca : undefined;
  } catch {
    return undefined;
  }
}
