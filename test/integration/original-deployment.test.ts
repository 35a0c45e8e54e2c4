// Deployments that were written for the original start ours: its command without a subcommand inside a cluster, its
// flags as Go's flag package reads them, its variables. (Without any argument: test/cli, since it listens on :8080.)
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { awsEnvironment } from "../env/kms-client.ts";
import { JsonClient } from "../env/http.ts";
import { freePort } from "../env/ports.ts";
import { ProcessGroup } from "../env/processes.ts";
import { openWorld, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld({ servers: { kms: inject("stack").kms } });
});
afterAll(() => world[Symbol.asyncDispose]());

/** Starts the program with exactly these arguments, in what looks like a pod. */
async function startInCluster(args: readonly string[]) {
  const { vault, kubernetes, kms } = inject("stack");
  const { AWS_REGION, ...credentials } = awsEnvironment;
  const group = await ProcessGroup.create();
  const child = spawn(process.execPath, [inject("operatorProgram"), ...args], {
    cwd: group.directory,
    env: {
      KUBERNETES_SERVICE_HOST: "10.0.0.1",
      KUBERNETES_SERVICE_PORT: "443",
      // A pod would have its service account's files; KUBECONFIG comes before them.
      KUBECONFIG: kubernetes.kubeconfig,
      POD_NAME: "kms-vault-operator-5d9f",
      OPERATOR_NAME: "kms-vault-operator",
      WATCH_NAMESPACE: world.namespace,
      POD_NAMESPACE: world.namespace,
      VAULT_ADDR: vault.address,
      // The last chart points it at a file.
      VAULT_CAPATH: vault.caFile,
      VAULT_TOKEN: vault.rootToken,
      AWS_ENDPOINT_URL: kms.endpoint,
      AWS_DEFAULT_REGION: AWS_REGION,
      ...credentials,
    },
    stdio: ["ignore", "ignore", "pipe"],
  });
  group.adopt(child);
  let output = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  return { child, output: () => output, [Symbol.asyncDispose]: () => group.stop() };
}

test.each([
  ["-metrics-addr", "-enable-leader-election=false", "-vault-authentication-method=token", "-sync-period-seconds=0"],
  [
    "--metrics-addr",
    "--enable-leader-election",
    "--vault-authentication-method",
    "token",
    "--sync-period-seconds",
    "0x78",
  ],
])("%s %s …", async (metricsFlag, ...flags) => {
  const port = await freePort();
  const args = [metricsFlag, `127.0.0.1:${port}`, ...flags];
  await using operator = await startInCluster(args);
  const metrics = new JsonClient(`http://127.0.0.1:${port}`);
  await eventually(async () => {
    const answer = await metrics.ask({ method: "GET", path: "/readyz" });
    expect(answer, operator.output()).toMatchObject({ status: 200 });
  });
  await metrics.close();
  const name = `flags-${flags.length}`;
  await world.sync(name, { path: `${world.v2}/data/${name}`, secrets: await world.entries({ k: "v" }) });
  expect(await stopped(operator.child)).toBe(0);
});

async function stopped(child: ChildProcess): Promise<unknown> {
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  return (await exit)[0];
}
