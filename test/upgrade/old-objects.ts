// What an installation of the Go operator has when it is upgraded: objects as its manifests made them, and in Vault what
// it wrote for them. Each case says what the upgrade makes of it.
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { kmsVaultSecret, partialKMSVaultSecret } from "../gen/manifests.ts";
import type { World } from "../integration/world.ts";
import type { Generation } from "./old-crds.ts";

/** One object, what Vault holds at its path, and what is there once our operator has looked at it. */
export interface OldObject {
  readonly name: string;
  readonly engine: "v1" | "v2";
  readonly spec: object;
  readonly finalizers?: readonly string[];
  /** What was written there, oldest first: KV v2 has a version of each. */
  readonly written: readonly Readonly<Record<string, string>>[];
  /** `status.created`: the Go operator saved it where its role let it. */
  readonly created?: boolean;
  /** Written by Terraform's kubernetes_manifest instead of by kubectl. */
  readonly terraform?: boolean;
  readonly expected: {
    /** Of the Ready condition. */
    readonly reason: "Synced" | "AdoptionRequired" | "CASConflict" | "DecryptingError";
    readonly data: Readonly<Record<string, string>>;
    /** Whether ours writes: a new version on KV v2. */
    readonly written: boolean;
  };
}

/** Where the object's data is, below its mount. */
export function placeOf({ name }: Pick<OldObject, "name">): string {
  return `team/${name}`;
}

/** Every case that a generation can have. */
export async function oldObjects(world: World, generation: Generation): Promise<OldObject[]> {
  const common = [...(await plainObjects(world)), ...(await casObjects(world)), ...(await includers(world))];
  return generation === "first" ? common : [...common, ...(await lastOnly(world))];
}

/** Creates the Partials, the objects, and what Vault holds of them. */
export async function installOldObjects(
  world: World,
  generation: Generation,
  objects: readonly OldObject[],
): Promise<void> {
  const { namespace } = world;
  const partial = { secrets: [await world.entry("shared", "of the partial")] };
  const unbound = {
    secrets: [{ key: "bare", encryptedSecret: await world.encrypt("by its includer", { app: "shop" }) }],
  };
  await world.kube.create(partialKMSVaultSecret({ namespace, name: "shared" }, partial));
  await world.kube.create(partialKMSVaultSecret({ namespace, name: "bare" }, unbound));
  if (generation === "last") {
    const wrong = { ...unbound, secretContext: { app: "named here, but never used" } };
    await world.kube.create(partialKMSVaultSecret({ namespace, name: "dropped-context" }, wrong));
  }
  for (const object of objects) await install(world, generation, object);
}

async function install(world: World, generation: Generation, object: OldObject): Promise<void> {
  const { name, engine, finalizers } = object;
  for (const data of object.written) await world.foreign(engine, placeOf(object), data);
  const path = engine === "v1" ? `${world.v1}/${placeOf(object)}` : `${world.v2}/data/${placeOf(object)}`;
  const login = generation === "first" ? { vaultAuthMethod: "token" } : {};
  const kvSettings = { engineVersion: engine };
  const spec = { path, kvSettings, ...login, ...object.spec };
  const manifest = kmsVaultSecret({ namespace: world.namespace, name }, spec, finalizers && { finalizers });
  await (object.terraform ? world.kube.apply(manifest, { fieldManager: "Terraform" }) : world.kube.create(manifest));
  if (object.created) await world.forge(name, { created: true });
}

const synced = (data: Readonly<Record<string, string>>, written = false) =>
  ({ reason: "Synced", data, written }) as const;

async function plainObjects(world: World): Promise<OldObject[]> {
  const data = { user: "shop", password: "s3cret" };
  const secrets = await world.entries(data);
  const finalizers = [deleteFinalizer];
  const manyPairs = { app: "shop", env: "prod", team: "blue", tier: "db" };
  const several = [await world.entry("a", "1", manyPairs), await world.entry("b", "2", { app: "shop", env: "prod" })];
  return [
    { name: "v1", engine: "v1", spec: { secrets }, finalizers, written: [data], created: true, expected: synced(data) },
    { name: "v1-plain", engine: "v1", spec: { secrets }, written: [data], expected: synced(data) },
    {
      name: "v1-drifted",
      engine: "v1",
      spec: { secrets },
      written: [{ ...data, password: "by hand" }],
      created: true,
      expected: synced(data, true),
    },
    { name: "v1-unwritten", engine: "v1", spec: { secrets }, written: [], expected: synced(data, true) },
    { name: "v2", engine: "v2", spec: { secrets }, finalizers, written: [data], created: true, expected: synced(data) },
    { name: "v2-plain", engine: "v2", spec: { secrets }, written: [data], expected: synced(data) },
    {
      // Edited after the Go operator had written it: without casIndex it pushed nothing, and said nothing.
      name: "v2-never-pushed",
      engine: "v2",
      spec: { secrets },
      written: [{ user: "shop", password: "the one before" }],
      created: true,
      expected: { reason: "AdoptionRequired", data: { user: "shop", password: "the one before" }, written: false },
    },
    {
      name: "v2-by-hand",
      engine: "v2",
      spec: { secrets },
      finalizers,
      written: [data, { ...data, extra: "by hand" }],
      created: true,
      expected: { reason: "AdoptionRequired", data: { ...data, extra: "by hand" }, written: false },
    },
    {
      name: "contexts",
      engine: "v1",
      spec: { secrets: several },
      written: [{ a: "1", b: "2" }],
      created: true,
      expected: synced({ a: "1", b: "2" }),
    },
  ];
}

/** `casIndex` is the version before the one that stands for it. */
async function casObjects(world: World): Promise<OldObject[]> {
  const data = { k: "third" };
  const versions = [{ k: "first" }, { k: "second" }, data];
  const secrets = await world.entries(data);
  const cas = (casIndex: number) => ({ secrets, kvSettings: { engineVersion: "v2", casIndex } });
  const common = { engine: "v2", written: versions, created: true } as const;
  return [
    { ...common, name: "cas-pushed", spec: cas(2), finalizers: [deleteFinalizer], expected: synced(data) },
    {
      ...common,
      name: "cas-raised",
      spec: { ...cas(3), secrets: await world.entries({ k: "fourth" }) },
      expected: synced({ k: "fourth" }, true),
    },
    // In sync by its number, whatever the data.
    {
      ...common,
      name: "cas-by-hand",
      spec: cas(3),
      written: [...versions, { k: "by hand" }],
      expected: synced({ k: "by hand" }),
    },
    { ...common, name: "cas-low", spec: cas(0), expected: { reason: "CASConflict", data, written: false } },
  ];
}

async function includers(world: World): Promise<OldObject[]> {
  const own = await world.entries({ own: "1" });
  const shared = { own: "1", shared: "of the partial" };
  return [
    {
      name: "includes",
      engine: "v2",
      spec: { secrets: own, includeSecrets: ["shared"] },
      written: [shared],
      created: true,
      expected: synced(shared),
    },
    {
      // The Go operator wrote the included entries back into the object's own list when it took its finalizer away.
      name: "written-back",
      engine: "v1",
      spec: { secrets: [...own, await world.entry("shared", "of the partial")], includeSecrets: ["shared"] },
      written: [shared],
      created: true,
      expected: synced(shared),
    },
  ];
}

async function lastOnly(world: World): Promise<OldObject[]> {
  const secretContext = { app: "shop" };
  const own = { key: "own", encryptedSecret: await world.encrypt("1", secretContext) };
  const data = { own: "1", bare: "by its includer" };
  const common = { engine: "v2", created: true } as const;
  return [
    {
      ...common,
      name: "context-of-all",
      spec: { secretContext, secrets: [own], includeSecrets: ["bare"] },
      written: [data],
      expected: synced(data),
    },
    {
      // The context that a Partial names was dropped there; here it counts.
      ...common,
      name: "dropped-context",
      spec: { secretContext, secrets: [own], includeSecrets: ["dropped-context"] },
      written: [data],
      expected: { reason: "DecryptingError", data, written: false },
    },
    {
      ...common,
      name: "empty-value",
      spec: { secrets: [own, { key: "empty", emptySecret: true }], secretContext },
      written: [{ own: "1", empty: "" }],
      expected: synced({ own: "1", empty: "" }),
    },
    {
      ...common,
      name: "terraform",
      terraform: true,
      spec: {
        secrets: [{ ...own, emptySecret: false, secretContext: {} }],
        secretContext,
        includeSecrets: [],
        kvSettings: { engineVersion: "v2", casIndex: 0 },
      },
      finalizers: [deleteFinalizer],
      written: [{ own: "1" }],
      expected: synced({ own: "1" }),
    },
  ];
}
