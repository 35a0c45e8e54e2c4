// The objects of a run. What they hold is a handful of ciphertexts over and over: a Decrypt costs the same whatever it
// is asked, and encrypting 50,000 values would take longer than everything that is measured.
import pLimit from "p-limit";
import { apiVersion } from "../src/api/kinds.ts";
import { kmsVaultSecret } from "../test/gen/manifests.ts";
import type { Cluster, Place } from "./cluster.ts";

const creators = 24;
const folder = "apps";

export class Population {
  readonly place: Place;
  readonly keys: number;
  readonly #cluster: Cluster;
  readonly #ciphertexts: readonly string[];
  #count = 0;
  /** By object: edits so far. */
  readonly #edits = new Map<number, number>();

  private constructor(cluster: Cluster, place: Place, keys: number, ciphertexts: readonly string[]) {
    this.#cluster = cluster;
    this.place = place;
    this.keys = keys;
    this.#ciphertexts = ciphertexts;
  }

  static async create(cluster: Cluster, engine: "v1" | "v2", keys: number): Promise<Population> {
    const keyId = await cluster.kms.createKey();
    const values = Array.from({ length: 16 }, (_, index) => `a secret of ordinary length, number ${index}`);
    const ciphertexts = await Promise.all(values.map((value) => cluster.kms.encrypt(keyId, value)));
    return new Population(cluster, await cluster.place(engine), keys, ciphertexts);
  }

  get count(): number {
    return this.#count;
  }

  nameOf(index: number): string {
    return `object-${String(index).padStart(5, "0")}`;
  }

  /** Logical path of an object's data. */
  pathOf(index: number): string {
    return `${folder}/${this.nameOf(index)}`;
  }

  /** Path of a write to it, as the audit log tells it. */
  writePathOf(index: number): string {
    return this.#apiPathOf("data/", index);
  }

  /** Path of the look at it that begins each reconcile. */
  readPathOf(index: number): string {
    return this.#apiPathOf("metadata/", index);
  }

  /** Whether a path of the audit log is that of one of the objects, and not one of the mount's own. */
  isOfObject(path: string): boolean {
    return path.startsWith(`${this.place.mount}/`) && path.includes(`/${folder}/`);
  }

  /** Adds objects until there are `count`. */
  async grow(count: number): Promise<void> {
    const limit = pLimit(creators);
    const { namespace } = this.place;
    const missing = Array.from({ length: Math.max(0, count - this.#count) }, (_, index) => this.#count + index);
    await Promise.all(
      missing.map((index) =>
        limit(() => {
          const manifest = kmsVaultSecret({ namespace, name: this.nameOf(index) }, this.#specOf(index));
          return this.#cluster.kubeRequest("POST", `${collection(namespace)}?fieldManager=bench`, manifest);
        }),
      ),
    );
    this.#count = Math.max(this.#count, count);
  }

  /** Gives an object another value of its first key. */
  async edit(index: number): Promise<void> {
    const edits = (this.#edits.get(index) ?? 0) + 1;
    this.#edits.set(index, edits);
    const [first, ...others] = this.#entries(index);
    const secrets = [{ ...first, encryptedSecret: this.ciphertext(index + edits) }, ...others];
    const { namespace } = this.place;
    await this.#cluster.kubeRequest("PATCH", `${collection(namespace)}/${this.nameOf(index)}`, { spec: { secrets } });
  }

  #apiPathOf(ofV2: string, index: number): string {
    const { mount, engine } = this.place;
    return `${mount}/${engine === "v2" ? ofV2 : ""}${this.pathOf(index)}`;
  }

  #specOf(index: number): object {
    return {
      path: this.writePathOf(index),
      // The original has to be told; ours finds out.
      ...(this.place.engine === "v1" && { kvSettings: { engineVersion: "v1" } }),
      secrets: this.#entries(index),
    };
  }

  #entries(index: number): { key: string; encryptedSecret: string }[] {
    return Array.from({ length: this.keys }, (_, key) => ({
      key: `key-${key}`,
      encryptedSecret: this.ciphertext(index + key),
    }));
  }

  /** One of the ciphertexts, base64. */
  ciphertext(index: number): string {
    return this.#ciphertexts[index % this.#ciphertexts.length] ?? "";
  }
}

function collection(namespace: string): string {
  return `/apis/${apiVersion}/namespaces/${namespace}/kmsvaultsecrets`;
}
