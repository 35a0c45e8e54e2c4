// `make demo`: the product from beginning to end on real servers, told in the terminal. With --once it ends by itself:
// 0 when every sample is in Vault and lived as it should, 1 if not.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import pc from "picocolors";
import { resolveToolchain } from "../toolchain/resolve.ts";
import { DemoCluster } from "./cluster.ts";
import { type Expected, expected, life, lifeManifest, manifests, namespace } from "./samples.ts";

const startedAt = performance.now();

function say(text = ""): void {
  process.stdout.write(`${text}\n`);
}

/** One line for what begins, and the time when it is done. */
async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const since = performance.now();
  process.stdout.write(`${pc.cyan("▸")} ${what} `);
  const result = await work();
  say(
    pc.dim(
      `${((performance.now() - since) / 1000).toFixed(1)} s (${((performance.now() - startedAt) / 1000).toFixed(1)} s in all)`,
    ),
  );
  return result;
}

async function main(once: boolean): Promise<number> {
  const names = ["etcd", "kube-apiserver", "kubectl", "bao"] as const;
  say(
    `${pc.cyan("▸")} servers: etcd, kube-apiserver, OpenBao, kubectl ${pc.dim("(found, or made once: kube-apiserver takes about 4 minutes then)")}`,
  );
  const programs = await resolveToolchain(names, (line) => say(pc.dim(`    ${line}`)));
  const cluster = await step("starting a Kubernetes API server, OpenBao with TLS, and the KMS emulator", () =>
    DemoCluster.start(programs),
  );
  const interrupted = new Promise<void>((resolve) => {
    process.once("SIGINT", () => resolve()).once("SIGTERM", () => resolve());
  });
  let exitCode = 1;
  try {
    const told = tell(cluster).then(() => true);
    const finished = await Promise.race([told, interrupted.then(() => false)]);
    exitCode = finished ? 0 : 130;
    if (finished && !once) {
      await showCommands(cluster, programs);
      await interrupted;
    }
  } catch (error) {
    say(`\n${pc.red("✗")} ${error instanceof Error ? error.message : String(error)}`);
  }
  const ended = await step("stopping the operator and the servers", () => cluster.stop());
  if (exitCode === 0 && ended !== 0) {
    say(`${pc.red("✗")} the operator ended with exit code ${ended}`);
    return 1;
  }
  if (exitCode === 0) say(pc.green(`✓ done in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`));
  return exitCode;
}

async function tell(cluster: DemoCluster): Promise<void> {
  await step("creating a KMS key, two KV mounts (v2 at secret/, v1 at legacy/) and a Vault role", () =>
    cluster.prepare(),
  );
  await step("installing the CRDs, the operator's service account and its RBAC", () => cluster.install());
  await step("starting the operator", () => cluster.startOperator());
  const text = await step("encrypting the sample values with the key", () => manifests(cluster.encrypt));
  const file = join(cluster.stack.info.directory, "samples.yaml");
  writeFileSync(file, text);
  await step(`kubectl apply -f ${file}`, async () => {
    await cluster.kubectl(["create", "namespace", namespace]);
    await cluster.kubectl(["apply", "-f", file]);
  });
  await step("waiting until every sample is in Vault", async () => {
    for (const sample of expected) await cluster.until(`${sample.path} in Vault`, () => isThere(cluster, sample));
  });
  await tellLife(cluster);
  say(`\n${pc.bold("What is in Vault")} ${pc.dim("(values of this demo only)")}`);
  for (const sample of expected) {
    const data = await cluster.read(sample.apiPath, sample.engineVersion);
    say(`  ${pc.green("✓")} ${sample.path}  ${pc.dim(sample.shows)}`);
    for (const [key, value] of Object.entries(data ?? {})) say(`      ${key} = ${JSON.stringify(value)}`);
  }
  say(`\n${pc.bold("What Kubernetes says of it")}`);
  say(indent(await cluster.kubectl(["get", "kmsvaultsecrets", "-n", namespace])));
}

/** Written, repaired, changed, removed. */
async function tellLife(cluster: DemoCluster): Promise<void> {
  const value = async () => (await cluster.read(life.apiPath, "v2"))?.["value"];
  const apply = async (text: string) => {
    await cluster.kubectl(["apply", "-f", "-"], lifeManifest(await cluster.encrypt(text)));
  };
  say(`\n${pc.bold("The life of one secret")}, ${life.path}`);
  await step("a new object: its value arrives", async () => {
    await apply("first");
    await cluster.until("the first value", async () => (await value()) === "first");
  });
  await step(
    "somebody changes it in Vault by hand: it is repaired (asked for by annotation; else within 2 minutes)",
    async () => {
      await cluster.vault.write(life.apiPath, { data: { value: "tampered" } });
      const now = `k8s.patoarvizu.dev/reconcile-requested-at=${new Date().toISOString()}`;
      await cluster.kubectl(["annotate", "kmsvaultsecret", life.name, "-n", namespace, "--overwrite", now]);
      await cluster.until("the repair", async () => (await value()) === "first");
    },
  );
  await step("the object changes: so does the value", async () => {
    await apply("second");
    await cluster.until("the second value", async () => (await value()) === "second");
  });
  await step("the object is deleted: all versions are removed", async () => {
    await cluster.kubectl(["delete", "kmsvaultsecret", life.name, "-n", namespace]);
    await cluster.until("the removal", async () => (await cluster.vault.read(life.metadataPath)) === undefined);
  });
}

async function isThere(cluster: DemoCluster, { apiPath, engineVersion, data }: Expected): Promise<boolean> {
  return isDeepStrictEqual({ ...(await cluster.read(apiPath, engineVersion)) }, data);
}

async function showCommands(cluster: DemoCluster, programs: { kubectl: string; bao: string }): Promise<void> {
  const { kubernetes, vault } = cluster.stack.info;
  const kubectl = `${programs.kubectl} --kubeconfig ${kubernetes.kubeconfig} -n ${namespace}`;
  const secret = await cluster.encrypt("a-value-of-my-own");
  say(`${pc.bold("Try next")}, in another terminal`);
  say(`  export VAULT_ADDR=${vault.address} VAULT_CACERT=${vault.caFile} VAULT_TOKEN=${vault.rootToken}
  ${kubectl} get kmsvaultsecrets
  ${kubectl} describe kmsvaultsecret database
  ${programs.bao} kv get secret/shop/frontend
  ${kubectl} edit partialkmsvaultsecret shared   ${pc.dim("# reaches frontend at once; this ciphertext is of a-value-of-my-own:")}
      ${secret}
  ${programs.bao} kv put secret/shop/database password=changed-by-hand   ${pc.dim("# repaired within 2 minutes, or at once:")}
  ${kubectl} annotate kmsvaultsecret database --overwrite k8s.patoarvizu.dev/reconcile-requested-at="$(date)"
  ${kubectl} delete kmsvaultsecret mailer   ${pc.dim("# has the finalizer: its data leaves Vault too")}
  tail -f ${cluster.operatorLog}
`);
  say(pc.bold("Everything is up. Ctrl-C stops it and cleans up."));
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, "  ");
}

process.exit(await main(process.argv.includes("--once")));
