// While KMS is away nothing can be compared, so what stands at a path that we never wrote must not become ours: neither
// to be written over once KMS is back, nor to be removed with the object.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { startWorld, type World } from "./world.ts";

let world: World;

beforeAll(async () => {
  world = await startWorld({ args: ["--sync-period-seconds=0"] });
});
afterAll(() => world[Symbol.asyncDispose]());

describe.each(["v1", "v2"] as const)(
  "data of somebody else's on KV %s, and an object whose entries all fail",
  (engine) => {
    const name = (what: string) => `${what}-${engine}`;
    const theirs = { k: "theirs", other: "theirs" };

    async function applied(what: string): Promise<void> {
      const write = engine === "v1" ? world.foreignV1(name(what), theirs) : world.foreignV2(name(what), theirs);
      await write;
      const secrets = await world.entries({ k: "ours" });
      const path = engine === "v1" ? `${world.v1}/${name(what)}` : `${world.v2}/data/${name(what)}`;
      await world.kms.faults({ outage: "error" });
      try {
        await world.apply(name(what), { path, secrets }, { finalizers: [deleteFinalizer] });
        await world.untilReady(name(what), "KMSUnavailable");
      } finally {
        await world.kms.faults({});
      }
    }

    const found = (what: string) => (engine === "v1" ? world.atV1(name(what)) : world.atV2(name(what)));

    test("deleting the object removes nothing", async () => {
      await applied("deleted");
      const gone = world.remove(name("deleted"));
      await gone;
      expect(await found("deleted")).toEqual(theirs);
    });

    test("KMS back: KV v2 waits to be adopted, KV v1 is written over as the original did", async () => {
      await applied("back");
      await world.annotate(name("back"), { "k8s.patoarvizu.dev/reconcile-requested-at": "now" });
      await world.untilReady(name("back"), engine === "v1" ? "Synced" : "AdoptionRequired");
      expect(await found("back")).toEqual(engine === "v1" ? { k: "ours" } : theirs);
    });
  },
);
