// The objects of a chaos test and the ledger of what was asked of them: each edit writes the next number, so what Vault
// holds, and in KV v2 held, says which edits came through, in which order and when.
import { isDeepStrictEqual } from "node:util";
import type { ObjectPath } from "../env/kube-client.ts";
import type { EntryManifest } from "../integration/scene.ts";
import { kmsVaultSecret, partialKMSVaultSecret, partialPath, secretPath } from "../gen/manifests.ts";
import { adoptAnnotation, deleteFinalizer } from "../../src/api/kinds.ts";
import { eventually } from "../env/eventually.ts";
import { type Account, accountOf, type Edit, inTurns, versionsOf } from "./account.ts";
import type { ChaosWorld } from "./world.ts";

/** An object, and what was asked of it. */
interface Member {
  readonly name: string;
  readonly engine: "v1" | "v2";
  /** Entries that never change. */
  readonly constant: readonly EntryManifest[];
  /** Number of the last edit, whether or not it has been accepted yet. */
  last: number;
  readonly edits: Edit[];
  /** Whether it includes the Partial. */
  readonly isIncluding: boolean;
  /** The changes of one object happen one after the other. */
  changed: Promise<void>;
}

const partialName = "shared";

interface PopulationParts {
  readonly world: Pick<ChaosWorld, "kube" | "vault" | "kms" | "namespace">;
  readonly mounts: { readonly v1: string; readonly v2: string };
  /** KMS key. */
  readonly key: string;
}

export class Population {
  readonly mounts: PopulationParts["mounts"];
  readonly #world: PopulationParts["world"];
  readonly #key: string;
  readonly #members: Member[] = [];
  /** Objects that come to be deleted, with what they have in Vault: those that are there, and those that have left. */
  readonly #guests: string[] = [];
  readonly #departed: string[] = [];
  #partialLast = 0;
  #turn = 0;

  constructor({ world, mounts, key }: PopulationParts) {
    this.#world = world;
    this.mounts = mounts;
    this.#key = key;
  }

  get size(): number {
    return this.#members.length;
  }

  /** What a look at each object that is in sync asks of Vault: KV v1 the data, KV v2 the metadata. */
  get looks(): readonly string[] {
    const { v1, v2 } = this.mounts;
    return this.#members.map(({ name, engine }) => `read ${engine === "v1" ? v1 : `${v2}/metadata`}/${name}`);
  }

  /** Edits accepted from then to then, ms since the epoch. */
  acceptedWithin(from: number, to: number): number {
    return this.#members.flatMap(({ edits }) => edits).filter(({ acceptedAt: at }) => at >= from && at <= to).length;
  }

  /** Of every object, in order of their names. */
  async resourceVersions(): Promise<string[]> {
    return (await this.#list()).map(({ metadata }) => metadata.resourceVersion);
  }

  /** Makes the Partial, which one object in ten includes, and so many objects of three keys each. */
  async create(count: number): Promise<void> {
    const partial = { namespace: this.#world.namespace, name: partialName };
    await this.#world.kube.create(partialKMSVaultSecret(partial, await this.#partialSpec()));
    await inTurns(
      Array.from({ length: count }, (_, number) => number),
      (number) => this.#createOne(number),
    );
  }

  /** Gives the next object in turn its next number, and goes on trying until the API server has accepted it. */
  async edit(): Promise<void> {
    const member = this.#member(this.#turn);
    this.#turn += 1;
    await this.#change(member, async () => {
      member.last += 1;
      const number = member.last;
      const secrets = [await this.#counter(number), ...member.constant];
      await eventually(() => this.#world.kube.patch(this.#path(member.name), { spec: { secrets } }), {
        timeoutMs: 60_000,
        everyMs: 100,
      });
      member.edits.push({ number, acceptedAt: Date.now() });
    });
  }

  /** Gives the Partial, and so each object that includes it, the next number. */
  async editPartial(): Promise<void> {
    this.#partialLast += 1;
    const path = partialPath({ namespace: this.#world.namespace, name: partialName });
    await this.#world.kube.patch(path, { spec: await this.#partialSpec() });
  }

  /** A new object arrives; from the tenth on the one that came first is deleted, and has to leave nothing in Vault. */
  async comeAndGo(): Promise<void> {
    const { kube, namespace } = this.#world;
    const name = `guest-${this.#guests.length + this.#departed.length}`;
    const spec = { path: `${this.mounts.v2}/data/${name}`, secrets: [await this.#counter(0)] };
    await kube.create(kmsVaultSecret({ namespace, name }, spec, { finalizers: [deleteFinalizer] }));
    this.#guests.push(name);
    if (this.#guests.length > 10) await this.#depart();
  }

  /** The guests that are left are deleted. */
  async allGo(): Promise<void> {
    while (this.#guests.length > 0) await this.#depart();
  }

  /** Changes an object's data in Vault as somebody else would. */
  async drift(index: number): Promise<void> {
    const member = this.#member(index);
    const data = { counter: "-1", drifted: "yes" };
    if (member.engine === "v1") await this.#world.vault.write(`${this.mounts.v1}/${member.name}`, data);
    else await this.#world.vault.write(`${this.mounts.v2}/data/${member.name}`, { data });
  }

  /** Deletes an object and makes it again, under the same name. */
  async remake(index: number): Promise<void> {
    const member = this.#member(index);
    await this.#change(member, async () => {
      await this.#world.kube.delete(this.#path(member.name));
      // Another object of that name owns nothing of the first, and an edit may not have reached Vault before.
      const { metadata, ...manifest } = await this.#manifest(member);
      const annotations = { [adoptAnnotation]: "true" };
      await this.#world.kube.create({ ...manifest, metadata: { ...metadata, annotations } });
    });
  }

  /**
   * Resolves when every object is Ready for its present generation and Vault holds its last number.
   * @throws Error that names some of those that are not, and why
   */
  async untilConverged(timeoutMs: number): Promise<void> {
    await eventually(
      async () => {
        const open = (await this.#unready()) ?? [...(await this.#different()), ...(await this.#remaining())];
        if (open.length > 0) throw new Error(`${open.length} objects differ: ${open.slice(0, 3).join("; ")}`);
      },
      { timeoutMs, everyMs: 100 },
    );
  }

  /** What became of the edits. @param from @param to ms since the epoch: which of them count for `worstMs` */
  async account(from: number, to: number): Promise<Account> {
    const members = this.#members.filter(({ engine }) => engine === "v2");
    const accounts = await inTurns(members, async ({ name, edits }) =>
      accountOf(edits, await versionsOf(this.#world.vault, this.mounts.v2, name), { from, to }),
    );
    const worst = accounts.map(({ worstMs }) => worstMs).filter((ms) => ms !== undefined);
    return {
      lost: accounts.reduce((sum, { lost }) => sum + lost, 0),
      inversions: accounts.reduce((sum, { inversions }) => sum + inversions, 0),
      worstMs: worst.length === 0 ? undefined : Math.max(...worst),
    };
  }

  #change(member: Member, change: () => Promise<void>): Promise<void> {
    const changed = member.changed.then(change);
    member.changed = changed;
    return changed;
  }

  #path(name: string): ObjectPath {
    return secretPath({ namespace: this.#world.namespace, name });
  }

  #member(index: number): Member {
    const member = this.#members[index % this.#members.length];
    if (member === undefined) throw new Error("there are no objects");
    return member;
  }

  async #createOne(number: number): Promise<void> {
    const name = `object-${number}`;
    const constant = await Promise.all(
      ["left", "right"].map(async (key) => ({ key, encryptedSecret: await this.#encrypt(`${name}'s ${key}`) })),
    );
    const engine = number % 20 === 19 ? "v1" : "v2";
    const member: Member = {
      name,
      engine,
      constant,
      last: 0,
      edits: [],
      isIncluding: number % 10 === 0,
      changed: Promise.resolve(),
    };
    await this.#world.kube.create(await this.#manifest(member));
    this.#members.push(member);
  }

  async #manifest(member: Member) {
    const { name, engine, constant, last, isIncluding } = member;
    const path = engine === "v1" ? `${this.mounts.v1}/${name}` : `${this.mounts.v2}/data/${name}`;
    const secrets = [await this.#counter(last), ...constant];
    const spec = { path, secrets, ...(isIncluding && { includeSecrets: [partialName] }) };
    return kmsVaultSecret({ namespace: this.#world.namespace, name }, spec);
  }

  async #partialSpec(): Promise<object> {
    return { secrets: [{ key: "shared", encryptedSecret: await this.#encrypt(String(this.#partialLast)) }] };
  }

  async #depart(): Promise<void> {
    const [name] = this.#guests.splice(0, 1);
    if (name === undefined) return;
    await this.#world.kube.delete(this.#path(name));
    this.#departed.push(name);
  }

  async #counter(number: number): Promise<EntryManifest> {
    return { key: "counter", encryptedSecret: await this.#encrypt(String(number)) };
  }

  #encrypt(value: string): Promise<string> {
    return this.#world.kms.encrypt(this.#key, value);
  }

  async #list() {
    const { name: _, ...collection } = this.#path("");
    return this.#world.kube.list(collection);
  }

  /** Undefined when all are Ready. */
  async #unready(): Promise<string[] | undefined> {
    const open = (await this.#list()).flatMap(({ metadata, status }) => {
      const ready = status?.conditions?.find(({ type }: { type: string }) => type === "Ready");
      const isCurrent = ready?.status === "True" && ready.observedGeneration === metadata.generation;
      return isCurrent ? [] : [`${metadata.name} is ${ready?.reason} at ${ready?.observedGeneration}`];
    });
    return open.length === 0 ? undefined : open;
  }

  async #different(): Promise<string[]> {
    const open = await inTurns(this.#members, async ({ name, engine, last, isIncluding }) => {
      const { v1, v2 } = this.mounts;
      const found = await this.#world.vault.read(engine === "v1" ? `${v1}/${name}` : `${v2}/data/${name}`);
      const expected = {
        counter: String(last),
        left: `${name}'s left`,
        right: `${name}'s right`,
        ...(isIncluding && { shared: String(this.#partialLast) }),
      };
      const data = engine === "v1" ? found : found?.data;
      return isDeepStrictEqual(data, expected) ? [] : [`${name} has ${data?.counter} for ${last}`];
    });
    return open.flat();
  }

  /** What departed guests have left. */
  async #remaining(): Promise<string[]> {
    const paths = new Set(await this.#world.vault.list(`${this.mounts.v2}/metadata`));
    const objects = new Set((await this.#list()).map(({ metadata }) => metadata.name));
    return this.#departed
      .filter((name) => paths.has(name) || objects.has(name))
      .map((name) => `${name} is still there`);
  }
}
