// Sequences that are easily got wrong, each by its name, on both engines: held against the model like the random ones
// (random.test.ts), and against what a reader expects of them.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Seen } from "./belief.ts";
import { type Move, play } from "./run.ts";
import { Servers } from "./servers.ts";
import type { Engine, ObjectName, PlaceName, Policy, Values } from "./world.ts";

let servers: Servers;
beforeAll(async () => {
  servers = await Servers.open();
});
afterAll(() => servers[Symbol.asyncDispose]());

const settle = { do: "settle" } as const;
const foreign = { theirs: "1" };

function create(
  object: ObjectName,
  place: PlaceName,
  values: Values,
  options: { readonly finalizer?: boolean; readonly policy?: Policy } = {},
): Move {
  return { do: "create", object, place, values, finalizer: options.finalizer ?? false, ...options };
}

/** What a reader of Vault gets in the end. */
function latest({ places }: Seen, place: PlaceName): unknown {
  return places[place]?.at(-1) ?? "absent";
}

describe.each<Engine>(["v1", "v2"])("on KV %s:", (engine) => {
  const run = (...moves: readonly Move[]) => play(servers, { engines: { x: engine, y: engine }, moves });

  test("the loser of a conflict is deleted: the holder's data stays", async () => {
    const seen = await run(
      create("a", "x", { k: "1" }, { finalizer: true }),
      settle,
      { do: "age" },
      create("b", "x", { k: "2" }, { finalizer: true }),
      settle,
      { do: "delete", object: "b" },
    );
    expect(latest(seen, "x")).toEqual({ k: "1" });
    expect(seen.objects).toMatchObject({ a: { ready: "Synced" } });
  });

  test("one that had the path before an older object came, which says the same, is deleted as the loser", async () => {
    const seen = await run(
      create("a", "y", { k: "1" }, { policy: "Destroy" }),
      settle,
      { do: "age" },
      // As that of the other, so that neither version nor value tells whose it is.
      create("b", "x", { k: "1" }, { policy: "Destroy" }),
      settle,
      { do: "move", object: "a", to: "x" },
      settle,
      { do: "delete", object: "b" },
    );
    expect(latest(seen, "x")).toEqual({ k: "1" });
    expect(latest(seen, "y")).toBe("absent");
  });

  test("a path moves while a key fails: its value comes along, and the old place goes once it is healed", async () => {
    const before: Move[] = [
      create("a", "x", { k: "1", l: "2" }, { policy: "Destroy" }),
      settle,
      { do: "cipher", object: "a", key: "l", broken: true },
      { do: "move", object: "a", to: "y" },
      settle,
    ];
    const failing = await run(...before);
    expect(latest(failing, "x")).toEqual({ k: "1", l: "2" });
    expect(latest(failing, "y")).toEqual({ k: "1", l: "2" });
    const healed = await run(...before, { do: "cipher", object: "a", key: "l", broken: false });
    expect(latest(healed, "x")).toBe("absent");
    expect(latest(healed, "y")).toEqual({ k: "1", l: "2" });
  });

  test("a key is renamed while KMS is down: nothing goes before the new name stands there", async () => {
    const seen = await run(
      create("a", "x", { k: "1" }),
      settle,
      { do: "kms", up: false },
      { do: "rename", object: "a", from: "k", to: "l" },
      settle,
      { do: "crash", passing: 0, moment: "after" },
      { do: "kms", up: true },
    );
    expect(latest(seen, "x")).toEqual({ l: "1" });
  });

  test("a secret is wiped and written anew to the same version number: it is put right", async () => {
    const seen = await run(
      create("a", "x", { k: "1" }),
      settle,
      { do: "edit", object: "a", key: "k", value: "2" },
      settle,
      { do: "rewrite", place: "x", data: foreign },
      settle,
    );
    expect(latest(seen, "x")).toEqual({ k: "2" });
  });

  test("a policy is set, then unset, then the object is deleted: Vault is left alone", async () => {
    const seen = await run(
      create("a", "x", { k: "1" }),
      settle,
      { do: "policy", object: "a", policy: "Destroy" },
      settle,
      { do: "policy", object: "a" },
      settle,
      { do: "delete", object: "a" },
    );
    expect(latest(seen, "x")).toEqual({ k: "1" });
    expect(seen.objects).toEqual({});
  });

  test("a policy is unset while the operator is away, and the object deleted: Vault is left alone", async () => {
    const seen = await run(
      create("a", "x", { k: "1" }, { policy: "Destroy" }),
      settle,
      { do: "kill" },
      { do: "edit", object: "a", key: "k", value: "2" },
      { do: "policy", object: "a" },
      { do: "delete", object: "a" },
    );
    expect(latest(seen, "x")).not.toBe("absent");
    expect(seen.objects).toEqual({});
  });

  test("a user's finalizer is not taken for one that the operator had put on for a policy before", async () => {
    const seen = await run(
      create("a", "x", { k: "1" }, { policy: "Destroy" }),
      settle,
      { do: "policy", object: "a" },
      settle,
      { do: "finalizer", object: "a", on: true },
      settle,
    );
    expect(seen.objects["a"]).toMatchObject({ finalizers: ["contract"], ready: "Synced" });
  });

  test("nor when the user has taken that one off while the operator was away", async () => {
    const seen = await run(
      create("a", "x", { k: "1" }, { policy: "Destroy" }),
      settle,
      { do: "kill" },
      { do: "policy", object: "a" },
      { do: "finalizer", object: "a", on: false },
      settle,
      { do: "finalizer", object: "a", on: true },
      settle,
    );
    expect(seen.objects["a"]).toMatchObject({ finalizers: ["contract"], ready: "Synced" });
  });

  test.each(["wiped", "garbled", "copied"] as const)(
    "a status is %s: nothing of others is written or gone",
    async (how) => {
      const seen = await run(
        { do: "write", place: "y", data: foreign },
        create("a", "x", { k: "1" }, { finalizer: true }),
        create("b", "y", { k: "2" }, { finalizer: true }),
        settle,
        { do: "forge", object: "b", how },
        settle,
        { do: "forge", object: "a", how },
        { do: "delete", object: "b" },
      );
      expect(latest(seen, "x")).toEqual({ k: "1" });
      // On KV v1 b has overwritten it, as the original did; then it is gone with b, or left where no record tells.
      if (engine === "v2") expect(latest(seen, "y")).toEqual(foreign);
    },
  );

  test("two objects swap their paths, the operator ending in the midst of it: neither loses anything", async () => {
    const seen = await run(
      create("a", "x", { k: "1" }, { policy: "Destroy" }),
      create("b", "y", { k: "2" }, { policy: "Destroy" }),
      settle,
      { do: "crash", passing: 2, moment: "after" },
      { do: "swap" },
      settle,
    );
    expect(latest(seen, "x")).toEqual({ k: "2" });
    expect(latest(seen, "y")).toEqual({ k: "1" });
  });

  test("a namespace is deleted: what has a finalizer goes, what has none stays, foreign data too", async () => {
    const seen = await run(create("a", "x", { k: "1" }, { finalizer: true }), create("b", "y", { k: "2" }), settle, {
      do: "terminate",
    });
    expect(latest(seen, "x")).toBe("absent");
    expect(latest(seen, "y")).toEqual({ k: "2" });
    expect(seen.objects).toEqual({});
  });
});
