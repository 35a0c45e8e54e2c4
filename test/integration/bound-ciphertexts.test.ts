// spec.bindContext: a value belongs to a namespace, an object or a key, and decrypts nowhere else. Copied there, the object
// says what the value belongs to and how to encrypt it again. What is not bound is as it was.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { uniqueName } from "../env/unique.ts";
import { kmsVaultSecret, secretPath } from "../gen/manifests.ts";
import { condition, openWorld, type World } from "./world.ts";

const prefix = "k8s.patoarvizu.dev/";
const other = uniqueName("other");
let world: World;
beforeAll(async () => {
  world = await openWorld();
  await world.kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: other } });
  const env = { WATCH_NAMESPACE: `${world.namespace},${other}` };
  await world.start({ args: ["--sync-period-seconds=0"], env });
});
afterAll(() => world[Symbol.asyncDispose]());

/** What a value is bound to, as the encryption context says it. */
type Binding = { readonly namespace?: string; readonly name?: string; readonly key?: string };

/** An entry whose value is bound so, with what the object itself gives as secretContext. */
async function boundEntry(key: string, value: string, binding: Binding, secretContext: Record<string, string> = {}) {
  const bound = Object.entries(binding).map(([part, text]) => [`${prefix}${part}`, text]);
  const encryptedSecret = await world.encrypt(value, { ...secretContext, ...Object.fromEntries(bound) });
  return { key, encryptedSecret, ...(Object.keys(secretContext).length > 0 && { secretContext }) };
}

/** An object of the world's namespace, not yet applied. */
function spec(name: string, fields: object) {
  return { path: `${world.v2}/data/${name}`, ...fields };
}

/** The message of an object that could not be decrypted as it is now. */
async function refusal(name: string): Promise<string> {
  return condition(await world.settled(name, "DecryptingError"), "Ready").message;
}

describe.each([
  ["Namespace", ["namespace"]],
  ["Object", ["namespace", "name"]],
  ["Key", ["namespace", "name", "key"]],
] as const)("%s", (bindContext, parts) => {
  const name = `bound-${bindContext.toLowerCase()}`;
  /** Of an object of that name, as far as this bindContext goes. */
  const bindingOf = (object: string, key = "k"): Binding => {
    const place = { namespace: world.namespace, name: object, key };
    return Object.fromEntries(parts.map((part) => [part, place[part]]));
  };

  test("decrypts where it belongs, with a context of the user's beside it", async () => {
    const secrets = [
      await boundEntry("k", "here", bindingOf(name)),
      await boundEntry("with", "context", bindingOf(name, "with"), { app: "x" }),
    ];
    await world.sync(name, spec(name, { bindContext, secrets }));
    expect(await world.atV2(name)).toEqual({ k: "here", with: "context" });
  });

  test.each(parts)("of another %s it fails, and says what it belongs to and what to do", async (part) => {
    const object = `${name}-not-${part}`;
    const binding = bindingOf(object);
    const copied = await boundEntry("k", "copied", { ...binding, [part]: "elsewhere" });
    await world.apply(object, spec(object, { bindContext, secrets: [copied] }));
    const message = await refusal(object);
    for (const one of parts) expect(message).toContain(`${prefix}${one}=${binding[one]}`);
    expect(message).toContain("encrypt the value again");
    expect(await world.atV2(object)).toBeUndefined();
    // As it says.
    const again = await boundEntry("k", "encrypted again", binding);
    await world.sync(object, spec(object, { bindContext, secrets: [again] }));
    expect(await world.atV2(object)).toEqual({ k: "encrypted again" });
  });

  test.each(["None", "Namespace", "Object", "Key"].filter((one) => one !== bindContext))(
    "is not %s: where less or more is bound it does not decrypt",
    async (wrong) => {
      const object = `${name}-as-${wrong.toLowerCase()}`;
      const secrets = [await boundEntry("k", "bound", bindingOf(object))];
      await world.apply(object, spec(object, { bindContext: wrong, secrets }));
      await world.settled(object, "DecryptingError");
      expect(await world.atV2(object)).toBeUndefined();
    },
  );
});

test("copied by whole object to another namespace, the value does not come along", async () => {
  const secrets = [await boundEntry("k", "v", { namespace: world.namespace })];
  await world.sync("source", spec("source", { bindContext: "Namespace", secrets }));
  const copy = { namespace: other, name: "source" };
  await world.kube.apply(kmsVaultSecret(copy, spec("copy", { bindContext: "Namespace", secrets })));
  await eventually(async () => {
    const ready = condition(await world.kube.get(secretPath(copy)), "Ready");
    expect(ready).toMatchObject({ reason: "DecryptingError", status: "False" });
    expect(ready.message).toContain(`${prefix}namespace=${other}`);
  });
  expect(await world.atV2("copy")).toBeUndefined();
});

test("one stolen key fails alone: the others are written, and it is named", async () => {
  const secrets = [
    await boundEntry("mine", "mine", { namespace: world.namespace, name: "partly", key: "mine" }),
    await boundEntry("copied", "copied", { namespace: world.namespace, name: "partly", key: "mine" }),
  ];
  await world.apply("partly", spec("partly", { bindContext: "Key", secrets }));
  expect(await refusal("partly")).toContain(`${prefix}key=copied`);
  expect((await world.get("partly")).status.keys).toEqual({ synced: 1, failed: ["copied"] });
  expect(await world.atV2("partly")).toEqual({ mine: "mine" });
});

test("a Partial's values are bound to the object that includes it", async () => {
  const own = await boundEntry("k", "for one", { namespace: world.namespace, name: "including" });
  await world.applyPartial("included", { secrets: [own] });
  const fields = { bindContext: "Object", includeSecrets: ["included"] };
  await world.sync("including", spec("including", fields));
  expect(await world.atV2("including")).toEqual({ k: "for one" });
  await world.apply("including-too", spec("including-too", fields));
  expect(await refusal("including-too")).toContain(`${prefix}name=including-too`);
  expect(await world.atV2("including-too")).toBeUndefined();
});

describe("a context of the user's that names a place is refused, bound or not", () => {
  const context = { [`${prefix}namespace`]: "elsewhere" };

  test.each([
    ["an entry", (entry: object) => ({ secrets: [{ ...entry, secretContext: context }] })],
    ["the spec", (entry: object) => ({ secretContext: context, secrets: [entry] })],
  ])("of %s", async (where, fields) => {
    const name = `reserved-${where.replace(" ", "-")}`;
    const entry = { key: "k", encryptedSecret: await world.encrypt("v", context) };
    for (const bindContext of ["None", "Namespace"]) {
      await world.apply(name, spec(name, { bindContext, ...fields(entry) }));
      const { message } = condition(await world.settled(name, "ReservedContextKey"), "Ready");
      expect(message).toContain(`${prefix}namespace`);
    }
    expect(await world.atV2(name)).toBeUndefined();
  });

  test("of a Partial", async () => {
    const secrets = [{ key: "k", encryptedSecret: await world.encrypt("v", context) }];
    await world.applyPartial("reserved", { secretContext: context, secrets });
    await world.apply("reserved", spec("reserved", { includeSecrets: ["reserved"] }));
    await world.settled("reserved", "ReservedContextKey");
    expect(await world.atV2("reserved")).toBeUndefined();
  });
});

test("another bindContext is looked at at once: what is in Vault stays until the values are encrypted again", async () => {
  const unbound = await world.entry("k", "v");
  await world.sync("changed", spec("changed", { secrets: [unbound] }));
  await world.edit("changed", { bindContext: "Object" });
  expect(await refusal("changed")).toContain(`${prefix}name=changed`);
  expect(await world.atV2("changed")).toEqual({ k: "v" });
  const bound = await boundEntry("k", "v", { namespace: world.namespace, name: "changed" });
  await world.sync("changed", spec("changed", { bindContext: "Object", secrets: [bound] }));
  expect(await world.versionOf("changed")).toBe(1);
});

test("what is not bound is as it was, under whatever name and in whatever namespace", async () => {
  const secrets = [await world.entry("k", "v", { app: "shop" })];
  await world.sync("unbound", spec("unbound", { secrets }));
  const copy = { namespace: other, name: "unbound" };
  await world.kube.apply(kmsVaultSecret(copy, spec("unbound-copy", { bindContext: "None", secrets })));
  await eventually(async () => expect(await world.atV2("unbound-copy")).toEqual({ k: "v" }));
});
