// AWS auth, type iam: a signed request for sts:GetCallerIdentity that is not sent but handed to Vault, which sends it and
// so learns who we are in AWS. Keys come from the environment or the AWS SDK's default chain (IRSA, Pod Identity, …).
import { defaultProvider } from "@aws-sdk/credential-provider-node";
import { type Credential, isGiven, readCredential, required } from "./credential.ts";
import { authEnvironments } from "./environment.ts";
import { type AwsKeys, signCallerIdentity } from "./iam-signature.ts";
import { type Login, loginFailed, postLogin } from "./login.ts";

/** An AWS identity. */
export interface IamAuthOptions {
  /** `VAULT_IAM_AWS_ACCESS_KEY_ID`; without it and its counterpart: the default chain. */
  readonly accessKeyId?: string;
  /** `VAULT_IAM_AWS_SECRET_ACCESS_KEY`, `VAULT_IAM_AWS_SECRET_ACCESS_KEY_FILE` */
  readonly secretAccessKey: Credential;
  /** `VAULT_IAM_ROLE`; absent: Vault takes the name of the AWS identity. */
  readonly role?: string;
  /** `VAULT_IAM_AUTH_ENDPOINT`: path below `/v1/`. */
  readonly loginEndpoint: string;
  /** `VAULT_IAM_SERVER_ID` */
  readonly serverId?: string;
  /** `VAULT_IAM_STS_ENDPOINT`: URL without a path. */
  readonly stsEndpoint: string;
}

/** @see https://developer.hashicorp.com/vault/api-docs/auth/aws#login */
export function iamLogin(options: IamAuthOptions): Login {
  const { role, loginEndpoint, serverId, stsEndpoint } = options;
  const keys = keysOf(options);
  return {
    async logIn(door) {
      const signed = await signCallerIdentity({ keys: await keys(), serverId, stsEndpoint });
      return postLogin(door, {
        path: loginEndpoint,
        body: {
          ...(role !== undefined && { role }),
          iam_http_request_method: signed.method,
          iam_request_url: base64(signed.url),
          iam_request_body: base64(signed.body),
          iam_request_headers: base64(JSON.stringify(signed.headers)),
        },
        who: role === undefined ? "the AWS identity" : `role "${role}"`,
        remedy: authEnvironments.iam.remedy,
      });
    },
  };
}

/** Where the keys come from, asked at each login. The chain keeps what it found until shortly before it expires. */
function keysOf({ accessKeyId, secretAccessKey }: IamAuthOptions): () => Promise<AwsKeys> {
  if (accessKeyId !== undefined || isGiven(secretAccessKey)) {
    return async () => ({
      accessKeyId: required(accessKeyId, "VAULT_IAM_AWS_ACCESS_KEY_ID"),
      secretAccessKey: await readCredential(secretAccessKey),
    });
  }
  const chain = defaultProvider();
  return async () => {
    try {
      return await chain();
    } catch (error) {
      throw loginFailed(
        "the AWS SDK's default chain gives no credentials for the iam login: set VAULT_IAM_AWS_ACCESS_KEY_ID and VAULT_IAM_AWS_SECRET_ACCESS_KEY, or give the pod an AWS identity",
        error,
      );
    }
  };
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
