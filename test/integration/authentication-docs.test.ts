// docs/reference/authentication.md, tried as written: its commands are run by a shell against the real servers, top to
// bottom, and with each environment that it shows the operator logs in and writes a secret.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { parse } from "yaml";
import { authMethods } from "../../src/vault/vault.ts";
import { vaultWithAuthPlugins } from "../env/auth-plugins.ts";
import { createAuthority } from "../env/certificates.ts";
import { eventually } from "../env/eventually.ts";
import { createIssuer } from "../env/issuer.ts";
import { githubTeam, type LoginServers, startLoginServers, userName } from "../env/login-servers.ts";
import type { VaultInfo } from "../env/openbao.ts";
import type { OperatorOptions } from "../env/operator.ts";
import { installServiceAccount } from "../env/service-account.ts";
import { kmsVaultSecret } from "../gen/manifests.ts";
import { openWorld, type World } from "./world.ts";

const root = join(import.meta.dirname, "..", "..");
const page = await readFile(join(root, "docs/reference/authentication.md"), "utf8");
/** Namespace and name of the operator's service account, as the page has them. */
const own = "kms-vault-operator";
const cleanUp = new AsyncDisposableStack();
let directory: string;
let vault: VaultInfo;
let servers: LoginServers;
let world: World;
let serviceAccount: OperatorOptions["serviceAccount"];

/** A block of the page: `sh` is run, `env` is the operator's environment, `yaml` is looked at where a test says so. */
interface Block {
  readonly language: string;
  readonly text: string;
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "authentication-docs-"));
  cleanUp.defer(() => rm(directory, { recursive: true }));
  vault = cleanUp.use(await vaultWithAuthPlugins()).info;
  servers = cleanUp.use(await startLoginServers());
  world = cleanUp.use(await openWorld({ servers: { vault } }));
  await Promise.all([own, "shop"].map(makeNamespace));
  serviceAccount = await installServiceAccount(world.kube, own);
  await Promise.all(Object.entries(await readersFiles()).map(([name, text]) => writeFile(join(directory, name), text)));
  await symlink(join(root, "deploy"), join(directory, "deploy"));
  // As in a Vault that nobody has logged in to yet.
  for (const mount of ["kubernetes", "userpass"]) await world.vault.delete(`sys/auth/${mount}`);
  await world.vault.write("sys/mounts/secret", { type: "kv", options: { version: "2" } });
  await eventually(async () => expect(await world.vault.read("secret/config")).toBeDefined());
  await runAll(section("What the operator may do"));
});
afterAll(() => cleanUp.disposeAsync());

test("every method has its section, and no command stands outside of those that are tried", () => {
  const titles = [...page.matchAll(/^## (.+)$/gm)].map(([, title = ""]) => title);
  const withCommands = titles.filter((title) => section(title).some(({ language }) => language === "sh"));
  const methods = authMethods.map((method) => `\`${method}\``);
  const others = ["What the operator may do", "Service accounts of the objects' own"];
  expect(withCommands.toSorted()).toEqual([...methods, ...others].toSorted());
});

test.each(authMethods)(
  "%s: the commands work, and the operator writes with the environment below them",
  async (method) => {
    let written = 0;
    for (const { language, text } of section(`\`${method}\``)) {
      if (language === "sh") await run(text);
      if (language !== "env") continue;
      const name = `${method}-${written}`;
      const env = { VAULT_TOKEN: undefined, ...(await surroundings(method)), ...environment(text) };
      await world.start({ args: [`--vault-authentication-method=${method}`], env });
      await world.sync(name, { path: `secret/data/${name}`, secrets: await world.entries({ k: name }) });
      expect((await world.vault.read(`secret/data/${name}`)).data).toEqual({ k: name });
      expect(await world.operator.stop()).toMatchObject({ code: 0 });
      written += 1;
    }
    expect(written).toBeGreaterThan(0);
  },
);

test("service accounts of the objects' own: the commands work, and the operator writes as one, without rights of its own", async () => {
  const blocks = section("Service accounts of the objects' own");
  await runAll(blocks);
  const { spec } = parse(blocks.find(({ language }) => language === "yaml")?.text ?? "");
  const env = { VAULT_TOKEN: undefined, WATCH_NAMESPACE: "shop" };
  await world.start({ args: ["--vault-authentication-method=k8s"], env, ...(serviceAccount && { serviceAccount }) });
  const secrets = await world.entries({ k: "by shop" });
  await world.kube.create(kmsVaultSecret({ namespace: "shop", name: "orders" }, { ...spec, secrets }));
  await eventually(async () => expect((await world.vault.read(spec.path))?.data).toEqual({ k: "by shop" }));
  await world.operator.stop();
});

test("a token for Vault's audience cannot be its own reviewer, even of a service account that may review tokens", async () => {
  const account = { namespace: "shop", name: "vault-writer" };
  const logIn = async () => {
    const jwt = await world.kube.serviceAccountToken({ ...account, audiences: ["vault"] });
    return world.vault.ask({ method: "POST", path: "/v1/auth/kubernetes/login", body: { role: "shop", jwt } });
  };
  expect((await logIn()).status).toBe(200);
  await world.kube.apply({
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: "vault-writer-reviews" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "system:auth-delegator" },
    subjects: [{ kind: "ServiceAccount", ...account }],
  });
  await world.vault.write("auth/kubernetes/config", { ...cluster(), token_reviewer_jwt: "" });
  expect((await logIn()).status).toBe(403);
});

/** What a reader has before reading, by file name. */
async function readersFiles(): Promise<Readonly<Record<string, string>>> {
  const issuer = createIssuer("vault");
  const authority = await createAuthority("client CA");
  const { certPem, keyPem } = await authority.client(userName, "operators");
  return {
    "kubernetes-ca.crt": inject("stack").kubernetes.caPem,
    "jwt-public-key.pem": issuer.publicPem,
    jwt: `${issuer.token(userName)}\n`,
    "vaults-secret-key": servers.aws.vault.secret,
    "client-ca.crt": authority.caPem,
    "tls.crt": certPem,
    "tls.key": keyPem,
    "ldap-ca.crt": servers.directory.caPem,
    "ldap-password": `${servers.ldapPassword}\n`,
    "github-token": `${servers.githubToken}\n`,
    "pod-token": serviceAccount?.token ?? "",
  };
}

/** What the page tells a reader to set. */
function readersVariables(): Readonly<Record<string, string>> {
  const { aws, directory: people, github } = servers;
  return {
    KUBERNETES_API: inject("stack").kubernetes.server,
    STS_ENDPOINT: aws.url,
    IAM_ENDPOINT: aws.url,
    STS_REGION: "us-east-1",
    OPERATOR_ARN: aws.roleArn,
    VAULTS_ACCESS_KEY: aws.vault.id,
    LDAP_URL: people.url,
    LDAP_USERS: people.userDn,
    GITHUB_API: github.url,
    GITHUB_ORGANIZATION: github.organization,
    GITHUB_TEAM: githubTeam,
  };
}

/** What a pod has around it where this machine has not. */
async function surroundings(method: string): Promise<Readonly<Record<string, string | undefined>>> {
  const token = join(directory, "pod-token");
  if (method === "k8s") return { VAULT_K8S_TOKEN_FILE: token };
  if (method !== "iam") return {};
  // A role by IRSA, from the chain of the AWS SDK.
  await servers.aws.checkSignatures(false);
  return {
    AWS_ACCESS_KEY_ID: undefined,
    AWS_SECRET_ACCESS_KEY: undefined,
    AWS_ROLE_ARN: servers.aws.roleArn,
    AWS_WEB_IDENTITY_TOKEN_FILE: token,
    AWS_ENDPOINT_URL_STS: servers.aws.url,
  };
}

/** The blocks of a section, in order. */
function section(title: string): Block[] {
  const text = page.split(/^## /m).find((part) => part.startsWith(`${title}\n`));
  if (text === undefined) throw new Error(`the page has no section ${title}`);
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = "", content = ""]) => ({
    language,
    text: content,
  }));
}

/** Variables as they stand in a block; the files of the Secret are in our directory. */
function environment(text: string): Readonly<Record<string, string>> {
  const lines = text.trim().split("\n");
  return Object.fromEntries(
    lines.map((line) => {
      const [, name = "", value = ""] = /^(\w+)=(.+)$/.exec(line) ?? [];
      return [name, value.replace("/vault-login", directory)];
    }),
  );
}

async function runAll(blocks: readonly Block[]): Promise<void> {
  for (const { language, text } of blocks) if (language === "sh") await run(text);
}

/** Runs commands as a reader pastes them, in the directory of the reader's files. */
async function run(commands: string): Promise<void> {
  const { programs, kubernetes } = inject("stack");
  const path = [programs.bao, programs.kubectl ?? ""].map((program) => dirname(program));
  await promisify(execFile)("sh", ["-euc", commands], {
    cwd: directory,
    timeout: 60_000,
    env: {
      PATH: [...path, process.env["PATH"]].join(":"),
      HOME: directory,
      BAO_ADDR: vault.address,
      BAO_CACERT: vault.caFile,
      BAO_TOKEN: vault.rootToken,
      KUBECONFIG: kubernetes.kubeconfig,
      ...readersVariables(),
    },
  });
}

function cluster(): object {
  const { server, caPem } = inject("stack").kubernetes;
  return { kubernetes_host: server, kubernetes_ca_cert: caPem, disable_local_ca_jwt: true };
}

async function makeNamespace(name: string): Promise<void> {
  await world.kube.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
}
