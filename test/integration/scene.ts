// What tests of the whole operator share: a namespace, one mount of each engine and a KMS key of their own, the operator
// in front of them, and the questions that they ask: what does the object say, what was told, what is in Vault.
import { expect } from "vitest";
import type { Condition, Status } from "../../src/api/kinds.ts";
import { testEnv } from "../env/context.ts";
import { eventually } from "../env/eventually.ts";
import { JsonClient } from "../env/http.ts";
import { KmsTestClient } from "../env/kms-client.ts";
import type { KmsInfo } from "../env/kms.ts";
import { KubeClient } from "../env/kube-client.ts";
import type { KubernetesInfo } from "../env/kubernetes.ts";
import type { VaultInfo } from "../env/openbao.ts";
import { type Operator, type OperatorOptions, startOperator } from "../env/operator.ts";
import { mountKv, uniqueName } from "../env/unique.ts";
import { VaultClient } from "../env/vault-client.ts";
import { kmsVaultSecret, partialKMSVaultSecret, partialPath, secretPath } from "../gen/manifests.ts";

/** Servers other than the shared ones. */
export interface SceneOptions {
  readonly vault?: VaultInfo;
  readonly kms?: KmsInfo;
  readonly kubernetes?: KubernetesInfo;
}

/** An entry as it stands in `spec.secrets`. */
export interface EntryManifest {
  readonly key: string;
  readonly encryptedSecret: string;
  readonly secretContext?: Readonly<Record<string, string>>;
}

/** What was told about an object. */
export interface Told {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly count: number;
}

const neighbourName = "healthy-neighbour";

/** Makes the namespace, the mounts and the key. */
export async function openScene(options: SceneOptions = {}): Promise<Scene> {
  return new Scene(await sceneParts(options));
}

/** What a scene is made of. */
export async function sceneParts(options: SceneOptions): Promise<SceneParts> {
  const env = testEnv();
  const vault = options.vault === undefined ? env.vault : new VaultClient(options.vault);
  const kms = options.kms === undefined ? env.kms : new KmsTestClient(options.kms);
  const kube = options.kubernetes === undefined ? env.kube : new KubeClient(options.kubernetes);
  const namespace = uniqueName("ns");
  const [v1, v2, key] = await Promise.all([
    mountKv(vault, "v1"),
    mountKv(vault, "v2"),
    kms.createKey(),
    kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } }),
  ]);
  // A new KV v2 mount refuses requests until it has set itself up.
  await eventually(async () => expect(await vault.read(`${v2}/config`)).toBeDefined());
  return { options, vault, kms, kube, namespace, v1, v2, key };
}

/** The servers, and what was made on them. */
export interface SceneParts {
  readonly options: SceneOptions;
  readonly vault: VaultClient;
  readonly kms: KmsTestClient;
  readonly kube: KubeClient;
  readonly namespace: string;
  readonly v1: string;
  readonly v2: string;
  readonly key: string;
}

export class Scene implements AsyncDisposable {
  /** As root. */
  readonly vault: VaultClient;
  readonly kms: KmsTestClient;
  readonly kube: KubeClient;
  readonly namespace: string;
  /** The KV v1 mount. */
  readonly v1: string;
  /** The KV v2 mount. */
  readonly v2: string;
  readonly #options: SceneOptions;
  readonly #key: string;
  #operator: Operator | undefined;
  #rounds = 0;

  constructor({ options, vault, kms, kube, namespace, v1, v2, key }: SceneParts) {
    this.#options = options;
    this.vault = vault;
    this.kms = kms;
    this.kube = kube;
    this.namespace = namespace;
    this.v1 = v1;
    this.v2 = v2;
    this.#key = key;
  }

  /** The operator that `start` started last. */
  get operator(): Operator {
    if (this.#operator === undefined) throw new Error("the operator has not been started");
    return this.#operator;
  }

  /** Starts the operator in front of the scene's servers. */
  async start({ env, ...options }: Partial<OperatorOptions> = {}): Promise<Operator> {
    const { vault, kms, kubernetes } = this.#options;
    const servers = {
      ...(vault && { VAULT_ADDR: vault.address, VAULT_CACERT: vault.caFile, VAULT_TOKEN: vault.rootToken }),
      ...(kms && { AWS_ENDPOINT_URL_KMS: kms.endpoint }),
    };
    this.#operator = await startOperator({
      namespace: this.namespace,
      ...(kubernetes && { kubeconfig: kubernetes.kubeconfig }),
      ...options,
      env: { ...servers, ...env },
    });
    return this.#operator;
  }

  /** An entry whose ciphertext KMS decrypts to `value`. `secretContext` is encrypted with, and stands in the entry. */
  async entry(key: string, value: string, secretContext?: Readonly<Record<string, string>>): Promise<EntryManifest> {
    const encryptedSecret = await this.encrypt(value, secretContext);
    return { key, encryptedSecret, ...(secretContext && { secretContext }) };
  }

  /** @returns base64 of the ciphertext */
  encrypt(value: string | Uint8Array, secretContext: Readonly<Record<string, string>> = {}): Promise<string> {
    return this.kms.encrypt(this.#key, value, secretContext);
  }

  /** Creates a KMSVaultSecret. */
  async create(name: string, spec: object, metadata: object = {}): Promise<void> {
    await this.kube.create(kmsVaultSecret({ namespace: this.namespace, name }, spec, metadata));
  }

  async createPartial(name: string, spec: object): Promise<void> {
    await this.kube.create(partialKMSVaultSecret({ namespace: this.namespace, name }, spec));
  }

  /** Merges into the spec of a KMSVaultSecret: null removes a field, lists are replaced. */
  async edit(name: string, spec: object): Promise<void> {
    await this.kube.patch(secretPath({ namespace: this.namespace, name }), { spec });
  }

  async editPartial(name: string, spec: object): Promise<void> {
    await this.kube.patch(partialPath({ namespace: this.namespace, name }), { spec });
  }

  async deletePartial(name: string): Promise<void> {
    await this.kube.delete(partialPath({ namespace: this.namespace, name }));
  }

  async delete(name: string): Promise<void> {
    await this.kube.delete(secretPath({ namespace: this.namespace, name }));
  }

  /** Asks the operator to look at an object now. */
  async request(name: string): Promise<void> {
    this.#rounds += 1;
    const annotations = { "k8s.patoarvizu.dev/reconcile-requested-at": String(this.#rounds) };
    await this.kube.patch(secretPath({ namespace: this.namespace, name }), { metadata: { annotations } });
  }

  /** Resolves when the operator has ended so many reconciles since its start. */
  async untilReconciled(count: number): Promise<void> {
    await eventually(async () => {
      expect(await this.operator.metric("controller_runtime_reconcile_total")).toBeGreaterThanOrEqual(count);
    });
  }

  /** Asks the operator to look at an object, and resolves when a reconcile has ended since. */
  async look(name: string): Promise<void> {
    const before = await this.operator.metric("controller_runtime_reconcile_total");
    await this.request(name);
    await this.untilReconciled(before + 1);
  }

  /** Resolves when the object is gone. */
  async untilGone(name: string): Promise<void> {
    await eventually(async () => {
      expect(await this.kube.find(secretPath({ namespace: this.namespace, name }))).toBeUndefined();
    });
  }

  async status(name: string): Promise<Status> {
    return (await this.kube.get(secretPath({ namespace: this.namespace, name }))).status ?? {};
  }

  /**
   * The Ready condition, once it has that reason for what the object says now.
   * @throws AssertionError with the condition that it has instead, after 20 s
   */
  async untilReady(name: string, reason: string): Promise<Condition> {
    return eventually(
      async () => {
        const { metadata, status } = await this.kube.get(secretPath({ namespace: this.namespace, name }));
        const ready = (status?.conditions as Condition[] | undefined)?.find(({ type }) => type === "Ready");
        expect(ready).toMatchObject({
          status: reason === "Synced" ? "True" : "False",
          reason,
          observedGeneration: metadata.generation,
        });
        return ready as Condition;
      },
      { timeoutMs: 20_000 },
    );
  }

  /** Everything that was told about an object. */
  async events(name: string): Promise<Told[]> {
    const events = await this.kube.list({ apiVersion: "v1", plural: "events", namespace: this.namespace });
    return events.filter(({ involvedObject }) => involvedObject.name === name);
  }

  /** Resolves when the event is there. */
  async untilTold(name: string, event: { readonly reason: string; readonly message?: unknown }): Promise<void> {
    await eventually(async () => {
      expect(await this.events(name)).toContainEqual(expect.objectContaining({ type: "Warning", ...event }));
    });
  }

  /** The data at a path of the KV v1 mount. */
  atV1(path: string): Promise<Readonly<Record<string, unknown>> | undefined> {
    return this.vault.read(`${this.v1}/${path}`);
  }

  /** The data at a path of the KV v2 mount, latest version. */
  async atV2(path: string): Promise<Readonly<Record<string, unknown>> | undefined> {
    return (await this.vault.read(`${this.v2}/data/${path}`))?.data;
  }

  /** The latest version of a path of the KV v2 mount. */
  async versionOf(path: string): Promise<number | undefined> {
    return (await this.vault.read(`${this.v2}/metadata/${path}`))?.current_version;
  }

  /** Gives a healthy object a new value and resolves when that is in Vault: the others go on. */
  async expectNeighbourGoesOn(): Promise<void> {
    this.#rounds += 1;
    const value = `round ${this.#rounds}`;
    const secrets = [await this.entry("n", value, { app: "neighbour", tier: "test" })];
    const manifest = kmsVaultSecret(
      { namespace: this.namespace, name: neighbourName },
      {
        path: `${this.v2}/data/neighbour`,
        secrets,
      },
    );
    await this.kube.apply(manifest);
    await eventually(async () => expect(await this.atV2("neighbour")).toEqual({ n: value }));
  }

  /** The operator lives, and came upon nothing that it did not expect. */
  async expectUnharmed(): Promise<void> {
    const client = new JsonClient(this.operator.metricsUrl);
    try {
      expect((await client.ask({ method: "GET", path: "/healthz" })).status).toBe(200);
    } finally {
      await client.close();
    }
    const lines = this.operator.output().split("\n");
    expect(lines.filter((line) => /InternalError|unexpected error/.test(line))).toEqual([]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#operator?.stop();
    await Promise.all([this.vault.close(), this.kms.close(), this.kube.close()]);
  }
}
