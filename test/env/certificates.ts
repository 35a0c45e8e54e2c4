// A certificate authority for one stack: server certificates for loopback and client certificates for the API server.
// Everything is made anew for each stack and dies with its directory.
// oxlint-disable-next-line import/no-unassigned-import -- @peculiar/x509 cannot be loaded before it
import "reflect-metadata";
import { webcrypto } from "node:crypto";
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
  X509CertificateGenerator,
  type X509Certificate,
} from "@peculiar/x509";

/** A certificate and its private key (PKCS #8), both PEM. */
export interface KeyPair {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface Authority {
  readonly caPem: string;
  /** A server certificate for 127.0.0.1, ::1 and localhost. */
  server(commonName: string): Promise<KeyPair>;
  /** A client certificate; to the API server `user` is the user and `group` its group. */
  client(user: string, group: string): Promise<KeyPair>;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const dayMs = 24 * 60 * 60 * 1000;

/** Makes a new authority; its certificates are good for ten days. */
export async function createAuthority(commonName: string): Promise<Authority> {
  const keys = await generateKeys();
  const ca = await X509CertificateGenerator.createSelfSigned(
    {
      name: [{ CN: [commonName] }],
      keys,
      signingAlgorithm: algorithm,
      ...validity(),
      extensions: [
        new BasicConstraintsExtension(true, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  const issuer = { ca, keys };
  return {
    caPem: `${ca.toString("pem")}\n`,
    server: (name) =>
      issue(
        issuer,
        [{ CN: [name] }],
        [
          new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
          new SubjectAlternativeNameExtension([
            { type: "ip", value: "127.0.0.1" },
            { type: "ip", value: "::1" },
            { type: "dns", value: "localhost" },
          ]),
        ],
      ),
    client: (user, group) =>
      issue(issuer, [{ O: [group] }, { CN: [user] }], [new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth])]),
  };
}

interface Issuer {
  readonly ca: X509Certificate;
  readonly keys: CryptoKeyPair;
}

type CryptoKeyPair = webcrypto.CryptoKeyPair;
type Subject = Array<Record<string, string[]>>;
type Usage = ExtendedKeyUsageExtension | SubjectAlternativeNameExtension;

async function issue({ ca, keys }: Issuer, subject: Subject, usage: Usage[]): Promise<KeyPair> {
  const own = await generateKeys();
  const certificate = await X509CertificateGenerator.create(
    {
      subject,
      issuer: ca.subjectName,
      signingKey: keys.privateKey,
      publicKey: own.publicKey,
      signingAlgorithm: algorithm,
      ...validity(),
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        await AuthorityKeyIdentifierExtension.create(ca, false, webcrypto),
        ...usage,
      ],
    },
    webcrypto,
  );
  const key = await webcrypto.subtle.exportKey("pkcs8", own.privateKey);
  return { certPem: `${certificate.toString("pem")}\n`, keyPem: `${PemConverter.encode(key, "PRIVATE KEY")}\n` };
}

function generateKeys(): Promise<CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

/** From an hour ago, so that a clock that is turned back a little does no harm. */
function validity(): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - 60 * 60 * 1000), notAfter: new Date(now + 10 * dayMs) };
}
