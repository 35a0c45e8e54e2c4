// Under which names a certificate is good. Names and addresses are different things to TLS, so they are told apart here.
import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { ServingPair } from "./serving-certificate.ts";

/** A name as a certificate holds it. */
export interface AlternativeName {
  readonly type: "dns" | "ip";
  readonly value: string;
}

/** A DNS name or an IP address, as a certificate holds it. */
export function alternativeName(value: string): AlternativeName {
  return { type: isIP(value) === 0 ? "dns" : "ip", value };
}

/** Whether a pair is good for every one of these DNS names and IP addresses. */
export function covers({ cert }: ServingPair, names: readonly string[]): boolean {
  const leaf = new X509Certificate(cert);
  return names
    .map(alternativeName)
    .every(({ type, value }) => (type === "ip" ? leaf.checkIP(value) : leaf.checkHost(value)) !== undefined);
}
