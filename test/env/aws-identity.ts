// AWS identities for the iam method: moto as STS and IAM, made to check signatures as AWS does, with users who have
// access keys, and a role.
import { request } from "undici";
import { type Moto, startMoto } from "./moto.ts";

/** A user's access key. */
export interface AccessKey {
  readonly id: string;
  readonly secret: string;
  /** The user's ARN. */
  readonly arn: string;
}

/** A running STS and IAM. */
export interface AwsIdentity extends AsyncDisposable {
  /** Endpoint of both. */
  readonly url: string;
  /** Who Vault is: it may look up users and roles. */
  readonly vault: AccessKey;
  /** Who the operator is. */
  readonly operator: AccessKey;
  /** A role that anyone may assume. */
  readonly roleArn: string;
  /** Signatures are checked (default), or not: moto cannot take an unsigned AssumeRoleWithWebIdentity while it checks. */
  checkSignatures(check: boolean): Promise<void>;
}

/** Starts moto and makes the users, their keys and the role. */
export async function startAwsIdentity(): Promise<AwsIdentity> {
  const moto = await startMoto();
  const checkSignatures = async (check: boolean) => {
    // The number of requests that are let through unchecked.
    await post(`${moto.url}/moto-api/reset-auth`, check ? "0" : "inf", { "content-type": "text/plain" });
  };
  try {
    const vault = await createUser(moto, "vault");
    await iam(moto, "PutUserPolicy", { UserName: "vault", PolicyName: "look-up", PolicyDocument: mayLookUp });
    const operator = await createUser(moto, "kms-vault-operator");
    const role = { RoleName: "kms-vault-operator", AssumeRolePolicyDocument: "{}" };
    const roleArn = textOf("Arn", await iam(moto, "CreateRole", role));
    await checkSignatures(true);
    return { url: moto.url, vault, operator, roleArn, checkSignatures, [Symbol.asyncDispose]: () => moto.close() };
  } catch (error) {
    await moto.close();
    throw error;
  }
}

const mayLookUp = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: ["iam:GetUser", "iam:GetRole"], Resource: "*" }],
});

async function createUser(moto: Moto, name: string): Promise<AccessKey> {
  const user = await iam(moto, "CreateUser", { UserName: name });
  const key = await iam(moto, "CreateAccessKey", { UserName: name });
  return { id: textOf("AccessKeyId", key), secret: textOf("SecretAccessKey", key), arn: textOf("Arn", user) };
}

/** A request of IAM's query protocol; what it answers is XML. */
function iam(moto: Moto, action: string, parameters: Readonly<Record<string, string>>): Promise<string> {
  // moto reads from it which service is meant.
  const authorization =
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=none";
  const form = new URLSearchParams({ Action: action, Version: "2010-05-08", ...parameters });
  const headers = { authorization, "content-type": "application/x-www-form-urlencoded" };
  return post(`${moto.url}/`, form.toString(), headers);
}

async function post(url: string, body: string, headers: Readonly<Record<string, string>>): Promise<string> {
  const answer = await request(url, { method: "POST", headers, body });
  const text = await answer.body.text();
  if (answer.statusCode !== 200) throw new Error(`moto answered ${answer.statusCode}: ${text}`);
  return text;
}

function textOf(element: string, xml: string): string {
  const text = new RegExp(`<${element}>([^<]+)</${element}>`).exec(xml)?.[1];
  if (text === undefined) throw new Error(`no ${element} in moto's answer`);
  return text;
}
