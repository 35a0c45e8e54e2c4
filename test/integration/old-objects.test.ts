// Objects that were stored under an older CRD with a looser schema, and that ours would not take today: each that cannot
// be worked with says why, field by field, each that can is synced, and none of them harms the operator or the others.
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { group, version } from "../../src/api/kinds.ts";
import { specRules } from "../../src/api/rules.ts";
import { eventually } from "../env/eventually.ts";
import { applyCrds } from "../env/crds.ts";
import { HttpError } from "../env/http.ts";
import { type Kubernetes, startKubernetes } from "../env/kubernetes.ts";
import { ProcessGroup } from "../env/processes.ts";
import { secretPath } from "../gen/manifests.ts";
import { ruleExamples } from "../gen/rule-examples.ts";
import { openScene, type Scene } from "./scene.ts";

/** CRDs are for the whole API server, so this file has one of its own. */
let servers: ProcessGroup;
let kubernetes: Kubernetes;
let scene: Scene;

const finalizers = ["delete.k8s.patoarvizu.dev"];

beforeAll(async () => {
  servers = await ProcessGroup.create();
  kubernetes = await startKubernetes(servers, inject("stack").programs);
  scene = await openScene({ kubernetes: kubernetes.info });
  for (const kind of ["KMSVaultSecret", "PartialKMSVaultSecret"]) await applyOldCrd(kind);
  await createOldObjects();
  await applyCrds(kubernetes.info);
  await untilStrict();
  await scene.start();
});

afterAll(async () => {
  await scene[Symbol.asyncDispose]();
  await servers.stop();
});

/** A CRD without a schema, as the API servers of the time took them. */
async function applyOldCrd(kind: string): Promise<void> {
  const singular = kind.toLowerCase();
  const plural = `${singular}s`;
  const schema = { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };
  await scene.kube.apply({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { kind, listKind: `${kind}List`, plural, singular },
      versions: [{ name: version, served: true, storage: true, schema, subresources: { status: {} } }],
    },
  });
  await eventually(() => scene.kube.list({ apiVersion: `${group}/${version}`, plural, namespace: scene.namespace }));
}

/** Resolves when the API server goes by our CRDs. */
async function untilStrict(): Promise<void> {
  await eventually(async () => {
    const creating = scene.create("refused", { path: `${scene.v1}/refused`, secrets: [{ key: 5 }] });
    const refusal: unknown = await creating.then(
      () => scene.delete("refused"),
      (error: unknown) => error,
    );
    expect(refusal).toBeInstanceOf(HttpError);
  });
}

interface Invalid {
  readonly name: string;
  readonly spec?: object;
  /** The Ready condition, up to what was not done. */
  readonly problem: string;
}

const entry = { key: "a", emptySecret: true };
const path = "kv/app";

const invalid: readonly Invalid[] = [
  { name: "no-spec", problem: "spec: is required" },
  { name: "no-path", spec: { secrets: [entry] }, problem: "spec.path: must be a string" },
  { name: "path-is-empty", spec: { path: "", secrets: [entry] }, problem: "spec.path: must not be empty" },
  {
    name: "context-of-numbers",
    spec: { path, secrets: [entry], secretContext: { tier: 1 } },
    problem: "spec.secretContext.tier: must be a string",
  },
  {
    name: "other-engine",
    spec: { path, secrets: [entry], kvSettings: { engineVersion: "v3" } },
    problem: "spec.kvSettings.engineVersion: must be one of v1, v2",
  },
  {
    name: "negative-cas",
    spec: { path, secrets: [entry], kvSettings: { engineVersion: "v2", casIndex: -1 } },
    problem: "spec.kvSettings.casIndex: must be at least 0",
  },
  {
    name: "other-login",
    spec: { path, secrets: [entry], vaultAuthMethod: "kerberos" },
    problem: "spec.vaultAuthMethod: must be one of k8s, token, userpass, approle, github, iam, jwt, cert, ldap",
  },
  {
    name: "several",
    spec: { path, secrets: [{ key: 1, encryptedSecret: 2 }], includeSecrets: "common" },
    problem:
      "spec.secrets[0].key: must be a string; spec.secrets[0].encryptedSecret: must be a string; spec.includeSecrets: must be a list",
  },
];

/** Of another type than the schema says where a rule, or a list by its key, looks. */
const refusedAsAWhole = [
  {
    name: "no-key",
    spec: { path, secrets: [entry, {}] },
    problem: "spec.secrets[1].key: must be a string",
    why: /DeletionBlocked: .*spec\.secrets\[1\]\.key: Required value/,
  },
  {
    name: "path-is-a-number",
    spec: { path: 5, secrets: [entry] },
    problem: "spec.path: must be a string",
    why: /DeletionBlocked: .*spec\.path/,
  },
];

/** What the rules of our CRDs refuse today. */
const breaking = ruleExamples().map(({ field, refused }, index) => {
  const messages = specRules.filter((rule) => rule.field === field).map(({ message }) => message);
  const problem = messages.map((message) => `spec.${field}: ${message}`).join("; ");
  return { name: `breaks-rule-${index}`, spec: { path, secrets: [entry], ...refused }, problem };
});

async function createOldObjects(): Promise<void> {
  for (const { name, spec } of [...invalid, ...breaking]) {
    const apiVersion = `${group}/${version}`;
    const metadata = { name, namespace: scene.namespace, finalizers };
    await scene.kube.create({ apiVersion, kind: "KMSVaultSecret", metadata, ...(spec && { spec }) });
  }
  for (const { name, spec } of refusedAsAWhole) await scene.create(name, spec, { finalizers });
  await scene.create("leads-up", { path: `${scene.v1}/../x`, secrets: [entry] }, { finalizers });
  await scene.create("a-map", { path, secrets: { a: "x" } });
  await scene.create("no-entries", { path: `${scene.v1}/no-entries` }, { finalizers });
  await scene.create("empty-list", { path: `${scene.v1}/empty-list`, secrets: [] }, { finalizers });
  const twice = [await scene.entry("a", "first"), await scene.entry("a", "second"), await scene.entry("b", "1")];
  await scene.create("same-key-twice", { path: `${scene.v1}/twice`, secrets: twice }, { finalizers });
  const unknown = { colour: "red", secrets: [{ ...(await scene.entry("a", "1")), colour: "red" }] };
  await scene.create("unknown-fields", { path: `${scene.v1}/unknown`, ...unknown });
  await scene.createPartial("no-secrets", {});
  await scene.create("includer", { path: `${scene.v1}/includer`, includeSecrets: ["no-secrets"], secrets: [entry] });
  await scene.create("odd-status", { path: `${scene.v1}/odd-status`, secrets: [await scene.entry("a", "1")] });
  const { namespace } = scene;
  const status = { created: "yes", conditions: "none", record: 5 };
  await scene.kube.patch({ ...secretPath({ namespace, name: "odd-status" }), subresource: "status" }, { status });
}

describe.each([...invalid, ...breaking])("$name", ({ name, problem }) => {
  test("says what is wrong, and can be deleted", async () => {
    const { message } = await scene.untilReady(name, "InvalidSpec");
    expect(message).toBe(`${problem}; nothing was written or removed; correct the object`);
    await scene.untilTold(name, { reason: "InvalidSpec", message });
    await scene.delete(name);
    await scene.untilGone(name);
  });
});

test("a path that leads up says so, and the object can be edited and deleted", async () => {
  await scene.untilReady("leads-up", "InvalidPath");
  await scene.edit("leads-up", { secrets: [entry, { ...entry, key: "b" }] });
  await scene.delete("leads-up");
  await scene.untilGone("leads-up");
});

test("an object that the API server takes no status for: the event says what is wrong", async () => {
  const message = "spec.secrets: must be a list; nothing was written or removed; correct the object";
  await scene.untilTold("a-map", { reason: "InvalidSpec", message });
  await scene.edit("a-map", { path: `${scene.v1}/a-map`, secrets: [entry] });
  await scene.untilReady("a-map", "Synced");
});

describe.each(refusedAsAWhole)("$name: an object that the API server takes no update of", ({ name, problem, why }) => {
  test("says why its finalizer stays, and goes when it is put right", async () => {
    const message = `${problem}; nothing was written or removed; correct the object`;
    await scene.untilTold(name, { reason: "InvalidSpec", message });
    await scene.delete(name);
    await scene.untilTold(name, { reason: "KubernetesError", message: expect.stringMatching(why) });
    await scene.edit(name, { path, secrets: [entry] });
    await scene.untilGone(name);
  });
});

test.each(["no-entries", "empty-list"])("%s: an empty secret is never written", async (name) => {
  expect((await scene.untilReady(name, "InvalidSpec")).message).toMatch(/^there is no entry: .*; add an entry$/);
  expect(await scene.atV1(name)).toBeUndefined();
  await scene.delete(name);
  await scene.untilGone(name);
});

test("a key twice in one list: the later one counts, as with the original, and the object can be deleted", async () => {
  const { message } = await scene.untilReady("same-key-twice", "Synced");
  expect(message).toContain("DuplicateKey: key a stands in more than one place, the one of spec.secrets counts");
  expect(await scene.atV1("twice")).toEqual({ a: "second", b: "1" });
  await scene.delete("same-key-twice");
  await scene.untilGone("same-key-twice");
  expect(await scene.atV1("twice")).toBeUndefined();
});

test("unknown fields mean nothing", async () => {
  await scene.untilReady("unknown-fields", "Synced");
  expect(await scene.atV1("unknown")).toEqual({ a: "1" });
});

test("a Partial without a list counts as missing, not as empty", async () => {
  await scene.untilReady("includer", "PartialNotFound");
  expect(await scene.atV1("includer")).toBeUndefined();
});

test("a status that is not ours counts as none, and is replaced", async () => {
  await scene.untilReady("odd-status", "Synced");
  expect(await scene.status("odd-status")).toMatchObject({ created: true, keys: { synced: 1 } });
  expect(await scene.atV1("odd-status")).toEqual({ a: "1" });
});

test("the others go on, the operator is unharmed", async () => {
  await scene.expectNeighbourGoesOn();
  await scene.expectUnharmed();
});
