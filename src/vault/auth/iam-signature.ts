// The request for sts:GetCallerIdentity, signed as AWS Signature Version 4, in the form in which Vault takes it.
import { createHash, createHmac, type Hash, type Hmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";

/** AWS credentials. They are secrets: nothing may print them. */
export interface AwsKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials. */
  readonly sessionToken?: string;
}

/** What is to be signed. */
export interface CallerIdentity {
  readonly keys: AwsKeys;
  /** Value of the header by which Vault knows that the request was signed for it and for nobody else. */
  readonly serverId: string | undefined;
  /** URL without a path, such as `https://sts.eu-west-1.amazonaws.com`. */
  readonly stsEndpoint: string;
}

/** A signed request, good for about 15 minutes. */
export interface SignedRequest {
  readonly method: string;
  readonly url: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

const body = "Action=GetCallerIdentity&Version=2011-06-15";

/** Signs; asks nobody. */
export async function signCallerIdentity({ keys, serverId, stsEndpoint }: CallerIdentity): Promise<SignedRequest> {
  const { protocol, hostname, host, port } = new URL(stsEndpoint);
  const signer = new SignatureV4({
    credentials: keys,
    region: regionOf(hostname),
    service: "sts",
    sha256: Sha256,
    // A header more than Vault's own helper signs, which Vault would have to be told to let through.
    applyChecksum: false,
  });
  const { method, headers } = await signer.sign({
    method: "POST",
    protocol,
    hostname,
    ...(port !== "" && { port: Number(port) }),
    path: "/",
    query: {},
    headers: {
      host,
      "content-type": "application/x-www-form-urlencoded; charset=utf-8",
      "content-length": String(body.length),
      ...(serverId !== undefined && { "x-vault-aws-iam-server-id": serverId }),
    },
    body,
  });
  return { method, url: `${protocol}//${host}/`, body, headers };
}

/** The region in the name of a regional endpoint; the global one is in us-east-1, and so is what is none of AWS's. */
export function regionOf(hostname: string): string {
  return (
    /(?:^|\.)sts(?:-fips)?\.([a-z0-9-]+)\.(?:vpce\.)?(?:amazonaws\.com|api\.aws)/.exec(hostname)?.[1] ?? "us-east-1"
  );
}

/** SHA-256, or HMAC with a key, as the signer wants it. */
class Sha256 {
  readonly #hash: Hash | Hmac;

  constructor(key?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = key === undefined ? createHash("sha256") : createHmac("sha256", bytesOf(key));
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data));
  }

  digest(): Promise<Uint8Array> {
    return Promise.resolve(this.#hash.digest());
  }

  reset(): void {
    throw new Error("a signature hashes once");
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof data === "string") return Buffer.from(data);
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}
