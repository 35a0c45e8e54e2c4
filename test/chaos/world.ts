// What is thrown into disorder: a stack of its own, toxiproxy in front of its three servers, the operator as a real
// process behind that, with its credentials in files, and some hundred objects. The test itself reaches the servers
// directly, so that it can edit and look while the operator cannot.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { timedProgress } from "../../tools/toolchain/progress.ts";
import { resolveToolchain } from "../../tools/toolchain/resolve.ts";
import { eventually } from "../env/eventually.ts";
import { KmsTestClient } from "../env/kms-client.ts";
import { KubeClient } from "../env/kube-client.ts";
import { type KubernetesInfo, renderKubeconfig } from "../env/kubernetes.ts";
import { type Operator, type OperatorOptions, startOperator } from "../env/operator.ts";
import { type Private, privateStack } from "../env/private.ts";
import { ProcessGroup } from "../env/processes.ts";
import { installServiceAccount } from "../env/service-account.ts";
import type { Stack } from "../env/stack.ts";
import { type Relay, startRelay } from "../env/relay.ts";
import { type Link, startToxiproxy } from "../env/toxiproxy.ts";
import { mountKv, uniqueName } from "../env/unique.ts";
import { VaultClient } from "../env/vault-client.ts";
import { Population } from "./population.ts";

/** The ways from the operator to its servers. */
export interface Links {
  readonly kubernetes: Link;
  readonly vault: Link;
  readonly kms: Link;
}

export interface ChaosOptions {
  /** Objects; one in twenty lives on KV v1, the others on KV v2. */
  readonly objects?: number;
  /** How the operator logs in to the API server: a client certificate, or the token file of its service account. */
  readonly login?: "certificate" | "token";
  /** A relay before the proxies of Vault and KMS, which can lose connections. It hides a refused connection. */
  readonly isRelayed?: boolean;
}

/** A resync of every object so often: quiet times are counted in it. */
export const syncPeriodSeconds = 5;

/** Starts everything and resolves when every object is in Vault. `await using` ends it. */
export async function startChaos(options: ChaosOptions = {}): Promise<ChaosWorld> {
  const { "toxiproxy-server": program } = await resolveToolchain(["toxiproxy-server"], timedProgress(process.stderr));
  const cleanUp = new AsyncDisposableStack();
  try {
    const stack: Private<Stack> = cleanUp.use(await privateStack());
    const group = cleanUp.adopt(await ProcessGroup.create(), (it) => it.stop());
    const toxiproxy = await startToxiproxy(group, program);
    const { kubernetes, vault, kms } = stack.info;
    const [toKubernetes, toVault, toKms] = await Promise.all([
      toxiproxy.link("kubernetes", new URL(kubernetes.server).host),
      toxiproxy.link("vault", new URL(vault.address).host),
      toxiproxy.link("kms", new URL(kms.endpoint).host),
    ]);
    const links = { kubernetes: toKubernetes, vault: toVault, kms: toKms };
    const relays: Relay[] = [];
    if (options.isRelayed) {
      for (const { address } of [toVault, toKms]) relays.push(cleanUp.use(await startRelay(address)));
    }
    const world = new ChaosWorld({ stack, links, relays, directory: group.directory, cleanUp });
    await world.setUp(options);
    return world;
  } catch (error) {
    await cleanUp.disposeAsync();
    throw error;
  }
}

interface Parts {
  readonly stack: Stack;
  readonly links: Links;
  /** In front of Vault and KMS, or none. */
  readonly relays: readonly Relay[];
  /** Holds the operator's credentials. */
  readonly directory: string;
  readonly cleanUp: AsyncDisposableStack;
}

export class ChaosWorld implements AsyncDisposable {
  readonly stack: Stack;
  readonly links: Links;
  readonly relays: readonly Relay[];
  readonly kms: KmsTestClient;
  readonly namespace = uniqueName("chaos");
  readonly #directory: string;
  readonly #cleanUp: AsyncDisposableStack;
  #kubernetes: KubernetesInfo;
  #kube: KubeClient;
  #vault: VaultClient;
  #operator: Operator | undefined;
  #population: Population | undefined;
  #restingBytes = 0;

  constructor({ stack, links, relays, directory, cleanUp }: Parts) {
    this.stack = stack;
    this.links = links;
    this.relays = relays;
    this.#directory = directory;
    this.#cleanUp = cleanUp;
    this.#kubernetes = stack.info.kubernetes;
    this.#kube = new KubeClient(this.#kubernetes);
    this.#vault = new VaultClient(stack.info.vault);
    this.kms = new KmsTestClient(stack.info.kms);
  }

  /** As system:masters, directly. */
  get kube(): KubeClient {
    return this.#kube;
  }

  /** How the API server is reached now. */
  get kubernetes(): KubernetesInfo {
    return this.#kubernetes;
  }

  /** As root, directly. */
  get vault(): VaultClient {
    return this.#vault;
  }

  get operator(): Operator {
    if (this.#operator === undefined) throw new Error("the operator has not been started");
    return this.#operator;
  }

  get population(): Population {
    if (this.#population === undefined) throw new Error("there are no objects yet");
    return this.#population;
  }

  /** The operator's memory at rest, after the warm-up, in bytes. */
  get restingBytes(): number {
    return this.#restingBytes;
  }

  /** A file of the operator's credentials: `ca.crt`, `client.crt`, `client.key`, `token`. */
  write(name: string, content: string): string {
    const path = join(this.#directory, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }

  /** Makes the namespace, the mounts and the objects, starts the operator and waits until all is in Vault. */
  async setUp({ objects = 200, login = "certificate" }: ChaosOptions): Promise<void> {
    await this.#kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: this.namespace } });
    const [v1, v2, key] = await Promise.all([
      mountKv(this.#vault, "v1"),
      mountKv(this.#vault, "v2"),
      this.kms.createKey(),
    ]);
    await eventually(async () => expect(await this.#vault.read(`${v2}/config`)).toBeDefined());
    // Every version is kept: they are how lost and inverted edits are found.
    await eventually(() => this.#vault.write(`${v2}/config`, { max_versions: 10_000 }));
    this.#population = new Population({ world: this, mounts: { v1, v2 }, key });
    await this.#population.create(objects);
    await this.#startOperator(await this.#kubeconfig(login));
    await this.#population.untilConverged(60_000);
    await this.#warmUp();
  }

  /** Waits until all is well, and takes the memory of that moment for that at rest. */
  async rest(): Promise<void> {
    await this.population.untilConverged(60_000);
    this.#restingBytes = await this.operator.metric("process_resident_memory_bytes");
  }

  /** The test itself reaches the API server by these credentials from now on. */
  async reachBy(kubernetes: KubernetesInfo): Promise<void> {
    const before = this.#kube;
    this.#kubernetes = kubernetes;
    this.#kube = new KubeClient(kubernetes);
    await before.close();
  }

  /** The test itself trusts this authority for Vault from now on. */
  async reachVaultBy(caPem: string): Promise<void> {
    const before = this.#vault;
    this.#vault = new VaultClient({ ...this.stack.info.vault, caPem });
    await before.close();
  }

  /** The service account's token, new. */
  async token(): Promise<string> {
    return (await installServiceAccount(this.#kube, this.namespace)).token;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#vault.close(), this.kms.close(), this.#kube.close()]);
    await this.#cleanUp.disposeAsync();
  }

  async #kubeconfig(login: "certificate" | "token"): Promise<string> {
    const caFile = this.write("ca.crt", this.stack.info.kubernetes.caPem);
    const user = login === "token" ? { tokenFile: this.write("token", await this.token()) } : await this.#certificate();
    const server = `https://${this.links.kubernetes.address}`;
    return this.write("kubeconfig", renderKubeconfig({ server, caFile, user, namespace: this.namespace }));
  }

  async #certificate(): Promise<Readonly<Record<string, string>>> {
    const { certPem, keyPem } = await this.stack.kubernetes.clientCertificate("operator", "system:masters");
    return {
      "client-certificate": this.write("client.crt", certPem),
      "client-key": this.write("client.key", keyPem),
    };
  }

  async #startOperator(kubeconfig: string): Promise<void> {
    const { vault } = this.stack.info;
    const [toVault, toKms] = this.relays.length > 0 ? this.relays : [this.links.vault, this.links.kms];
    const options: OperatorOptions = {
      namespace: this.namespace,
      // As users start it, with V8 told to keep its memory small.
      built: true,
      kubeconfig,
      args: [`--sync-period-seconds=${syncPeriodSeconds}`],
      env: {
        VAULT_ADDR: `https://${toVault?.address}`,
        VAULT_CACERT: vault.caFile,
        VAULT_TOKEN: vault.rootToken,
        // A stalled request is to be given up while the fault lasts, not a minute later.
        VAULT_CLIENT_TIMEOUT: "5s",
        AWS_ENDPOINT_URL_KMS: `http://${toKms?.address}`,
      },
    };
    this.#operator = this.#cleanUp.use(await startOperator(options));
  }

  /** Edits, and a fault, so that what is compared with is an operator that has worked and has had errors to report. */
  async #warmUp(): Promise<void> {
    const { population, links } = this;
    const editEach = async () => {
      for (let edit = 0; edit < population.size; edit += 1) await population.edit();
    };
    await editEach();
    await Promise.all([links.kms.cut(), links.vault.cut()]);
    await editEach();
    await Promise.all([links.kms.restore(), links.vault.restore()]);
    await this.rest();
  }
}
