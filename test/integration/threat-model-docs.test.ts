// docs/concepts/threat-model.md, tried as written: what a reviewer is told to look at says what the page promises.
import { execFile, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestEnv, testEnv } from "../env/context.ts";
import { uniqueName } from "../env/unique.ts";
import { VaultClient } from "../env/vault-client.ts";

const page = readFileSync(join(import.meta.dirname, "..", "..", "docs/concepts/threat-model.md"), "utf8");
const tenant = uniqueName("tenant");
let env: TestEnv;
let namespace: string;

beforeAll(async () => {
  env = testEnv();
  namespace = await env.freshNamespace();
});
afterAll(() => Promise.all([env.kube.close(), env.vault.close(), env.kms.close()]));

/** The shell block that has a text in it, without its indent. */
function block(text: string): string {
  const blocks = [...page.matchAll(/^ *```sh\n([^]*?)^ *```/gm)].map(([, found = ""]) => found);
  const found = blocks.find((one) => one.includes(text));
  if (found === undefined) throw new Error(`the page has no block with ${text}`);
  return found.replaceAll(/^ {2}/gm, "");
}

/** @returns what it prints; rejects when it fails */
async function run(command: string): Promise<string> {
  const { kubernetes, programs } = env.stack;
  const path = [dirname(programs.kubectl ?? ""), process.env["PATH"]].join(delimiter);
  const surroundings = { PATH: path, KUBECONFIG: kubernetes.kubeconfig, HOME: dirname(kubernetes.kubeconfig) };
  return (await promisify(execFile)("sh", ["-euc", command], { env: surroundings, timeout: 30_000 })).stdout;
}

function isInstalled(program: string): boolean {
  return spawnSync(program, ["--version"]).status === 0;
}

test("a tenant who may write objects may not patch their statuses", async () => {
  const rules = [{ apiGroups: ["k8s.patoarvizu.dev"], resources: ["kmsvaultsecrets"], verbs: ["*"] }];
  const metadata = { name: tenant, namespace };
  const rbac = "rbac.authorization.k8s.io";
  await env.kube.create({ apiVersion: `${rbac}/v1`, kind: "Role", metadata, rules });
  await env.kube.create({
    apiVersion: `${rbac}/v1`,
    kind: "RoleBinding",
    metadata,
    roleRef: { apiGroup: rbac, kind: "Role", name: tenant },
    subjects: [{ apiGroup: rbac, kind: "User", name: tenant }],
  });
  const asked = block("--subresource=status").replace("NAMESPACE", namespace).replace("TENANT", tenant);
  expect(await run(asked.replace("--subresource=status ", ""))).toBe("yes\n");
  // Like grep, it says no by its exit code too.
  await expect(run(asked)).rejects.toMatchObject({ code: 1, stdout: "no\n" });
});

test("rights of the operator are listed, namespace by namespace", async () => {
  expect(await run(block("--list").replace("NAMESPACE", namespace))).toMatch(/Resources.*Resources/s);
});

test.runIf(isInstalled("jq"))("Vault's audit log names who asked, and for what", async () => {
  await env.vault.write("sys/policies/acl/kms-vault-operator", {
    policy: 'path "secret/*" { capabilities = ["read"] }',
  });
  const { auth } = await env.vault.write("auth/token/create", {
    policies: ["kms-vault-operator"],
    display_name: tenant,
  });
  const path = `secret/data/${tenant}`;
  const asOperator = new VaultClient(env.stack.vault, auth.client_token);
  await asOperator.read(path);
  await asOperator.close();
  await env.vault.read(path);
  const printed = await run(block("jq -r").replace("audit.log", env.stack.vault.auditLog));
  const lines = printed.split("\n").filter((line) => line.endsWith(path));
  expect(lines).toEqual([expect.stringContaining(`\ttoken-${tenant}\tdefault,kms-vault-operator\tread\t`)]);
});
