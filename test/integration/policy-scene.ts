// What tests of the tenancy policy share: a policy file that is swapped as a kubelet swaps a mounted ConfigMap, and
// objects in namespaces of several tenants.
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import type { Condition } from "../../src/api/kinds.ts";
import { eventually } from "../env/eventually.ts";
import { uniqueName } from "../env/unique.ts";
import { kmsVaultSecret, secretPath } from "../gen/manifests.ts";
import type { World } from "./world.ts";

// oxlint-disable-next-line typescript/no-explicit-any -- answers of real servers, looked into by tests only
type Answer = any;

/** A file below a directory as a kubelet mounts a ConfigMap: `policy.yaml` → `..data/policy.yaml`, `..data` swapped. */
export class MountedPolicy implements AsyncDisposable {
  readonly file: string;
  readonly #directory: string;
  #round = 0;

  constructor(directory: string) {
    this.#directory = directory;
    this.file = join(directory, "policy.yaml");
  }

  /** @param policy the rules, or a text that may be none */
  async swap(policy: readonly object[] | string): Promise<void> {
    this.#round += 1;
    const version = `..version-${this.#round}`;
    await mkdir(join(this.#directory, version));
    const text = typeof policy === "string" ? policy : JSON.stringify({ rules: policy });
    await writeFile(join(this.#directory, version, "policy.yaml"), text);
    await symlink(version, join(this.#directory, "..data_tmp"));
    await rename(join(this.#directory, "..data_tmp"), join(this.#directory, "..data"));
    if (this.#round === 1) await symlink("..data/policy.yaml", this.file);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.#directory, { recursive: true });
  }
}

/** A mounted policy with these rules. */
export async function mountedPolicy(rules: readonly object[]): Promise<MountedPolicy> {
  const mounted = new MountedPolicy(await mkdtemp(join(tmpdir(), "policy-")));
  await mounted.swap(rules);
  return mounted;
}

/** The namespace of a tenant. */
export class Tenant {
  readonly namespace: string;
  readonly #world: World;

  constructor(world: World, namespace: string) {
    this.#world = world;
    this.namespace = namespace;
  }

  async apply(name: string, spec: object, metadata: object = {}): Promise<Answer> {
    const secrets = await this.#world.entries({ k: this.namespace });
    const manifest = kmsVaultSecret({ namespace: this.namespace, name }, { secrets, ...spec }, metadata);
    return this.#world.kube.apply(manifest);
  }

  async get(name: string): Promise<Answer> {
    return this.#world.kube.get(secretPath({ namespace: this.namespace, name }));
  }

  async delete(name: string): Promise<void> {
    await this.#world.kube.delete(secretPath({ namespace: this.namespace, name }));
  }

  async annotate(name: string, annotations: Readonly<Record<string, string>>): Promise<void> {
    await this.#world.kube.patch(secretPath({ namespace: this.namespace, name }), { metadata: { annotations } });
  }

  async untilGone(name: string): Promise<void> {
    const path = secretPath({ namespace: this.namespace, name });
    await eventually(async () => expect(await this.#world.kube.find(path)).toBeUndefined());
  }

  /** The Ready condition, once it has that reason for what the object says now. */
  async settled(name: string, reason = "Synced"): Promise<Condition> {
    return this.told(name, "Ready", reason);
  }

  /** A condition, once it has that reason. */
  async told(name: string, type: string, reason: string): Promise<Condition> {
    return eventually(
      async () => {
        const { metadata, status } = await this.get(name);
        const found = (status?.conditions as Condition[] | undefined)?.find((one) => one.type === type);
        expect(found).toMatchObject({ reason, observedGeneration: metadata.generation });
        return found as Condition;
      },
      { timeoutMs: 20_000 },
    );
  }
}

/** A new namespace with these labels. */
export async function newTenant(world: World, labels: Readonly<Record<string, string>> = {}): Promise<Tenant> {
  const name = uniqueName("tenant");
  await world.kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } });
  return new Tenant(world, name);
}

/** Gives a namespace other labels; null takes one away. */
export async function relabel(
  world: World,
  { namespace }: Tenant,
  labels: Readonly<Record<string, string | null>>,
): Promise<void> {
  await world.kube.patch({ apiVersion: "v1", plural: "namespaces", name: namespace }, { metadata: { labels } });
}
