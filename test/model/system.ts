// The real thing under the model: carries the steps out on the API server and on Vault, and sees what has come of them.
// It knows nothing of what ought to come of them.
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { HttpError } from "../env/http.ts";
import type { ObjectPath } from "../env/kube-client.ts";
import type { Operator } from "../env/operator.ts";
import { uniqueName } from "../env/unique.ts";
import { kmsVaultSecret, secretPath } from "../gen/manifests.ts";
import type { Seen } from "./belief.ts";
import type { Moment } from "./fault-relay.ts";
import type { Servers } from "./servers.ts";
import { Sight } from "./sight.ts";
import {
  changed,
  created,
  type CreateStep,
  type Facts,
  type ObjectStep,
  type OutsiderStep,
  type Step,
} from "./steps.ts";
import { type Engine, type ObjectName, objectNames, type PlaceName, type Secret } from "./world.ts";

// oxlint-disable-next-line typescript/no-explicit-any -- answers of real servers, looked into by tests only
type Answer = any;

/** What decrypts to nothing: base64, but no ciphertext of any key. */
const garbage = Buffer.from("no ciphertext at all").toString("base64");

/** In place of an answer: the operator has changed the object just before. */
const conflict = Symbol("conflict");

function isConflict({ status, body }: HttpError): boolean {
  return status === 409 && (body as { readonly reason?: unknown }).reason === "Conflict";
}

/**
 * An object that leads nowhere. Watches tell everything in order, so once its last edit has been looked at, the operator
 * has heard of all that happened before.
 */
const sentinel = "sentinel";

const busyMetrics = ["controller_runtime_active_workers", "workqueue_depth"];
const isBusy = new RegExp(String.raw`^(${busyMetrics.join("|")})\{.*\} [^0]`, "m");

export class System implements AsyncDisposable {
  readonly namespace = uniqueName("model");
  readonly #servers: Servers;
  readonly #engines: Readonly<Record<PlaceName, Engine>>;
  /** What each object says, as far as users have a say in it. */
  readonly #said = new Map<ObjectName, Secret>();
  readonly #sight: Sight;
  #operator: Operator | undefined;
  #pokes = 0;

  constructor(servers: Servers, engines: Readonly<Record<PlaceName, Engine>>) {
    this.#servers = servers;
    this.#engines = engines;
    this.#sight = new Sight(servers, engines, this.namespace);
  }

  async open(): Promise<void> {
    const { kube } = this.#servers;
    await kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: this.namespace } });
    await kube.create(
      kmsVaultSecret(
        { namespace: this.namespace, name: sentinel },
        { path: "sys/0", secrets: [{ key: "k", emptySecret: true }] },
      ),
    );
    await this.start();
  }

  /** Starts the operator, which looks at every object then. */
  async start(): Promise<void> {
    this.#servers.point.reset();
    this.#operator = await this.#servers.startOperator(this.namespace);
  }

  /** Lets so many calls pass, then ends the operator. */
  arm(passing: number, moment: Moment): void {
    this.#servers.point.arm(passing, moment, () => this.#operator?.signal("SIGKILL"));
  }

  /** Ends the operator now. */
  kill(): void {
    this.#servers.point.strike(() => this.#operator?.signal("SIGKILL"));
  }

  /** Whether the operator has been ended; then it has, and nothing of it is on its way any more. */
  async hasCrashed(): Promise<boolean> {
    if (!this.#servers.point.hasStruck) return false;
    await this.#operator?.stop("SIGKILL");
    await this.#servers.point.idle();
    return true;
  }

  /** Nothing ends the operator any more, unless it is over with it already. */
  disarm(): void {
    if (!this.#servers.point.hasStruck) this.#servers.point.reset();
  }

  async carryOut(step: Step): Promise<Facts> {
    if (step.do === "kms") {
      await this.#servers.kms.faults(step.up ? {} : { outage: "error", operations: ["Decrypt"] });
      return { done: true };
    }
    if (step.do === "create") return this.#create(step);
    if ("object" in step) return this.#change(step);
    return { done: true, ...(await this.#meddle(step)) };
  }

  /** What the objects say, by name; of those only that are, or may still be, there. */
  get said(): ReadonlyMap<ObjectName, Secret> {
    return this.#said;
  }

  /** Versions at a place, 0 on KV v1. */
  async versionsAt(place: PlaceName): Promise<number> {
    return this.#engines[place] === "v1" ? 0 : (await this.#sight.place(place)).length;
  }

  /** Somebody deletes the namespace: nothing is created in it any more, and its objects are deleted. */
  async terminate(): Promise<void> {
    await this.#servers.kube.delete({ apiVersion: "v1", plural: "namespaces", name: this.namespace });
  }

  /** Asks for a look at each object, and last of all at the sentinel. */
  async poke(): Promise<void> {
    this.#pokes += 1;
    const annotations = { "k8s.patoarvizu.dev/reconcile-requested-at": String(this.#pokes) };
    for (const name of objectNames) {
      await this.#asked(() => this.#servers.kube.patch(this.#path(name), { metadata: { annotations } }));
    }
    await this.#servers.kube.patch(this.#path(sentinel), { spec: { path: `sys/${this.#pokes}` } });
  }

  /** Whether the operator has heard of everything up to the last poke, and has nothing to do any more. */
  async isIdle(): Promise<boolean> {
    const { metadata, status } = await this.#servers.kube.get(this.#path(sentinel));
    if (status?.observedGeneration !== metadata.generation || this.#operator === undefined) return false;
    try {
      const metrics = await this.#operator.metrics();
      return busyMetrics.every((name) => metrics.includes(`\n${name}`)) && !isBusy.test(metrics);
    } catch (error) {
      // It may have ended just now.
      if (this.#servers.point.hasStruck) return false;
      throw error;
    }
  }

  see(): Promise<Seen> {
    return this.#sight.see();
  }

  /** The operator's last words. */
  get words(): string {
    return this.#operator?.output().trimEnd().split("\n").slice(-12).join("\n") ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#servers.point.reset();
    await this.#operator?.stop("SIGKILL");
    await this.#servers.kms.faults({});
  }

  async #create(step: CreateStep): Promise<Facts> {
    const said = created(step, { done: true });
    const metadata = step.finalizer ? { finalizers: [deleteFinalizer] } : {};
    const manifest = kmsVaultSecret(
      { namespace: this.namespace, name: step.object },
      await this.#specOf(said),
      metadata,
    );
    const object = await this.#asked(() => this.#servers.kube.create(manifest));
    if (object === undefined) return { done: false };
    const { uid, creationTimestamp } = object.metadata;
    this.#said.set(step.object, said);
    return { done: true, uid, order: `${creationTimestamp} ${uid}` };
  }

  async #change(step: ObjectStep): Promise<Facts> {
    const before = this.#said.get(step.object);
    const object = await this.#asked(() => this.#servers.kube.get(this.#path(step.object)));
    if (object === undefined || before === undefined) return { done: false };
    const answer = await this.#asked(() => this.#tell(step, object, before));
    if (answer === conflict) return this.#change(step);
    if (answer === undefined) return { done: false };
    this.#said.set(step.object, changed(before, step) ?? before);
    return { done: true };
  }

  async #tell(step: ObjectStep, { metadata }: Answer, before: Secret): Promise<Answer> {
    const { kube } = this.#servers;
    const path = this.#path(step.object);
    const annotated = (name: string, value: string | null) =>
      kube.patch(path, { metadata: { annotations: { [`k8s.patoarvizu.dev/${name}`]: value } } });
    if (step.do === "delete") return kube.delete(path);
    if (step.do === "adopt") return annotated("adopt", step.on ? "true" : null);
    if (step.do === "orphan") return annotated("deletion", step.on ? "orphan" : null);
    if (step.do === "forge")
      return kube.patch({ ...path, subresource: "status" }, { status: await this.#forged(step) });
    if (step.do === "finalizer") {
      const others = (metadata.finalizers ?? []).filter((one: string) => one !== deleteFinalizer);
      const finalizers = step.on ? [...others, deleteFinalizer] : others;
      return kube.patch(path, { metadata: { finalizers, resourceVersion: metadata.resourceVersion } });
    }
    const after = changed(before, step) ?? before;
    return kube.patch(path, { spec: { deletionPolicy: null, suspend: null, ...(await this.#specOf(after)) } });
  }

  async #forged({ object, how }: Extract<ObjectStep, { readonly do: "forge" }>): Promise<object | null> {
    const other = await this.#asked(() => this.#servers.kube.get(this.#path(object === "a" ? "b" : "a")));
    // Where the other has no record, neither has the copy: a patch takes away only what it names.
    if (how === "copied" && other?.status !== undefined) return { record: null, ...other.status };
    if (how === "wiped") return null;
    // Points at where the other object is, or may be.
    const place = this.#said.get(object)?.place === "x" ? "y" : "x";
    const engineVersion = this.#engines[place];
    const where = { mount: this.#servers.mounts[engineVersion], path: this.#pathOf(place), engineVersion };
    return { record: { format: "v1", namespace: "", ...where, version: 1, mac: "AAAA" } };
  }

  async #meddle(step: OutsiderStep): Promise<Pick<Facts, "version">> {
    const { vault, mounts } = this.#servers;
    const at = this.#pathOf(step.place);
    if (this.#engines[step.place] === "v1") {
      if (step.do === "write") await vault.write(`${mounts.v1}/${at}`, step.data);
      if (step.do === "wipe") await vault.delete(`${mounts.v1}/${at}`);
      return {};
    }
    const data = `${mounts.v2}/data/${at}`;
    if (step.do === "write") return { version: (await vault.write(data, { data: step.data })).data.version };
    if (step.do === "softDelete") await vault.delete(data);
    else if (step.do === "wipe") await vault.delete(`${mounts.v2}/metadata/${at}`);
    else {
      const versions = [(await this.#sight.place(step.place)).length];
      if (versions[0] !== 0) await vault.write(`${mounts.v2}/${step.do}/${at}`, { versions });
    }
    return {};
  }

  async #specOf({ place, entries, policy, suspended }: Secret): Promise<object> {
    const engine = this.#engines[place];
    const path = `${this.#servers.mounts[engine]}/${engine === "v2" ? "data/" : ""}${this.#pathOf(place)}`;
    const sorted = Object.entries(entries).toSorted(([one], [other]) => (one < other ? -1 : 1));
    const secrets = await Promise.all(
      sorted.map(async ([key, { value, broken }]) => ({
        key,
        encryptedSecret: broken ? garbage : await this.#servers.encrypt(value),
      })),
    );
    return { path, secrets, ...(policy && { deletionPolicy: policy }), ...(suspended && { suspend: true }) };
  }

  /** The answer; undefined where the API server refuses for what the object is (not). */
  async #asked(ask: () => Promise<Answer>): Promise<Answer> {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      if (isConflict(error)) return conflict;
      if ([403, 404, 409, 422].includes(error.status)) return undefined;
      throw error;
    }
  }

  #path(name: ObjectName | typeof sentinel): ObjectPath {
    return secretPath({ namespace: this.namespace, name });
  }

  /** Below the mount. */
  #pathOf(place: PlaceName): string {
    return `${this.namespace}/${place}`;
  }
}
