// A key that stands in two places: the original's order decides, the object is in sync and says so, and no key is lost
// or decrypted in vain. In the original such an object could never be deleted.
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { secretPath } from "../gen/manifests.ts";
import { openScene, type Scene } from "./scene.ts";

let scene: Scene;

beforeAll(async () => {
  scene = await openScene();
  await scene.start();
});

afterAll(() => scene[Symbol.asyncDispose]());

const finalizers = ["delete.k8s.patoarvizu.dev"];

test("a later include wins over an earlier one and over the object itself, and it is said", async () => {
  await scene.createPartial("first", { secrets: [await scene.entry("a", "first"), await scene.entry("b", "first")] });
  await scene.createPartial("second", { secrets: [await scene.entry("b", "second")] });
  const secrets = [await scene.entry("a", "own"), await scene.entry("b", "own"), await scene.entry("c", "own")];
  await scene.create("twice", { path: `${scene.v2}/twice`, secrets, includeSecrets: ["first", "second"] });
  const { message } = await scene.untilReady("twice", "Synced");
  expect(await scene.atV2("twice")).toEqual({ a: "first", b: "second", c: "own" });
  const remarks = [
    "key a stands in more than one place, the one of PartialKMSVaultSecret first counts",
    "key b stands in more than one place, the one of PartialKMSVaultSecret second counts",
  ];
  expect(message).toBe(`3 keys are in Vault; ${remarks.map((remark) => `DuplicateKey: ${remark}`).join("; ")}`);
  expect((await scene.status("twice")).keys).toEqual({ synced: 3 });
  for (const remark of remarks) await scene.untilTold("twice", { reason: "DuplicateKey", message: remark });
});

test("an entry that loses is not decrypted: it may be broken", async () => {
  await scene.createPartial("sound", { secrets: [await scene.entry("a", "sound")] });
  const secrets = [{ key: "a", encryptedSecret: "no base64!" }];
  await scene.create("shadowed", { path: `${scene.v1}/shadowed`, secrets, includeSecrets: ["sound"] });
  await scene.untilReady("shadowed", "Synced");
  expect(await scene.atV1("shadowed")).toEqual({ a: "sound" });
});

test("an entry that wins and is broken does not give way to the one that lost: Vault's value stays", async () => {
  await scene.createPartial("winner", { secrets: [await scene.entry("a", "winner")] });
  const spec = { path: `${scene.v1}/broken`, secrets: [await scene.entry("a", "own")], includeSecrets: ["winner"] };
  await scene.create("broken", spec);
  await scene.untilReady("broken", "Synced");
  await scene.editPartial("winner", { secrets: [{ key: "a", encryptedSecret: "no base64!" }] });
  await scene.untilReady("broken", "DecodingError");
  expect(await scene.atV1("broken")).toEqual({ a: "winner" });
});

test("the spec is left as the user wrote it, and the object can be deleted", async () => {
  await scene.createPartial("merged", {
    secrets: [await scene.entry("a", "merged"), await scene.entry("b", "merged")],
  });
  const spec = { path: `${scene.v2}/deletable`, secrets: [await scene.entry("a", "own")], includeSecrets: ["merged"] };
  await scene.create("deletable", spec, { finalizers });
  await scene.untilReady("deletable", "Synced");
  const { namespace } = scene;
  expect((await scene.kube.get(secretPath({ namespace, name: "deletable" }))).spec).toEqual(spec);
  await scene.delete("deletable");
  await scene.untilGone("deletable");
  await eventually(async () => expect(await scene.versionOf("deletable")).toBeUndefined());
});

test("the others go on, the operator is unharmed", async () => {
  await scene.expectNeighbourGoesOn();
  await scene.expectUnharmed();
});
