// A scene (scene.ts) for tests of behaviour: with a KMS of its own, so that its counters count this operator's calls
// alone, and with the verbs in which a behaviour is told: apply, sync, poke, forge, remove.
import { expect, inject } from "vitest";
import { type AuditedRequest, type AuditMark, auditMark, auditRequests } from "../env/audit.ts";
import { eventually } from "../env/eventually.ts";
import type { OperatorOptions } from "../env/operator.ts";
import { privateKms } from "../env/private.ts";
import { uniqueName } from "../env/unique.ts";
import { kmsVaultSecret, partialKMSVaultSecret, secretPath } from "../gen/manifests.ts";
import { type EntryManifest, Scene, type SceneOptions, type SceneParts, sceneParts } from "./scene.ts";

// oxlint-disable-next-line typescript/no-explicit-any -- answers of real servers, looked into by tests only
type Answer = any;

/** A KV engine; `world[engine]` is the mount of it. */
export type Engine = "v1" | "v2";

/** Both, for tests that hold on either. */
export const engines: readonly Engine[] = ["v1", "v2"];

/** How the operator is started, each time, and on which servers. */
export interface WorldOptions extends Partial<OperatorOptions> {
  readonly servers?: SceneOptions;
}

/** An event, as far as tests look at it. */
export interface EventSeen {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly component: string;
}

/** Brings everything up, the operator too. `await using` ends it all. */
export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const world = await openWorld(options);
  await world.start();
  return world;
}

/** Brings up everything but the operator. */
export async function openWorld({ servers = {}, ...start }: WorldOptions = {}): Promise<World> {
  const kms = await privateKms();
  const parts = await sceneParts({ kms: kms.info, ...servers });
  // A new KV v2 mount refuses requests until it has set itself up.
  await eventually(async () => expect(await parts.vault.read(`${parts.v2}/config`)).toBeDefined());
  return new World(parts, start, async () => kms[Symbol.asyncDispose]());
}

export class World extends Scene {
  readonly #start: Partial<OperatorOptions>;
  readonly #stopKms: () => Promise<void>;

  constructor(parts: SceneParts, start: Partial<OperatorOptions>, stopKms: () => Promise<void>) {
    super(parts);
    this.#start = start;
    this.#stopKms = stopKms;
  }

  override start(changes: Partial<OperatorOptions> = {}) {
    return super.start({ ...this.#start, ...changes, env: { ...this.#start.env, ...changes.env } });
  }

  /** Stops the operator and starts it again. */
  async restart(changes: Partial<OperatorOptions> = {}): Promise<void> {
    await this.operator.stop();
    await this.start(changes);
  }

  /** Entries of several values, encrypted without a context. */
  entries(values: Readonly<Record<string, string>>): Promise<EntryManifest[]> {
    return Promise.all(Object.entries(values).map(([key, value]) => this.entry(key, value)));
  }

  /** Applies a KMSVaultSecret; fields that the last apply had and this one lacks are removed. */
  apply(name: string, spec: object, metadata: object = {}): Promise<Answer> {
    return this.kube.apply(kmsVaultSecret({ namespace: this.namespace, name }, spec, metadata));
  }

  applyPartial(name: string, spec: object): Promise<Answer> {
    return this.kube.apply(partialKMSVaultSecret({ namespace: this.namespace, name }, spec));
  }

  get(name: string): Promise<Answer> {
    return this.kube.get(secretPath({ namespace: this.namespace, name }));
  }

  /** Waits until the operator found the present generation to be `reason`; returns the object. */
  async settled(name: string, reason = "Synced"): Promise<Answer> {
    try {
      await this.untilReady(name, reason);
    } catch (error) {
      const output = this.operator.output().trimEnd().split("\n").slice(-10).join("\n");
      throw new Error(`${(error as Error).message}; the operator's last words:\n${output}`, { cause: error });
    }
    return this.get(name);
  }

  /** Applies a KMSVaultSecret, waits until it is in Vault, and returns it. */
  async sync(name: string, spec: object, metadata: object = {}): Promise<Answer> {
    await this.apply(name, spec, metadata);
    return this.settled(name);
  }

  annotate(name: string, annotations: Readonly<Record<string, string>>): Promise<Answer> {
    return this.kube.patch(secretPath({ namespace: this.namespace, name }), { metadata: { annotations } });
  }

  /** Changes the status as anyone may who may patch statuses; null wipes it. */
  forge(name: string, status: object | null): Promise<Answer> {
    const path = { ...secretPath({ namespace: this.namespace, name }), subresource: "status" };
    return this.kube.patch(path, { status });
  }

  /** Asks for a look at an object, and waits until a reconcile has ended. For worlds without a resync. */
  async poke(name: string): Promise<void> {
    const before = await this.reconciles();
    await this.request(name);
    await eventually(async () => expect(await this.reconciles()).toBeGreaterThan(before));
  }

  /** Reconciles that have ended since the start of the operator. */
  reconciles(): Promise<number> {
    return this.operator.metric("controller_runtime_reconcile_total");
  }

  /** Decryptions that KMS was asked for. */
  async decryptions(): Promise<number> {
    return (await this.kms.calls()).operations["Decrypt"] ?? 0;
  }

  /** Deletes an object and waits until it is gone. */
  async remove(name: string): Promise<void> {
    await this.delete(name);
    await this.untilGone(name);
  }

  /** Writes to KV v2 as somebody else. */
  async foreignV2(path: string, data: object): Promise<void> {
    await this.vault.write(`${this.v2}/data/${path}`, { data });
  }

  /** Writes to KV v1 as somebody else. */
  async foreignV1(path: string, data: object): Promise<void> {
    await this.vault.write(`${this.v1}/${path}`, data);
  }

  /** The data at a path below a mount of this world, latest version. */
  at(engine: Engine, path: string): Promise<Answer> {
    return engine === "v1" ? this.atV1(path) : this.atV2(path);
  }

  /** Writes as somebody else. */
  foreign(engine: Engine, path: string, data: object): Promise<void> {
    return engine === "v1" ? this.foreignV1(path, data) : this.foreignV2(path, data);
  }

  /** What KV v2 knows about a path beside the data; undefined when there is none. */
  metadataOf(path: string): Promise<Answer> {
    return this.vault.read(`${this.v2}/metadata/${path}`);
  }

  /** The custom_metadata of a KV v2 path, where the mark stands; {} when there is none. */
  async customOf(path: string): Promise<Readonly<Record<string, string>>> {
    return (await this.metadataOf(path))?.custom_metadata ?? {};
  }

  /** Puts other custom_metadata in the place of what stands there, as somebody else. */
  async foreignCustom(path: string, custom: Readonly<Record<string, string>>): Promise<void> {
    await this.vault.write(`${this.v2}/metadata/${path}`, { custom_metadata: custom });
  }

  /** What a mark calls this cluster. */
  async clusterId(): Promise<string> {
    const system = await this.kube.get({ apiVersion: "v1", plural: "namespaces", name: "kube-system" });
    return system.metadata.uid;
  }

  /** The finalizers of an object. */
  async finalizersOf(name: string): Promise<readonly string[]> {
    return (await this.get(name)).metadata.finalizers ?? [];
  }

  /**
   * A Vault token with these rights and no others, not even those of the policy "default".
   * @param rules API path → capabilities
   */
  async tokenWith(rules: Readonly<Record<string, readonly string[]>>): Promise<string> {
    const policy = uniqueName("policy");
    const path = Object.fromEntries(Object.entries(rules).map(([at, capabilities]) => [at, { capabilities }]));
    await this.vault.write(`sys/policies/acl/${policy}`, { policy: JSON.stringify({ path }) });
    const { auth } = await this.vault.write("auth/token/create", { policies: [policy], no_default_policy: true });
    return auth.client_token;
  }

  /**
   * A Vault token with every right on the mounts of this world, but for what the rules say.
   * @param rules API path → capabilities
   */
  tokenForAllBut(rules: Readonly<Record<string, readonly string[]>>): Promise<string> {
    const everything = ["create", "read", "update", "patch", "delete", "list"];
    const mounts = { [`${this.v1}/*`]: everything, [`${this.v2}/*`]: everything };
    return this.tokenWith({ ...mounts, "sys/internal/ui/mounts/*": ["read"], ...rules });
  }

  /** Brings an object that merges these keys into Vault. */
  async merged(
    name: string,
    path: string,
    values: Readonly<Record<string, string>>,
    spec: object = {},
  ): Promise<Answer> {
    return this.sync(name, { path, writeMode: "Merge", secrets: await this.entries(values), ...spec });
  }

  /** What Vault was asked about the mounts of this world since a mark. */
  async asked(since: AuditMark): Promise<AuditedRequest[]> {
    const { vault } = inject("stack");
    const path = new RegExp(`^(${this.v1}|${this.v2})/|ui/mounts/(${this.v1}|${this.v2})`);
    return auditRequests(vault, { path, since });
  }

  mark(): Promise<AuditMark> {
    return auditMark(inject("stack").vault);
  }

  /** The events of an object. */
  async seen(name: string): Promise<EventSeen[]> {
    const events: Answer[] = await this.events(name);
    return events.map(({ type, reason, message, source }) => ({ type, reason, message, component: source.component }));
  }

  /** Waits for an event of an object. */
  async event(name: string, reason: string, containing = ""): Promise<EventSeen> {
    return eventually(async () => {
      const events = await this.seen(name);
      const found = events.find((event) => event.reason === reason && event.message.includes(containing));
      expect(found, `event ${reason} among ${JSON.stringify(events)}`).toBeDefined();
      return found as EventSeen;
    });
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await this.#stopKms();
  }
}

/** Resolves when whatever is created from now on is younger than the object: Kubernetes counts whole seconds. */
export async function untilOlder({
  metadata,
}: {
  readonly metadata: { readonly creationTimestamp: string };
}): Promise<void> {
  const next = Date.parse(metadata.creationTimestamp) + 1_000;
  await eventually(() => expect(Date.now()).toBeGreaterThan(next));
}

/** A condition of an object, or undefined. */
export function condition(object: Answer, type: string): Answer {
  return object.status?.conditions?.find((one: Answer) => one.type === type);
}
