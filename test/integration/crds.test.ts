// The CRDs as the API server takes them: what it accepts of both generations of the original, and what it refuses
// before the operator ever sees it.
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { testEnv } from "../env/context.ts";
import { HttpError } from "../env/http.ts";
import { kmsVaultSecret, partialKMSVaultSecret, secretPath } from "../gen/manifests.ts";

const env = testEnv();
const entry = { key: "k", encryptedSecret: "YQ==" };
let namespace: string;
let directory: string;
beforeAll(async () => {
  namespace = await env.freshNamespace();
  directory = await mkdtemp(join(tmpdir(), "crds-"));
});
afterAll(async () => {
  await rm(directory, { recursive: true });
  await Promise.all([env.kube.close(), env.vault.close(), env.kms.close()]);
});

test("kubectl apply takes the CRDs, and those of deploy/ all together with the rest", async () => {
  const deploy = join(import.meta.dirname, "..", "..", "deploy");
  const lines = await kubectl("apply", "--server-side", "--force-conflicts", "-f", join(deploy, "crds"));
  expect(lines).toHaveLength(2);
  const dryRun = await kubectl("apply", "--dry-run=client", "--validate=strict", "-f", deploy);
  expect(dryRun.join("\n")).toContain("deployment.apps/kms-vault-operator");
  const samples = join(deploy, "samples");
  const sampled = await kubectl("apply", "--dry-run=server", "--validate=strict", "-n", namespace, "-f", samples);
  expect(sampled.length).toBeGreaterThanOrEqual(4);
});

test("kubectl apply takes deploy/webhook as a whole, what the API server is to call before it is told to", async () => {
  const files = join(import.meta.dirname, "..", "..", "deploy", "webhook");
  const lines = await kubectl("apply", "--dry-run=client", "--validate=strict", "-f", files);
  const kinds = lines.map((line) => line.split("/")[0]);
  expect(kinds.slice(-1)).toEqual(["validatingwebhookconfiguration.admissionregistration.k8s.io"]);
  expect(kinds).toContain("poddisruptionbudget.policy");
  expect(kinds.lastIndexOf("rolebinding.rbac.authorization.k8s.io")).toBeLessThan(kinds.indexOf("deployment.apps"));
});

describe("accepted as the original's manifests have it:", () => {
  test.each<[string, object]>([
    [
      "first version",
      { path: "secret/x", vaultAuthMethod: "k8s", kvSettings: { engineVersion: "v1" }, secrets: [entry] },
    ],
    [
      "last version",
      {
        path: "secret/data/x",
        kvSettings: { engineVersion: "v2", casIndex: 0 },
        secretContext: { a: "b" },
        includeSecrets: ["partial"],
        secrets: [
          { ...entry, secretContext: { c: "d" } },
          { key: "e", emptySecret: true, encryptedSecret: "" },
        ],
      },
    ],
    ["only includes", { path: "secret/x", includeSecrets: ["partial"] }],
    ["empty strings and lists, which the operator explains on the object", { path: "", secrets: [] }],
  ])("%s", async (what, spec) => {
    const name = what.replaceAll(/[^a-z]+/g, "-");
    const created = await env.kube.create(kmsVaultSecret({ namespace, name }, spec));
    expect(created.spec).toEqual(spec);
  });

  test("a Partial", async () => {
    const spec = { secretContext: { a: "b" }, secrets: [entry] };
    const created = await env.kube.create(partialKMSVaultSecret({ namespace, name: "partial" }, spec));
    expect(created.spec).toEqual(spec);
  });

  test("status.created of the original, without anything else", async () => {
    const at = { namespace, name: "with-status" };
    await env.kube.create(kmsVaultSecret(at, { path: "secret/x", secrets: [entry] }));
    const { status } = await env.kube.patch(
      { ...secretPath(at), subresource: "status" },
      { status: { created: true } },
    );
    expect(status).toEqual({ created: true });
  });
});

describe("refused:", () => {
  test.each<[string, object, RegExp]>([
    ["no path", { secrets: [entry] }, /spec\.path: Required/],
    ["neither secrets nor includes", { path: "secret/x" }, /one of secrets and includeSecrets is required/],
    ["a key twice", { path: "secret/x", secrets: [entry, entry] }, /Duplicate value/],
    ["an include twice", { path: "secret/x", includeSecrets: ["a", "a"] }, /Duplicate value/],
    ["an entry without a key", { path: "secret/x", secrets: [{ encryptedSecret: "YQ==" }] }, /key: Required/],
    [
      "another method",
      { path: "secret/x", secrets: [entry], vaultAuthMethod: "kerberos" },
      /vaultAuthMethod: Unsupported value/,
    ],
    [
      "another engine",
      { path: "secret/x", secrets: [entry], kvSettings: { engineVersion: "v3" } },
      /engineVersion: Unsupported value/,
    ],
    ["a negative casIndex", { path: "secret/x", secrets: [entry], kvSettings: { casIndex: -1 } }, /casIndex/],
    [
      "a value that is no text",
      { path: "secret/x", secrets: [{ key: "k", encryptedSecret: 1 }] },
      /must be of type string/,
    ],
  ])("%s", async (what, spec, why) => {
    const named = { namespace, name: what.replaceAll(/[^a-zI]+/g, "-").toLowerCase() };
    const refusal: unknown = await env.kube.create(kmsVaultSecret(named, spec)).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(HttpError);
    expect((refusal as HttpError).status).toBe(422);
    expect((refusal as HttpError).message).toMatch(why);
  });

  test("by kubectl, which is strict: a field that does not exist", async () => {
    const manifest = kmsVaultSecret(
      { namespace, name: "typo" },
      { path: "x/y", secrets: [{ ...entry, encryptedSecrets: "x" }] },
    );
    const file = join(directory, "typo.json");
    await writeFile(file, JSON.stringify(manifest));
    const child = kubectl("apply", "-f", file);
    await expect(child).rejects.toThrow(/unknown field "spec\.secrets\[0\]\.encryptedSecrets"/);
  });
});

async function kubectl(...args: string[]): Promise<string[]> {
  const { programs, kubernetes } = inject("stack");
  const flags = [`--kubeconfig=${kubernetes.kubeconfig}`, ...args];
  const { stdout } = await promisify(execFile)(programs.kubectl ?? "kubectl", flags);
  return stdout.trimEnd().split("\n");
}
