// Objects of the Go operator, with what it wrote to Vault, under its CRDs; then our CRDs over them and our operator with
// the old Deployment's flags; then back again. Nothing is lost on the way, nothing is written that did not have to be.
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { deleteFinalizer, softDeleteFinalizer } from "../../src/api/kinds.ts";
import { applyCrds } from "../env/crds.ts";
import { eventually } from "../env/eventually.ts";
import { HttpError } from "../env/http.ts";
import { startKubernetes } from "../env/kubernetes.ts";
import { ProcessGroup } from "../env/processes.ts";
import { kmsVaultSecret } from "../gen/manifests.ts";
import { applyOldCrds, type Generation, generations } from "../upgrade/old-crds.ts";
import { installOldObjects, type OldObject, oldObjects, placeOf } from "../upgrade/old-objects.ts";
import { condition, openWorld, type World } from "./world.ts";

/** As the old Deployments start it. */
const flags: Readonly<Record<Generation, readonly string[]>> = {
  first: [],
  last: ["--enable-leader-election", "--vault-authentication-method=token", "--sync-period-seconds=120"],
};

describe.each(generations)("from the %s generation", (generation) => {
  const cleanUp = new AsyncDisposableStack();
  let world: World;
  let objects: readonly OldObject[];
  /** Deleted by its user after the Go operator had been stopped and before ours was started. */
  let deletedMeanwhile: OldObject;
  let before: ReadonlyMap<string, Stored>;

  beforeAll(async () => {
    const servers = await ProcessGroup.create();
    cleanUp.defer(() => servers.stop());
    const kubernetes = await startKubernetes(servers, inject("stack").programs);
    world = cleanUp.use(await openWorld({ servers: { kubernetes: kubernetes.info }, args: flags[generation] }));
    await applyOldCrds(world.kube, generation);
    objects = await oldObjects(world, generation);
    deletedMeanwhile = { ...(objects.find(({ name }) => name === "v2") as OldObject), name: "deleted-meanwhile" };
    await installOldObjects(world, generation, [...objects, deletedMeanwhile]);
    before = await storedOf(world, objects);
    await applyCrds(kubernetes.info);
    await world.delete(deletedMeanwhile.name);
    await world.start();
  });
  afterAll(() => cleanUp.disposeAsync());

  test("each object says how it stands, and only what had to be is written", async () => {
    for (const { name, expected } of objects) await world.settled(name, expected.reason);
    await expectExpected();
    for (const { name } of objects.filter(({ expected }) => expected.reason === "Synced")) {
      expect(await world.status(name), name).toMatchObject({ created: true });
    }
  });

  test("specs and finalizers are untouched, and the objects are the same ones", async () => {
    for (const { name } of objects) {
      const { spec, metadata } = await world.get(name);
      const { uid, generation: revision, finalizers, deletionTimestamp } = metadata;
      expect({ spec, uid, revision, finalizers, deletionTimestamp }, name).toEqual(before.get(name)?.object);
    }
  });

  test("a finalizer of an object that was deleted between the two operators is honoured", async () => {
    await world.untilGone(deletedMeanwhile.name);
    expect(await world.versionOf(placeOf(deletedMeanwhile))).toBeUndefined();
  });

  test("looked at again, and after a restart, nothing is written and nothing that is in sync is decrypted", async () => {
    const mark = await world.mark();
    const inSync = objects.filter(({ expected }) => expected.reason === "Synced");
    const decryptions = await world.decryptions();
    for (const { name } of inSync) await world.look(name);
    expect(await world.decryptions()).toBe(decryptions);
    await world.restart();
    await world.untilReconciled(objects.length);
    const writes = (await world.asked(mark)).filter(({ operation }) => !["read", "list"].includes(operation));
    expect(writes).toEqual([]);
    await expectExpected();
  });

  test("data that the Go operator never pushed is taken over when the object is annotated", async () => {
    await world.annotate("v2-never-pushed", { "k8s.patoarvizu.dev/adopt": "true" });
    await world.settled("v2-never-pushed");
    expect(await world.atV2("team/v2-never-pushed")).toEqual({ user: "shop", password: "s3cret" });
    expect(await world.versionOf("team/v2-never-pushed")).toBe(2);
  });

  test("casIndex raised to the version pushes, as before", async () => {
    await world.edit("cas-by-hand", { kvSettings: { casIndex: 4 } });
    await eventually(async () => expect(await world.versionOf("team/cas-by-hand")).toBe(5));
    expect(await world.atV2("team/cas-by-hand")).toEqual({ k: "third" });
  });

  test("deleted: with the finalizer the data goes, without it it stays", async () => {
    for (const [name, engine] of [
      ["v1", "v1"],
      ["cas-pushed", "v2"],
      ["v1-plain", "v1"],
      ["v2-plain", "v2"],
    ] as const) {
      const stays = name.endsWith("plain");
      await world.remove(name);
      expect((await world.at(engine, `team/${name}`)) !== undefined, name).toBe(stays);
      if (engine === "v2") expect((await world.versionOf(`team/${name}`)) !== undefined, name).toBe(stays);
    }
    objects = objects.filter(({ name }) => !["v1", "cas-pushed", "v1-plain", "v2-plain"].includes(name));
  });

  test.runIf(generation === "last")("Terraform applies its manifest again: no conflict, no change", async () => {
    const { name, finalizers } = objects.find(({ terraform }) => terraform) as OldObject;
    const { metadata, spec } = await world.get(name);
    const manifest = kmsVaultSecret({ namespace: world.namespace, name }, spec, { finalizers });
    const applied = await world.kube.apply(manifest, { fieldManager: "Terraform", force: false });
    expect(applied.metadata.generation).toBe(metadata.generation);
    expect(condition(applied, "Ready")).toMatchObject({ status: "True" });
  });

  describe("back again", () => {
    const added: Readonly<Record<string, readonly string[]>> = {
      contexts: [deleteFinalizer],
      includes: [softDeleteFinalizer],
    };

    test("finalizers that ours added leave with their deletionPolicy; a user's stays", async () => {
      await world.edit("contexts", { deletionPolicy: "Destroy" });
      await world.edit("includes", { deletionPolicy: "SoftDelete" });
      await world.edit("v2", { deletionPolicy: "Destroy" });
      for (const [name, finalizers] of Object.entries(added)) {
        await eventually(async () => expect(await world.finalizersOf(name)).toEqual(finalizers));
      }
      await world.settled("v2");
      for (const name of [...Object.keys(added), "v2"]) await world.edit(name, { deletionPolicy: null });
      for (const name of Object.keys(added)) {
        await eventually(async () => expect(await world.finalizersOf(name)).toEqual([]));
      }
      await world.settled("v2");
      expect(await world.finalizersOf("v2")).toEqual([deleteFinalizer]);
    });

    test("under the old CRDs objects and data are as they were, and created is still said", async () => {
      const data = await dataOf(world, objects);
      const specs = await specsOf(world, objects);
      await world.operator.stop();
      await applyOldCrds(world.kube, generation);
      await untilOld();
      expect(await specsOf(world, objects)).toEqual(specs);
      expect(await dataOf(world, objects)).toEqual(data);
      for (const { name } of objects) {
        const { metadata, status } = await world.get(name);
        expect(metadata.deletionTimestamp, name).toBeUndefined();
        expect(status.created, name).toBeTypeOf("boolean");
      }
    });

    test("what the Go operator does with them is accepted: its status, and its finalizer taken away", async () => {
      for (const { name } of objects) await world.forge(name, { created: true });
      await world.delete("v2");
      await world.kube.patch(pathOfSecret("v2"), { metadata: { finalizers: null } });
      expect(await world.kube.find(pathOfSecret("v2"))).toBeUndefined();
    });

    test("and new objects are, as its users write them", async () => {
      const login = generation === "first" ? { vaultAuthMethod: "k8s" } : { secretContext: { app: "shop" } };
      const spec = {
        path: `${world.v2}/data/new`,
        kvSettings: { engineVersion: "v2", casIndex: 0 },
        secrets: await world.entries({ k: "v" }),
        ...login,
      };
      await world.create("new", spec, { finalizers: [deleteFinalizer] });
      expect((await world.get("new")).spec).toEqual(spec);
    });
  });

  async function expectExpected(): Promise<void> {
    for (const { name, engine, expected, written } of objects) {
      expect(await world.at(engine, `team/${name}`), name).toEqual(expected.data);
      if (engine === "v2") {
        expect(await world.versionOf(`team/${name}`), name).toBe(written.length + (expected.written ? 1 : 0));
      }
    }
  }

  /** Resolves when the API server goes by the old CRDs: they want kvSettings. */
  async function untilOld(): Promise<void> {
    const secrets = [{ key: "k", encryptedSecret: "" }];
    await eventually(async () => {
      const refusal: unknown = await world.create("no-settings", { path: "x/y", secrets }).then(
        () => world.delete("no-settings"),
        (error: unknown) => error,
      );
      expect(refusal).toBeInstanceOf(HttpError);
    });
  }

  function pathOfSecret(name: string) {
    return { apiVersion: "k8s.patoarvizu.dev/v1alpha1", plural: "kmsvaultsecrets", namespace: world.namespace, name };
  }
});

/** What must not change by an upgrade. */
interface Stored {
  readonly object: object;
}

async function storedOf(world: World, objects: readonly OldObject[]): Promise<Map<string, Stored>> {
  const stored = new Map<string, Stored>();
  for (const { name } of objects) {
    const { spec, metadata } = await world.get(name);
    const { uid, generation: revision, finalizers, deletionTimestamp } = metadata;
    stored.set(name, { object: { spec, uid, revision, finalizers, deletionTimestamp } });
  }
  return stored;
}

async function specsOf(world: World, objects: readonly OldObject[]): Promise<object> {
  return Object.fromEntries(
    await Promise.all(objects.map(async ({ name }) => [name, (await world.get(name)).spec] as const)),
  );
}

/** The data of each object and, on KV v2, its version. */
async function dataOf(world: World, objects: readonly OldObject[]): Promise<object> {
  return Object.fromEntries(
    await Promise.all(
      objects.map(async (object) => {
        const version = object.engine === "v2" ? await world.versionOf(placeOf(object)) : undefined;
        return [object.name, { data: await world.at(object.engine, placeOf(object)), version }] as const;
      }),
    ),
  );
}
