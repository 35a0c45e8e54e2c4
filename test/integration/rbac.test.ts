// The operator with exactly the rights that deploy/*.yaml gives it, as its own service account, with leader election:
// everything that it does for an object's whole life works, and no request is refused.
import { afterAll, beforeAll, expect, test } from "vitest";
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { testEnv } from "../env/context.ts";
import { eventually } from "../env/eventually.ts";
import { installServiceAccount } from "../env/service-account.ts";
import { openWorld, type World } from "./world.ts";

const lease = { apiVersion: "coordination.k8s.io/v1", plural: "leases", name: "39a50047.patoarvizu.dev" };
const recordKey = { apiVersion: "v1", plural: "secrets", name: "kms-vault-operator-fingerprint-key" };
let world: World;
/** The operator's own, not the objects'. */
let ownNamespace: string;

beforeAll(async () => {
  const env = testEnv();
  ownNamespace = await env.freshNamespace();
  const serviceAccount = await installServiceAccount(env.kube, ownNamespace);
  world = await openWorld({ serviceAccount, args: ["--enable-leader-election", "--sync-period-seconds=1"] });
  // As shipped: all namespaces may be listed, so objects of unwatched ones are known.
  await world.start();
});
afterAll(() => world[Symbol.asyncDispose]());

test("it leads, and keeps its key in its own namespace", async () => {
  const { spec } = await world.kube.get({ ...lease, namespace: ownNamespace });
  expect(spec.holderIdentity).not.toBe("");
  const { data } = await world.kube.get({ ...recordKey, namespace: ownNamespace });
  expect(Buffer.from(data.key, "base64")).toHaveLength(32);
});

test("an object's whole life: written, told, edited by its Partial, failed, removed; nothing is forbidden", async () => {
  await world.applyPartial("part", { secrets: await world.entries({ k: "1" }) });
  const path = `${world.v2}/data/life`;
  const object = await world.sync("life", { path, includeSecrets: ["part"] }, { finalizers: [deleteFinalizer] });
  expect(object.status).toMatchObject({ created: true, vault: { version: 1 } });
  await world.event("life", "SecretCreated");
  await world.applyPartial("part", { secrets: await world.entries({ k: "2" }) });
  await eventually(async () => expect(await world.atV2("life")).toEqual({ k: "2" }));
  await world.deletePartial("part");
  await world.settled("life", "PartialNotFound");
  await world.event("life", "PartialNotFound");
  await world.remove("life");
  expect(await world.versionOf("life")).toBeUndefined();
  const requests = (await world.operator.metrics())
    .split("\n")
    .filter((line) => line.startsWith("rest_client_requests_total{"));
  expect(requests.join("\n")).toMatch(/method="PATCH"/);
  expect(requests.filter((line) => /code="(401|403)"/.test(line))).toEqual([]);
});

test("at its end it gives the Lease back, and the next one keeps the key", async () => {
  const before = await world.kube.get({ ...recordKey, namespace: ownNamespace });
  expect(await world.operator.stop()).toEqual({ code: 0, signal: null });
  const { spec } = await world.kube.get({ ...lease, namespace: ownNamespace });
  expect(spec.holderIdentity ?? "").toBe("");
  // Ready at once: nobody has to wait for the Lease to run out.
  await world.start();
  expect(await world.kube.get({ ...recordKey, namespace: ownNamespace })).toEqual(before);
});
