// The demo's cluster: the real servers, prepared as a platform team would prepare theirs, and the operator in it with its
// own service account, RBAC and Vault policy, started as `run` is in a pod.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { awsEnvironment, KmsTestClient } from "../../test/env/kms-client.ts";
import { renderKubeconfig } from "../../test/env/kubernetes.ts";
import { freePort } from "../../test/env/ports.ts";
import { ProcessGroup } from "../../test/env/processes.ts";
import { type Programs, type Stack, startStack } from "../../test/env/stack.ts";
import { VaultClient } from "../../test/env/vault-client.ts";
import type { Encrypt } from "./samples.ts";

const checkout = join(import.meta.dirname, "../..");
const operatorNamespace = "kms-vault-operator";
const serviceAccount = "kms-vault-operator";
/** What the operator may do in Vault: the policy of the README, and the same for KV v1. */
const vaultPolicy = `
path "secret/data/*"     { capabilities = ["create", "read", "update"] }
path "secret/metadata/*" { capabilities = ["read", "delete"] }
path "legacy/*"          { capabilities = ["create", "read", "update", "delete"] }
`;

export interface DemoPrograms extends Programs {
  readonly kubectl: string;
}

export class DemoCluster {
  readonly stack: Stack;
  readonly vault: VaultClient;
  readonly #kubectl: string;
  readonly #kms: KmsTestClient;
  /** The operator's process: like the servers it does not outlive us, and does not get the terminal's Ctrl-C. */
  readonly #group: ProcessGroup;
  #keyId = "";
  #operator: ChildProcess | undefined;

  private constructor(stack: Stack, kubectl: string, group: ProcessGroup) {
    this.stack = stack;
    this.vault = new VaultClient(stack.info.vault);
    this.#kubectl = kubectl;
    this.#kms = new KmsTestClient(stack.info.kms);
    this.#group = group;
  }

  static async start(programs: DemoPrograms): Promise<DemoCluster> {
    const [stack, group] = await Promise.all([startStack({ programs }), ProcessGroup.create()]);
    return new DemoCluster(stack, programs.kubectl, group);
  }

  get operatorLog(): string {
    return join(this.stack.info.directory, "operator.log");
  }

  /** Runs kubectl as administrator; returns what it printed. */
  async kubectl(args: readonly string[], input?: string): Promise<string> {
    const running = promisify(execFile)(this.#kubectl, [
      "--kubeconfig",
      this.stack.info.kubernetes.kubeconfig,
      ...args,
    ]);
    if (input !== undefined) running.child.stdin?.end(input);
    return (await running).stdout;
  }

  /** A KMS key, and the two KV mounts with a policy and a role that let the operator's service account in. */
  async prepare(): Promise<void> {
    const { vault } = this;
    this.#keyId = await this.#kms.createKey();
    await vault.write("sys/mounts/secret", { type: "kv", options: { version: "2" } });
    await vault.write("sys/mounts/legacy", { type: "kv", options: { version: "1" } });
    await vault.write("sys/policies/acl/kms-vault-operator", { policy: vaultPolicy });
    await vault.write("auth/kubernetes/role/kms-vault-operator", {
      bound_service_account_names: [serviceAccount],
      bound_service_account_namespaces: [operatorNamespace],
      token_policies: ["kms-vault-operator"],
      token_ttl: "1h",
    });
  }

  readonly encrypt: Encrypt = (value, context) => this.#kms.encrypt(this.#keyId, value, context);

  /** CRDs and RBAC, from the files that a cluster gets. */
  async install(): Promise<void> {
    const files = ["crds", "namespace.yaml", "service_account.yaml", "role.yaml", "role_binding.yaml"];
    await this.kubectl(["apply", ...files.flatMap((file) => ["-f", join(checkout, "deploy", file)])]);
    await this.kubectl(["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"]);
  }

  /** Starts the operator under its own service account; it logs to a file. */
  async startOperator(): Promise<void> {
    const { kubernetes, vault, kms, directory } = this.stack.info;
    const token = await this.kubectl(["create", "token", serviceAccount, "-n", operatorNamespace, "--duration=24h"]);
    const tokenFile = join(directory, "operator-token");
    const kubeconfig = join(directory, "operator-kubeconfig");
    writeFileSync(tokenFile, token.trim(), { mode: 0o600 });
    const { server, caPem } = kubernetes;
    writeFileSync(kubeconfig, renderKubeconfig({ server, caPem, user: { tokenFile }, namespace: operatorNamespace }));
    const log = openSync(this.operatorLog, "a");
    const flags = [
      `--kubeconfig=${kubeconfig}`,
      "--vault-authentication-method=k8s",
      `--metrics-addr=127.0.0.1:${await freePort()}`,
    ];
    this.#operator = spawn(join(checkout, "bin/kms-vault-operator"), ["run", ...flags], {
      stdio: ["ignore", log, log],
      detached: true,
      env: {
        PATH: process.env["PATH"],
        VAULT_ADDR: vault.address,
        VAULT_CACERT: vault.caFile,
        VAULT_K8S_TOKEN_FILE: tokenFile,
        AWS_ENDPOINT_URL_KMS: kms.endpoint,
        ...awsEnvironment,
      },
    });
    closeSync(log);
    this.#group.adopt(this.#operator, "operator");
  }

  /** The data at an API path, or undefined. */
  async read(apiPath: string, engineVersion: "v1" | "v2"): Promise<Record<string, unknown> | undefined> {
    const found = await this.vault.read(apiPath);
    return engineVersion === "v2" ? found?.data : found;
  }

  /** Waits until a condition holds. @throws Error with the end of the operator's log when it does not in time */
  async until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const until = performance.now() + 30_000;
    while (!(await holds())) {
      const ended = this.#operator !== undefined && this.#operator.exitCode !== null;
      if (ended || performance.now() > until) {
        const log = readFileSync(this.operatorLog, "utf8").trimEnd().split("\n").slice(-15).join("\n");
        throw new Error(`${ended ? "the operator ended" : "waited 30 s in vain"}: ${what}\n${log}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Ends the operator as a cluster does, then the servers. @returns the operator's exit code */
  async stop(): Promise<number | null> {
    const operator = this.#operator;
    if (operator !== undefined && operator.exitCode === null) {
      const exited = once(operator, "exit");
      operator.kill("SIGTERM");
      await exited;
    }
    await this.vault.close();
    await this.#kms.close();
    await Promise.all([this.#group.stop(), this.stack.stop()]);
    return operator?.exitCode ?? null;
  }
}
