// The image at work: started by each of its names, as the users of its own and of the original's manifests, on real servers;
// it brings a secret into Vault, answers reviews, leaves its file system alone, and ends when it is told to.
import { spawn } from "node:child_process";
import { copyFile, chmod, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { output } from "../../tools/image/output.ts";
import { createAuthority } from "../env/certificates.ts";
import { awsEnvironment } from "../env/kms-client.ts";
import { OperatorProcess } from "../env/operator.ts";
import { eventually } from "../env/eventually.ts";
import { freePorts } from "../env/ports.ts";
import { ProcessGroup } from "../env/processes.ts";
import { installConfiguration } from "../env/webhook.ts";
import { openWorld, type World } from "../integration/world.ts";

const { env, directory, root } = inject("image");
const shared = join(directory, "shared");
let world: World;
/** Of the webhook's certificate. */
let caPem: string;

beforeAll(async () => {
  const { kubernetes, vault, kms } = inject("stack");
  world = await openWorld({ servers: { kms } });
  await mkdir(shared);
  await copyFile(kubernetes.kubeconfig, join(shared, "kubeconfig"));
  await copyFile(vault.caFile, join(shared, "ca.crt"));
  const authority = await createAuthority("webhook of the image");
  caPem = authority.caPem;
  const { certPem, keyPem } = await authority.server("webhook");
  await writeFile(join(shared, "tls.crt"), certPem);
  await writeFile(join(shared, "tls.key"), keyPem);
  // Read by whatever user the container has; they are of this test alone.
  for (const file of ["kubeconfig", "ca.crt", "tls.crt", "tls.key"]) await chmod(join(shared, file), 0o644);
});
afterAll(() => world?.[Symbol.asyncDispose]());

interface Container {
  readonly uid: number;
  readonly command: readonly string[];
  readonly metricsPort: number;
}

interface Running extends AsyncDisposable {
  readonly operator: OperatorProcess;
  /** What it changed of the image's files, as `find` lists them; to be asked when it has ended. */
  changes(): Promise<string[]>;
}

/** Starts a command of the image, with what a pod of the stack would have. `await using` ends it. */
async function startContainer({ uid, command, metricsPort }: Container): Promise<Running> {
  const { vault, kms } = inject("stack");
  const container = (await output("buildah", ["from", "--pull-never", "localhost/second:test"], { env })).trim();
  const variables = {
    KUBECONFIG: "/shared/kubeconfig",
    POD_NAMESPACE: world.namespace,
    WATCH_NAMESPACE: world.namespace,
    VAULT_ADDR: vault.address,
    VAULT_CACERT: "/shared/ca.crt",
    VAULT_TOKEN: vault.rootToken,
    AWS_ENDPOINT_URL_KMS: kms.endpoint,
    ...awsEnvironment,
  };
  const flags = [
    `--user=${uid}`,
    `--volume=${shared}:/shared:ro`,
    ...Object.entries(variables).map(([name, value]) => `--env=${name}=${value}`),
  ];
  const group = await ProcessGroup.create();
  const child = spawn("buildah", ["run", ...flags, container, "--", ...command], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  group.adopt(child, "container", "leader");
  const operator = new OperatorProcess(child, `http://127.0.0.1:${metricsPort}`, () => group.stop());
  await operator.untilReady();
  return {
    operator,
    async changes() {
      const before = await filesOf(root);
      const after = await filesOf((await output("buildah", ["mount", container], { env })).trim());
      const all = new Set([...before, ...after]);
      return [...all].filter((file) => before.includes(file) !== after.includes(file));
    },
    async [Symbol.asyncDispose]() {
      await operator.stop("SIGKILL");
    },
  };
}

test.each([
  ["our chart's", 65_532, ["kms-vault-operator", "run"]],
  ["the last version's", 65_532, ["/manager", "--enable-leader-election"]],
  ["the first version's, by its user", 1001, ["/usr/local/bin/kms-vault-operator"]],
])("the command of %s manifests: a secret arrives in Vault, and SIGTERM ends it in order", async (_, uid, command) => {
  const [metricsPort = 0] = await freePorts(1);
  const args = [...command, `--metrics-addr=127.0.0.1:${metricsPort}`, "--vault-authentication-method=token"];
  await using running = await startContainer({ uid, command: args, metricsPort });
  const { operator } = running;
  const name = `image-${uid}-${command.length}`;
  await world.apply(name, { path: `${world.v2}/data/${name}`, secrets: await world.entries({ k: name }) });
  await world.untilReady(name, "Synced");
  expect(await world.atV2(name)).toEqual({ k: name });
  const [pid] = await pidsOf(metricsPort);
  expect(await ownerOf(pid)).toBe(uid);
  process.kill(pid ?? 0, "SIGTERM");
  expect(await operator.exit).toEqual({ code: 0, signal: null });
  expect(operator.output()).not.toMatch(/Warning|EACCES|EROFS/);
  expect(await running.changes()).toEqual([]);
});

test("/kms-vault-validating-webhook answers the API server's reviews", async () => {
  const [port = 0, metricsPort = 0] = await freePorts(2);
  const files = ["-tls-cert-file", "/shared/tls.crt", "-tls-key-file", "/shared/tls.key"];
  const addresses = ["-listen-addr", `127.0.0.1:${port}`, `-metrics-addr=127.0.0.1:${metricsPort}`];
  const command = ["/kms-vault-validating-webhook", ...files, ...addresses];
  await using running = await startContainer({ uid: 65_532, command, metricsPort });
  const url = `https://127.0.0.1:${port}`;
  await using _ = await installConfiguration(world.kube, { url, caPem }, { namespace: world.namespace });
  const path = `${world.v2}/data/reviewed`;
  const broken = [{ key: "k", encryptedSecret: "bm8gY2lwaGVydGV4dA==" }];
  await eventually(() =>
    expect(world.apply("broken", { path, secrets: broken })).rejects.toThrow("denied the request"),
  );
  await world.apply("sound", { path, secrets: await world.entries({ k: "v" }) });
  process.kill((await pidsOf(metricsPort))[0] ?? 0, "SIGTERM");
  expect(await running.operator.exit).toEqual({ code: 0, signal: null });
  expect(await running.changes()).toEqual([]);
});

test("nothing in it can be changed by its user, but in the places for temporary files", async () => {
  const open = ["(", "-perm", "/022", "-o", "!", "-uid", "0", ")"];
  const writable = await output("find", [root, "-xdev", "!", "-type", "l", ...open, "-printf", "%P\n"]);
  expect(writable.trim().split("\n").toSorted()).toEqual(["tmp", "var/lock", "var/tmp"]);
  expect((await stat(join(root, "app", "dist"))).uid).toBe(0);
});

/** Type, mode, owner, size, time and name of each file, but for what a container gets from whoever runs it. */
async function filesOf(at: string): Promise<string[]> {
  const mounted = ["proc", "sys", "dev", "run", "shared", "etc/hosts", "etc/resolv.conf", "etc/hostname"];
  const pruned = mounted.flatMap((name) => ["-path", join(at, name), "-prune", "-o"]);
  // Of a directory that holds places for mounts the time is no matter: what came or went in it is listed itself.
  const listed = ["(", "-type", "d", "-printf", "%y %m %U %P\n", "-o", "-printf", "%y %m %U %s %T@ %P\n", ")"];
  return (await output("find", [at, "-xdev", ...pruned, ...listed])).trimEnd().split("\n");
}

/** The processes that were started to serve metrics at that port, without the builder's own. */
async function pidsOf(port: number): Promise<number[]> {
  const found = await output("pgrep", ["-f", `^/nodejs/bin/node .* -+metrics-addr=127.0.0.1:${port}`]);
  return found.trim().split("\n").map(Number);
}

async function ownerOf(pid: number | undefined): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/^Uid:\s+(\d+)/m.exec(text)?.[1]);
}
