// Two tenants and their neighbours on one Vault, with a login of the operator's that may do everything: what the ways of
// tenancy-table.ts are tried in. An attempt is one object, applied as its tenant would; what came of it is what the object
// says, what Vault's audit log holds, and what stands in Vault.
import { expect, inject } from "vitest";
import { vaultLoginAnnotation } from "../../src/controller/service-accounts.ts";
import { type AuditedRequest, type AuditMark, auditMark, auditRequests } from "../env/audit.ts";
import { eventually } from "../env/eventually.ts";
import { HttpError } from "../env/http.ts";
import { uniqueName } from "../env/unique.ts";
import { kmsVaultSecret, partialKMSVaultSecret, secretPath } from "../gen/manifests.ts";
import type { Escape } from "./tenancy-table.ts";
import { condition, openWorld, type World } from "./world.ts";

// oxlint-disable-next-line typescript/no-explicit-any -- answers of real servers, looked into by tests only
type Answer = any;

/** What came of an attempt. */
export interface Result {
  /** The reason of Ready or DeletionBlocked; `Refused`: the API server's no; `Gone`: deleted. */
  readonly reason: string;
  readonly message: string;
  /** API paths, with the Vault namespace before them, of all requests for this attempt but the look-ups of mounts. */
  readonly requests: readonly string[];
  /** What the place that was aimed at holds afterwards; on KV v2 also `metadata`. */
  readonly victim: { readonly data: Answer; readonly metadata?: Answer };
  /** What the place of the same name in the own namespace holds. */
  readonly own: Answer;
}

/** Data of the other tenant, as root put it there. */
export const precious = { k: "of b" };

/** Tenants a and b, one whose name begins like a's, and namespaces that each are there for one thing. */
const namespaceNames = ["a", "ab", "b", "bare", "empty", "dotted", "broad", "bound", "owned", "outsider"] as const;

export class TenancyScene implements AsyncDisposable {
  readonly world: World;
  /** What the words in angle brackets of the table stand for. */
  readonly words: Readonly<Record<string, string>>;

  constructor(world: World, words: Readonly<Record<string, string>>) {
    this.world = world;
    this.words = words;
  }

  /** A text, or a tree with texts in it, with the words in angle brackets replaced. `<a:4>`: from the fifth letter on. */
  filled<T>(value: T, id: string): T {
    const words = { ...this.words, id };
    const replaced = JSON.stringify(value).replaceAll(
      /<([A-Za-z0-9-]+)(?::(\d+))?>/g,
      (found, word: string, from = "0") => {
        const text = (words as Readonly<Record<string, string>>)[word];
        if (text === undefined) throw new Error(`the table names ${found}, which the scene does not know`);
        return text.slice(Number(from));
      },
    );
    return JSON.parse(replaced);
  }

  /** Starts the operator for all namespaces of the scene. */
  async start(args: readonly string[]): Promise<void> {
    const watched = namespaceNames.map((name) => this.words[name]).join(",");
    await this.world.start({ args: ["--sync-period-seconds=0", ...args], env: { WATCH_NAMESPACE: watched } });
  }

  /** The namespace that an attempt is made from. */
  namespaceOf({ by = "a" }: Escape): string {
    return this.words[by] ?? "";
  }

  /** API path of what an attempt aims at, with the Vault namespace before it. */
  victimOf({ victim = "<v2>/data/<b>/<id>" }: Escape, id: string): string {
    return this.filled(victim, id);
  }

  /** Whether a request was for a place of the object's own namespace. */
  isOwn(escape: Escape, request: string): boolean {
    const { v1, v2, nest, teams } = this.words;
    const namespace = this.namespaceOf(escape);
    const trees = [`${v1}/${namespace}/`, `${v2}/data/${namespace}/`, `${v2}/metadata/${namespace}/`];
    return [...trees, `${nest}/${namespace}/`, `${teams}/${namespace}/kv/`].some((tree) => request.startsWith(tree));
  }

  /** Whether an API path is of KV v2: data/ may also be the end of a mount's name. */
  isKv2(path: string): boolean {
    return path.includes("/data/") && !path.startsWith(`${this.words["deep"]}/`);
  }

  /** Writes what is to be kept out of reach. */
  async placeVictim(escape: Escape, id: string): Promise<void> {
    const path = this.victimOf(escape, id);
    await this.world.vault.write(addressOf(path), this.isKv2(path) ? { data: precious } : precious);
  }

  /** For objects that are to be there, forged and deleted, before the operator looks. */
  async prepare(escape: Escape, id: string): Promise<void> {
    const { kube } = this.world;
    const path = secretPath({ namespace: this.namespaceOf(escape), name: id });
    await kube.create(this.#manifest(escape, id));
    await kube.patch({ ...path, subresource: "status" }, { status: this.filled(escape.forged, id) });
    await kube.delete(path);
  }

  /** Applies the object and resolves when the operator has made up its mind about it. */
  async attempt(escape: Escape, id: string): Promise<Pick<Result, "reason" | "message">> {
    const { kube } = this.world;
    const { first, partial, forged } = escape;
    const named = { namespace: this.namespaceOf(escape), name: id };
    if (forged !== undefined) return this.verdict(escape, id);
    if (partial !== undefined) await kube.apply(partialKMSVaultSecret(named, this.filled(partial, id)));
    if (first !== undefined) {
      await kube.apply(this.#manifest({ ...escape, spec: first }, id));
      expect(await this.verdict(escape, id)).toMatchObject({ reason: "Synced" });
    }
    try {
      await kube.apply(this.#manifest(escape, id));
    } catch (error) {
      if (error instanceof HttpError && error.status === 422) return { reason: "Refused", message: error.message };
      throw error;
    }
    return this.verdict(escape, id);
  }

  /** What came of it, but for what the object says. */
  async traces(
    escape: Escape,
    id: string,
    asked: readonly AuditedRequest[],
  ): Promise<Omit<Result, "reason" | "message">> {
    const { vault } = this.world;
    const place = this.victimOf(escape, id);
    const found = await vault.read(addressOf(place));
    const own = await vault.read(`${this.words["v2"]}/data/${this.namespaceOf(escape)}/${id}`);
    return {
      requests: asked.map((request) => `${request.namespace}${request.path}`).filter((path) => path.includes(id)),
      victim: this.isKv2(place) ? found : { data: found },
      own: own?.data,
    };
  }

  /** Requests since a mark but look-ups of mounts and namespaces, of everybody's; or those for one path. */
  async asked(since: AuditMark, path?: string): Promise<AuditedRequest[]> {
    const isLookUp = /^sys\/internal\/ui\//;
    const requests = await auditRequests(inject("stack").vault, { path: path ?? "", since });
    return path === undefined ? requests.filter((request) => !isLookUp.test(request.path)) : requests;
  }

  mark(): Promise<AuditMark> {
    return auditMark(inject("stack").vault);
  }

  #manifest({ spec, metadata = {}, ...escape }: Escape, id: string) {
    const named = { namespace: this.namespaceOf({ spec, ...escape }), name: id };
    const entry = { key: "k", encryptedSecret: this.words["ownValue"] };
    const annotations = { "k8s.patoarvizu.dev/adopt": "true" };
    return kmsVaultSecret(named, this.filled({ secrets: [entry], ...spec }, id), { annotations, ...metadata });
  }

  /** What the object says of its present generation, or of its deletion, once it says anything. */
  async verdict(escape: Escape, name: string): Promise<Pick<Result, "reason" | "message">> {
    const named = { namespace: this.namespaceOf(escape), name };
    return eventually(
      async () => {
        const object = await this.world.kube.find(secretPath(named));
        if (object === undefined) return { reason: "Gone", message: "" };
        const { deletionTimestamp, generation } = object.metadata;
        const found = condition(object, deletionTimestamp === undefined ? "Ready" : "DeletionBlocked");
        expect(found, `${named.name} has no verdict yet`).toBeDefined();
        expect(found).toMatchObject(
          deletionTimestamp === undefined ? { observedGeneration: generation } : { status: "True" },
        );
        return { reason: String(found.reason), message: String(found.message) };
      },
      { timeoutMs: 40_000, everyMs: 50 },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.world[Symbol.asyncDispose]();
  }
}

/** The address of an API path whose segments may hold anything. */
function addressOf(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

/** Makes the tenants; the operator is the caller's to start. */
export async function openTenancy(): Promise<TenancyScene> {
  const world = await openWorld();
  const { kms, v1, v2 } = world;
  const run = uniqueName("team");
  const teams = uniqueName("teams");
  const label = `${run}.acme`;
  const namespaces: Readonly<Record<string, string>> = Object.fromEntries(
    namespaceNames.map((name) => [name, `${run}-${name}`]),
  );
  const { a = "", b = "" } = namespaces;
  const labels: Readonly<Record<string, string>> = { a: label, dotted: label, empty: "" };
  for (const [name, namespace] of Object.entries(namespaces)) {
    const tenant = labels[name];
    const metadata = { name: namespace, ...(tenant !== undefined && { labels: { tenant } }) };
    await world.kube.create({ apiVersion: "v1", kind: "Namespace", metadata });
  }
  const mounts = await mountForTeams(world, { a, b, teams });
  await letIn(world, namespaces);
  const [keyA, keyB] = [await kms.createKey(), await kms.createKey()];
  const arn = (key: string) => `arn:aws:kms:us-east-1:000000000000:key/${key}`;
  return new TenancyScene(world, {
    ...namespaces,
    A: a.toUpperCase(),
    B: b.toUpperCase(),
    v1,
    v2,
    V2: v2.toUpperCase(),
    ...mounts,
    teams,
    label,
    "label-x": label.replace(".", "x"),
    keyA: arn(keyA),
    keyB: arn(keyB),
    ownValue: await kms.encrypt(keyA, "of the own"),
    stolen: await kms.encrypt(keyB, precious.k),
    boundToB: await kms.encrypt(keyA, precious.k, { "k8s.patoarvizu.dev/namespace": b }),
  });
}

/** Mounts of several segments in the root namespace, and one in a Vault namespace of each tenant's. */
async function mountForTeams({ vault }: World, { a, b, teams }: Readonly<Record<"a" | "b" | "teams", string>>) {
  const [nest, deep] = [uniqueName("nest"), uniqueName("deep")];
  const mounts = [`${nest}/${a}`, `${nest}/${b}`, `${deep}/data`].map((path) => ({ path, before: "" }));
  await vault.write(`sys/namespaces/${teams}`);
  for (const team of [a, b]) {
    await vault.write(`${teams}/sys/namespaces/${team}`);
    mounts.push({ path: "kv", before: `${teams}/${team}/` });
  }
  for (const { path, before } of mounts) {
    const version = path === `${deep}/data` ? "1" : "2";
    await vault.write(`${before}sys/mounts/${path}`, { type: "kv", options: { version } });
    if (version === "1") continue;
    // A new KV v2 mount refuses requests until it has set itself up.
    await eventually(async () => expect(await vault.read(`${before}${path}/config`)).toBeDefined());
  }
  return { nest, deep };
}

/** A service account in a that may log in, and a role of b's that lets in whoever comes. */
async function letIn({ kube, vault, v2 }: World, { a = "", b = "" }: Readonly<Record<string, string>>): Promise<void> {
  const policy = uniqueName("everything");
  const capabilities = ["create", "read", "update", "patch", "delete"];
  await vault.write(`sys/policies/acl/${policy}`, {
    policy: JSON.stringify({ path: { [`${v2}/*`]: { capabilities } } }),
  });
  const annotations = { [vaultLoginAnnotation]: "true" };
  await kube.create({ apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace: a, name: "app", annotations } });
  await kube.create({ apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace: a, name: "default" } });
  await kube.create({ apiVersion: "v1", kind: "ServiceAccount", metadata: { namespace: b, name: "app", annotations } });
  for (const team of [a, b]) {
    await vault.write(`auth/kubernetes/role/${team}-app`, {
      bound_service_account_names: ["*"],
      bound_service_account_namespaces: team === a ? [a] : [a, b],
      audience: "vault",
      token_policies: [policy],
    });
  }
}
