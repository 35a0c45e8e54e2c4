// Makes a certificate authority that signs one certificate and is then forgotten: its private key is stored nowhere, so
// nobody can ever sign a second one by it, and a renewal means a new authority.
// oxlint-disable-next-line import/no-unassigned-import -- @peculiar/x509 cannot be loaded before it
import "reflect-metadata";
import { randomBytes, webcrypto } from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { alternativeName } from "./certificate-names.ts";
import type { IssuedPair } from "./certificate-state.ts";

/** What a certificate is to be like. */
export interface Order {
  /** DNS names and IP addresses; at least one. */
  readonly names: readonly string[];
  /** ms since the epoch */
  readonly now: number;
  readonly validityMs: number;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
/** Certificates are valid from so long ago, ms: the clocks of API servers and of ours may differ a little. */
const backdatedMs = 60 * 60 * 1000;

/** A new authority, and a serving certificate of it that ends when the authority does. */
export async function issuePair(order: Order): Promise<IssuedPair> {
  const [caKeys, keys] = await Promise.all([generateKeys(), generateKeys()]);
  const validity = {
    notBefore: new Date(order.now - backdatedMs),
    notAfter: new Date(order.now + order.validityMs),
  };
  const ca = await createAuthority(caKeys, validity);
  const leaf = await X509CertificateGenerator.create(
    {
      subject: [{ CN: ["kms-vault-operator webhook"] }],
      issuer: ca.subjectName,
      signingKey: caKeys.privateKey,
      publicKey: keys.publicKey,
      signingAlgorithm: algorithm,
      ...validity,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
        new SubjectAlternativeNameExtension(order.names.map(alternativeName)),
        await AuthorityKeyIdentifierExtension.create(ca, false, webcrypto),
      ],
    },
    webcrypto,
  );
  const key = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    cert: pemOf(leaf),
    key: `${PemConverter.encode(key, "PRIVATE KEY")}\n`,
    ca: pemOf(ca),
    notAfter: leaf.notAfter.getTime(),
  };
}

interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

async function createAuthority(keys: webcrypto.CryptoKeyPair, validity: Validity): Promise<X509Certificate> {
  // A name of its own: during a rotation two of them stand in one bundle.
  const name = `kms-vault-operator webhook CA ${randomBytes(4).toString("hex")}`;
  return X509CertificateGenerator.createSelfSigned(
    {
      name: [{ CN: [name] }],
      keys,
      signingAlgorithm: algorithm,
      ...validity,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}
