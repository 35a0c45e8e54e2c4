// The servers under a model-based test, made once for a file: a mount of each engine, a KMS key, relays that can end the
// operator between two calls. Each run has a namespace and paths of its own on them.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, inject } from "vitest";
import { createAuthority } from "../env/certificates.ts";
import { eventually } from "../env/eventually.ts";
import { KmsTestClient } from "../env/kms-client.ts";
import { KubeClient } from "../env/kube-client.ts";
import { renderKubeconfig } from "../env/kubernetes.ts";
import { type Operator, startOperator } from "../env/operator.ts";
import { privateKms } from "../env/private.ts";
import { ProcessGroup } from "../env/processes.ts";
import { mountKv, uniqueName } from "../env/unique.ts";
import { VaultClient } from "../env/vault-client.ts";
import { FaultPoint, startFaultRelay } from "./fault-relay.ts";
import type { Engine } from "./world.ts";

/** So many versions of a secret are kept: all that a run can make. */
const maxVersions = 1_000;

export class Servers implements AsyncDisposable {
  readonly kube: KubeClient;
  readonly vault: VaultClient;
  readonly kms: KmsTestClient;
  readonly point: FaultPoint;
  readonly mounts: Readonly<Record<Engine, string>>;
  readonly #start: (namespace: string) => Promise<Operator>;
  readonly #key: string;
  readonly #ciphertexts = new Map<string, Promise<string>>();
  readonly #cleanUp: AsyncDisposableStack;

  private constructor(
    clients: Pick<Servers, "kube" | "vault" | "kms" | "mounts" | "point">,
    key: string,
    start: (namespace: string) => Promise<Operator>,
    cleanUp: AsyncDisposableStack,
  ) {
    this.kube = clients.kube;
    this.vault = clients.vault;
    this.kms = clients.kms;
    this.mounts = clients.mounts;
    this.point = clients.point;
    this.#key = key;
    this.#start = start;
    this.#cleanUp = cleanUp;
  }

  static async open(): Promise<Servers> {
    const stack = inject("stack");
    const cleanUp = new AsyncDisposableStack();
    const kmsServer = cleanUp.use(await privateKms());
    const kube = cleanUp.adopt(new KubeClient(stack.kubernetes), (it) => it.close());
    const vault = cleanUp.adopt(new VaultClient(stack.vault), (it) => it.close());
    const kms = cleanUp.adopt(new KmsTestClient(kmsServer.info), (it) => it.close());
    const group = cleanUp.adopt(await ProcessGroup.create(), (it) => it.stop());
    const point = new FaultPoint();
    const authority = await createAuthority("relays of the model test");
    const server = await authority.server("relay");
    const { kubernetes } = stack;
    const toKube = cleanUp.use(
      await startFaultRelay({
        upstream: kubernetes.server,
        caPem: kubernetes.caPem,
        client: kubernetes.admin,
        server,
        point,
      }),
    );
    const toVault = cleanUp.use(
      await startFaultRelay({ upstream: stack.vault.address, caPem: stack.vault.caPem, server, point }),
    );
    const caFile = join(group.directory, "relay-ca.crt");
    writeFileSync(caFile, authority.caPem);
    const kubeconfig = join(group.directory, "kubeconfig");
    const user = { token: "the relay has its own" };
    writeFileSync(kubeconfig, renderKubeconfig({ server: toKube.url, caFile, user }), { mode: 0o600 });
    // Of the operator, which is no object's: it outlives namespaces that are being deleted, and so does its record key.
    const home = uniqueName("operator");
    const [v1, v2, key] = await Promise.all([
      mountKv(vault, "v1"),
      mountKv(vault, "v2"),
      kms.createKey(),
      kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: home } }),
    ]);
    // A new KV v2 mount refuses requests until it has set itself up.
    await eventually(() => vault.write(`${v2}/config`, { max_versions: maxVersions }));
    expect((await vault.read(`${v2}/config`)).max_versions).toBe(maxVersions);
    const start = (namespace: string) =>
      startOperator({
        namespace,
        kubeconfig,
        args: ["--sync-period-seconds=0"],
        env: {
          POD_NAMESPACE: home,
          VAULT_ADDR: toVault.url,
          VAULT_CACERT: caFile,
          AWS_ENDPOINT_URL_KMS: kmsServer.info.endpoint,
          // A fault that the SDK sits out would only cost time.
          AWS_MAX_ATTEMPTS: "1",
        },
      });
    // Makes the record key. An object of the same second might be the original's, from before the upgrade.
    await (await start(home)).stop();
    const made = Date.now();
    await eventually(() => expect(Date.now()).toBeGreaterThan(made + 1_000));
    return new Servers({ kube, vault, kms, mounts: { v1, v2 }, point }, key, start, cleanUp);
  }

  /** Starts the operator for one namespace and resolves when it is ready. */
  startOperator(namespace: string): Promise<Operator> {
    return this.#start(namespace);
  }

  /** Ciphertext of a value; the same one each time, so that an edit back to it is none. */
  encrypt(value: string): Promise<string> {
    const known = this.#ciphertexts.get(value) ?? this.kms.encrypt(this.#key, value);
    this.#ciphertexts.set(value, known);
    return known;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanUp.disposeAsync();
  }
}
