// Where the keys of the iam login come from: the variables, a file that is read anew, or the AWS SDK's default chain with
// a web identity (IRSA) at a real STS. That Vault takes what is signed with them is tested with its own method; here only
// the login's body is looked at.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { LoginDoor } from "../../src/vault/auth/login.ts";
import { loginsOf } from "../../src/vault/auth/method.ts";
import type { VaultRequest } from "../../src/vault/transport.ts";
import { startMoto } from "../env/moto.ts";
import { vaultAuthOf } from "../gen/vault-auth.ts";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "iam-"));
  for (const name of ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ROLE_ARN"])
    vi.stubEnv(name, undefined);
  vi.stubEnv("AWS_CONFIG_FILE", join(directory, "none"));
  vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", join(directory, "none"));
  vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true });
});

/** The iam login, with what it sends to Vault. */
function iam(env: Readonly<Record<string, string>>) {
  const { iam: login } = loginsOf(vaultAuthOf(env));
  const sent: VaultRequest[] = [];
  const answer = { status: 200, body: { auth: { client_token: "token" } }, errors: [], warnings: [] };
  const door: LoginDoor = {
    namespace: "",
    transport: {
      send(request) {
        sent.push(request);
        return Promise.resolve(answer);
      },
    },
  };
  /** The headers that were signed. */
  const headers = async (): Promise<Record<string, string>> => {
    await login.logIn(door);
    return JSON.parse(Buffer.from(String(sent.at(-1)?.body?.["iam_request_headers"]), "base64").toString());
  };
  return { login, door, sent, headers };
}

test("the pair of variables; the secret key's file is read at each login", async () => {
  const file = join(directory, "secret");
  await writeFile(file, "one\n");
  const { headers, sent } = iam({
    VAULT_IAM_AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
    VAULT_IAM_AWS_SECRET_ACCESS_KEY_FILE: file,
    VAULT_IAM_ROLE: "dev",
    VAULT_IAM_SERVER_ID: "vault.example.com",
  });
  const first = await headers();
  expect(first).toMatchObject({ "x-vault-aws-iam-server-id": "vault.example.com" });
  expect(first["authorization"]).toContain("Credential=AKIDEXAMPLE/");
  await writeFile(file, "two\n");
  expect((await headers())["authorization"]).not.toBe(first["authorization"]);
  expect(sent[0]).toMatchObject({ path: "auth/aws/login", body: { role: "dev", iam_http_request_method: "POST" } });
  expect(JSON.stringify(sent)).not.toMatch(/one|two/);
});

test("without the pair a web identity, exchanged at STS once for many logins", async () => {
  await using moto = await startMoto();
  vi.stubEnv("AWS_REGION", "us-east-1");
  vi.stubEnv("AWS_ENDPOINT_URL_STS", moto.url);
  vi.stubEnv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/operator");
  vi.stubEnv("AWS_WEB_IDENTITY_TOKEN_FILE", join(directory, "web-identity"));
  await writeFile(join(directory, "web-identity"), "eyJhbGciOiJub25lIn0.e30.");
  const { headers } = iam({});
  const all = [await headers(), await headers(), ...(await Promise.all([headers(), headers()]))];
  const keys = new Set(all.map(({ authorization = "" }) => /Credential=([^/]+)\//.exec(authorization)?.[1]));
  expect([...keys]).toEqual([expect.stringMatching(/^ASIA/)]);
  expect(new Set(all.map((one) => one["x-amz-security-token"])).size).toBe(1);
  expect(all[0]?.["x-amz-security-token"]).toBeTruthy();
});

test("no identity anywhere is a failed login that says what to set", async () => {
  const { login, door, sent } = iam({});
  await expect(login.logIn(door)).rejects.toMatchObject({
    code: "VaultLoginFailed",
    message: expect.stringContaining("VAULT_IAM_AWS_ACCESS_KEY_ID"),
  });
  expect(sent).toEqual([]);
});
