// The signature, computed a second time from AWS's description of it; whether Vault takes it is a matter of the tests on
// the real method.
import { createHash, createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { regionOf, type SignedRequest, signCallerIdentity } from "./iam-signature.ts";

const keys = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret/with+characters" };

/** @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
function signatureOf({ method, url, body, headers }: SignedRequest, region: string): string {
  const { host } = new URL(url);
  const date = headers["x-amz-date"] ?? "";
  const day = date.slice(0, 8);
  const signed = Object.keys({ ...headers, host }).filter((name) => name !== "authorization");
  const names = signed.toSorted().join(";");
  const lines = signed.toSorted().map((name) => `${name}:${headers[name]}\n`);
  const canonical = [method, "/", "", lines.join(""), names, sha256(body)].join("\n");
  const scope = `${day}/${region}/sts/aws4_request`;
  const key = [day, region, "sts", "aws4_request"].reduce<string | Buffer>(
    (last, part) => createHmac("sha256", last).update(part).digest(),
    `AWS4${keys.secretAccessKey}`,
  );
  const text = ["AWS4-HMAC-SHA256", date, scope, sha256(canonical)].join("\n");
  const signature = createHmac("sha256", key).update(text).digest("hex");
  return `AWS4-HMAC-SHA256 Credential=${keys.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

test.each([
  ["https://sts.amazonaws.com", "us-east-1"],
  ["https://sts.eu-west-1.amazonaws.com", "eu-west-1"],
  ["http://127.0.0.1:5000", "us-east-1"],
])("for %s", async (stsEndpoint, region) => {
  const request = await signCallerIdentity({ keys, serverId: undefined, stsEndpoint });
  expect(request).toMatchObject({
    method: "POST",
    url: `${stsEndpoint}/`,
    body: "Action=GetCallerIdentity&Version=2011-06-15",
    headers: { host: new URL(stsEndpoint).host, "content-type": "application/x-www-form-urlencoded; charset=utf-8" },
  });
  expect(request.headers["authorization"]).toBe(signatureOf(request, region));
});

test("the server's id and a session token are signed too", async () => {
  const session = { ...keys, sessionToken: "session" };
  const request = await signCallerIdentity({
    keys: session,
    serverId: "vault.example.com",
    stsEndpoint: "https://sts.amazonaws.com",
  });
  expect(request.headers).toMatchObject({
    "x-vault-aws-iam-server-id": "vault.example.com",
    "x-amz-security-token": "session",
  });
  const { authorization } = request.headers;
  expect(authorization).toContain("x-amz-security-token;x-vault-aws-iam-server-id");
  expect(authorization).toBe(signatureOf(request, "us-east-1"));
});

test.each([
  ["sts.amazonaws.com", "us-east-1"],
  ["sts.us-gov-west-1.amazonaws.com", "us-gov-west-1"],
  ["sts.cn-north-1.amazonaws.com.cn", "cn-north-1"],
  ["sts-fips.us-east-2.amazonaws.com", "us-east-2"],
  ["sts.eu-west-1.api.aws", "eu-west-1"],
  ["vpce-0123-abcd.sts.eu-central-1.vpce.amazonaws.com", "eu-central-1"],
  ["sts.eu-west-1.example.com", "us-east-1"],
])("the region of %s is %s", (hostname, region) => {
  expect(regionOf(hostname)).toBe(region);
});
