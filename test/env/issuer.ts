// Who signs JSON Web Tokens, for the jwt method: a key pair, and tokens that its private key signed.
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";

/** Who signs. */
export interface Issuer {
  readonly publicPem: string;
  /** A token for a subject, good for an hour. */
  token(subject: string): string;
}

/** Makes a key pair. @param audience whom the tokens are for */
export function createIssuer(audience: string): Issuer {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    publicPem: publicKey.export({ type: "spki", format: "pem" }).toString(),
    token(subject) {
      const now = Math.floor(Date.now() / 1_000);
      return signed({ sub: subject, aud: audience, iat: now, exp: now + 3_600 }, privateKey);
    },
  };
}

function signed(claims: object, privateKey: KeyObject): string {
  const parts = [{ alg: "ES256", typ: "JWT" }, claims];
  const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  const signature = sign("sha256", Buffer.from(text), { key: privateKey, dsaEncoding: "ieee-p1363" });
  return `${text}.${signature.toString("base64url")}`;
}
