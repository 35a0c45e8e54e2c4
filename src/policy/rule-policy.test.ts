import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { kmsVaultSecretSpecSchema } from "../api/kinds.ts";
import { askedOf } from "./asked.ts";
import { parsePolicy } from "./parse.ts";
import type { Spec } from "./policy.ts";
import { type PolicySurroundings, RulePolicy } from "./rule-policy.ts";

const labels: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "team-a": { tenant: "blue" },
  "team-b": { tenant: "" },
  plain: {},
};

/** What stands around the policy; namespaces that are not above have no known labels. */
const around: PolicySurroundings = {
  labelsOf: (namespace) => labels[namespace],
  ownNamespace: "own",
  defaultMethod: "token",
  mayNameNamespace: false,
};

function policyOf(rules: readonly object[], changes: Partial<PolicySurroundings> = {}): RulePolicy {
  const parsed = parsePolicy(JSON.stringify({ rules }));
  if ("problems" in parsed) throw new Error(parsed.problems.join("; "));
  return new RulePolicy(parsed.rules, { ...around, ...changes });
}

/** One rule for everybody, that allows every path. */
function rule(fields: object): RulePolicy {
  return policyOf([{ name: "r", vaultPaths: ["**"], ...fields }]);
}

function refusals(policy: RulePolicy, spec: Spec, namespace = "team-a"): readonly string[] {
  return policy.refusals({ namespace, spec });
}

describe("which rule decides", () => {
  const policy = policyOf([
    { name: "names", namespaces: { names: ["team-x", "ops-*"] }, vaultPaths: ["kv/names"] },
    { name: "both", namespaces: { names: ["team-*"], labels: { tenant: "blue" } }, vaultPaths: ["kv/both"] },
    { name: "label", namespaces: { labels: { tenant: "*" } }, vaultPaths: ["kv/label"] },
    { name: "rest", namespaces: { names: ["team-*", "plain"] }, vaultPaths: ["kv/rest"] },
  ]);

  test.each([
    ["team-x", "names"],
    ["ops-1", "names"],
    ["team-a", "both"],
    ["team-b", "rest"],
    ["plain", "rest"],
  ])("of namespace %s: %s, the first that fits", (namespace, expected) => {
    expect(() => policy.assertMayUse(namespace, { namespace: "own", mount: "kv", path: expected })).not.toThrow();
    expect(refusals(policy, { path: "kv/other" }, namespace)).toEqual([
      `spec.path leads to no place among the vaultPaths of rule "${expected}" of the policy`,
    ]);
  });

  test("none fits: everything is denied, removals and accounts too", () => {
    const nobody = policyOf([{ name: "a", namespaces: { names: ["a"] }, vaultPaths: ["**"], serviceAccounts: ["*"] }]);
    const denied = ["no rule of the policy is for namespace plain"];
    expect(refusals(nobody, undefined, "plain")).toEqual(denied);
    expect(nobody.removalRefusals({ namespace: "plain", spec: {} })).toEqual(denied);
    expect(() => nobody.assertMayUse("plain", { namespace: "own", mount: "kv", path: "x" })).toThrow(denied[0]);
    expect(nobody.grants("plain").allowedKeys).toEqual([]);
    expect(nobody.grants("plain").mayLogIn("app")).toBe(false);
  });

  test("a rule whose labels are not known is never passed over, one before it decides all the same", () => {
    expect(refusals(policy, { path: "kv/names" }, "ops-unknown")).toEqual([]);
    for (const ask of [
      () => refusals(policy, { path: "kv/rest" }, "team-unknown"),
      () => policy.assertMayUse("team-unknown", { namespace: "own", mount: "kv", path: "rest" }),
      () => policy.grants("team-unknown"),
      () => policy.removalRefusals({ namespace: "team-unknown", spec: {} }),
    ]) {
      expect(ask).toThrow(expect.objectContaining({ code: "KubernetesError", retry: "backoff" }));
    }
  });

  test("whether labels are needed at all", () => {
    expect(policy.usesLabels).toBe(true);
    expect(rule({ vaultPaths: ["kv/{{namespace}}/x"] }).usesLabels).toBe(false);
    for (const fields of [
      { vaultPaths: ["kv/{{label:a}}"] },
      { vaultNamespaces: ["{{label:a}}"] },
      { vaultRoles: ["{{label:a}}"] },
      { serviceAccounts: ["{{label:a}}"] },
      { kmsKeys: ["{{label:a}}"] },
      { kmsRoleArns: ["{{label:a}}"] },
    ]) {
      expect(rule(fields).usesLabels).toBe(true);
    }
  });
});

describe("what the object alone tells", () => {
  const account = { serviceAccountRef: { name: "app" } };
  const arn = "arn:aws:kms:eu-west-1:111122223333:key/";
  const listed = { kmsKeys: [`${arn}1`, "age1listed", "transit/app"] };
  const role = "arn:aws:iam::111122223333:role/";

  test.each<[what: string, fields: object, spec: Record<string, unknown>, refused: string | undefined]>([
    ["nothing", {}, {}, undefined],
    ["the default method, allowed", { authMethods: ["token"] }, {}, undefined],
    ["the default method, not allowed", { authMethods: ["k8s"] }, {}, "spec.vaultAuthMethod: token"],
    ["a service account's method, which is k8s", { authMethods: ["k8s"] }, account, undefined],
    ["a named method", { authMethods: ["k8s"] }, { ...account, vaultAuthMethod: "jwt" }, "spec.vaultAuthMethod: jwt"],
    ["nonsense for a method is the default", { authMethods: ["token"] }, { vaultAuthMethod: 3 }, undefined],
    ["a role of its own", { vaultRoles: ["{{namespace}}-*"] }, { ...account, vaultRole: "team-a-x" }, undefined],
    [
      "a role of another's",
      { vaultRoles: ["{{namespace}}-*"] },
      { ...account, vaultRole: "team-b-x" },
      "spec.vaultRole",
    ],
    ["the operator's role", { vaultRoles: [] }, account, undefined],
    ["no account", { require: { serviceAccountRef: true } }, {}, "spec.serviceAccountRef"],
    ["an account", { require: { serviceAccountRef: true } }, account, undefined],
    [
      "an account without a name",
      { require: { serviceAccountRef: true } },
      { serviceAccountRef: {} },
      "spec.serviceAccountRef",
    ],
    ["no binding", { require: { bindContext: "Namespace" } }, {}, "spec.bindContext must be Namespace"],
    [
      "nonsense for a binding",
      { require: { bindContext: "Namespace" } },
      { bindContext: "Cluster" },
      "spec.bindContext",
    ],
    ["the least binding", { require: { bindContext: "Namespace" } }, { bindContext: "Namespace" }, undefined],
    ["more than the least", { require: { bindContext: "Namespace" } }, { bindContext: "Key" }, undefined],
    ["less than the least", { require: { bindContext: "Key" } }, { bindContext: "Object" }, "spec.bindContext"],
    ["a role in AWS, none allowed", {}, { kmsRoleArn: `${role}x` }, "spec.kmsRoleArn"],
    ["its own role in AWS", { kmsRoleArns: [`${role}{{namespace}}`] }, { kmsRoleArn: `${role}team-a` }, undefined],
    [
      "another's role in AWS",
      { kmsRoleArns: [`${role}{{namespace}}`] },
      { kmsRoleArn: `${role}team-b` },
      "spec.kmsRoleArn",
    ],
    ["a listed key", listed, { kmsKeyId: `${arn}1` }, undefined],
    ["a key that is not listed", listed, { kmsKeyId: `${arn}2` }, "spec.kmsKeyId"],
    ["an alias, which may be a listed key's", listed, { kmsKeyId: "alias/app" }, undefined],
    ["a key's id, which may be a listed key's", listed, { kmsKeyId: "1" }, undefined],
    ["a key where an alias is listed", { kmsKeys: ["alias/app"] }, { kmsKeyId: `${arn}1` }, undefined],
    ["a recipient that is listed", listed, { kmsKeyId: "age1listed" }, undefined],
    ["a recipient that is not", listed, { kmsKeyId: "age1other" }, "spec.kmsKeyId"],
    ["a transit key that is not listed", listed, { kmsKeyId: "transit/other" }, "spec.kmsKeyId"],
    [
      "an alias where nothing of AWS is listed",
      { kmsKeys: ["age1listed"] },
      { kmsKeyId: "alias/app" },
      "spec.kmsKeyId",
    ],
    ["any key", { kmsKeys: ["*"] }, { kmsKeyId: "age1other" }, undefined],
    ["the operator's own Vault namespace", {}, { vaultNamespace: "/own/" }, undefined],
    ["another Vault namespace", {}, { vaultNamespace: "other" }, "--allow-vault-namespaces"],
    ["the root namespace", {}, { vaultNamespace: "" }, "spec.vaultNamespace"],
    ["its own Vault namespace", { vaultNamespaces: ["t/{{namespace}}"] }, { vaultNamespace: "t/team-a" }, undefined],
    [
      "a Vault namespace below its own",
      { vaultNamespaces: ["t/{{namespace}}"] },
      { vaultNamespace: "t/team-a/x" },
      "spec.vaultNamespace",
    ],
    [
      "a Vault namespace that leads up",
      { vaultNamespaces: ["t/*"] },
      { vaultNamespace: "t/.." },
      "spec.vaultNamespace",
    ],
    ["none named, the operator's not listed", { vaultNamespaces: ["t/*"] }, {}, "vaultNamespaces"],
    ["the root namespace, listed", { vaultNamespaces: [""] }, { vaultNamespace: "" }, undefined],
    ["a path", { vaultPaths: ["kv/a/*"] }, { path: "kv/a/x" }, undefined],
    ["the API's path", { vaultPaths: ["kv/a/*"] }, { path: "/kv//data/a/x/" }, undefined],
    ["the API's path, mount of two segments", { vaultPaths: ["kv/two/a/*"] }, { path: "kv/two/data/a/x" }, undefined],
    ["a path that could be either", { vaultPaths: ["kv/data/x"] }, { path: "kv/data/data/x" }, undefined],
    ["a mount named data", { vaultPaths: ["kv/x"] }, { path: "data/kv/x" }, "spec.path"],
    ["data twice taken away", { vaultPaths: ["kv/x"] }, { path: "kv/data/data/x" }, "spec.path"],
    ["a path elsewhere", { vaultPaths: ["kv/a/*"] }, { path: "kv/b/x" }, "spec.path"],
    ["no path is allowed", { vaultPaths: [] }, { path: "kv/b/x" }, "spec.path"],
    ["a path that is none is said elsewhere", { vaultPaths: [] }, { path: "kv/../x" }, undefined],
    ["nonsense for a path", { vaultPaths: [] }, { path: 7 }, undefined],
  ])("%s", (_, fields, spec, refused) => {
    const found = refusals(rule(fields), spec);
    if (refused === undefined) expect(found).toEqual([]);
    else expect(found).toEqual([expect.stringContaining(refused)]);
  });

  test("everything at once", () => {
    const strict = rule({ vaultPaths: [], authMethods: [], require: { bindContext: "Key", serviceAccountRef: true } });
    expect(refusals(strict, { path: "kv/x", kmsRoleArn: "x", vaultNamespace: "x" })).toHaveLength(6);
  });

  test("whatever stands in a spec: every question has an answer, and a denied path stays denied", () => {
    const strict = rule({
      vaultPaths: ["kv/a/*"],
      vaultNamespaces: ["t"],
      kmsKeys: [],
      vaultRoles: [],
      kmsRoleArns: [],
    });
    const fields = [
      "path",
      "vaultNamespace",
      "vaultAuthMethod",
      "serviceAccountRef",
      "vaultRole",
      "kmsKeyId",
      "bindContext",
    ];
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...fields), fc.anything()), (spec) => {
        expect(refusals(strict, { ...spec, path: "kv/b/x" })).toContainEqual(expect.stringContaining("spec.path"));
        expect(Array.isArray(strict.refusals({ namespace: "team-a", spec }))).toBe(true);
        expect(Array.isArray(strict.removalRefusals({ namespace: "team-a", spec }))).toBe(true);
      }),
    );
  });

  test("a path without end costs no time, and is judged by where it leads", () => {
    const path = `kv/${"data/x/".repeat(200_000)}`;
    expect(refusals(rule({ vaultPaths: ["kv/a"] }), { path })).toEqual([]);
    const place = { namespace: "own", mount: "kv", path: path.slice(3, -1) };
    expect(() => rule({ vaultPaths: ["kv/a"] }).assertMayUse("team-a", place)).toThrow("not among the vaultPaths");
  });

  test("with --allow-vault-namespaces a rule that says nothing of them allows all", () => {
    const policy = policyOf([{ name: "r", vaultPaths: ["**"] }], { mayNameNamespace: true });
    expect(refusals(policy, { vaultNamespace: "other" })).toEqual([]);
  });
});

describe("a place", () => {
  const policy = rule({ vaultPaths: ["kv/{{namespace}}/**"], vaultNamespaces: ["t"] });

  test.each([
    [{ namespace: "t", mount: "kv", path: "team-a/x" }, true],
    [{ namespace: "t", mount: "kv", path: "team-a" }, false],
    [{ namespace: "t", mount: "kv", path: "team-b/x" }, false],
    [{ namespace: "t", mount: "kv", path: "data/team-a/x" }, false],
    [{ namespace: "t", mount: "kv/team-a", path: "x" }, true],
    [{ namespace: "", mount: "kv", path: "team-a/x" }, false],
    [{ namespace: "own", mount: "kv", path: "team-a/x" }, false],
  ])("%j: %s", (place, isAllowed) => {
    const use = () => policy.assertMayUse("team-a", place);
    if (isAllowed) expect(use).not.toThrow();
    else expect(use).toThrow(expect.objectContaining({ code: "PolicyDenied", retry: "terminal" }));
    expect(policy.removalRefusals({ namespace: "team-a", spec: {} }, place)).toHaveLength(isAllowed ? 0 : 1);
  });

  test("of a removal: what the spec names counts only where no place is known, keys and binding not at all", () => {
    const strict = rule({ vaultPaths: ["kv/a"], authMethods: ["k8s"], require: { bindContext: "Key" } });
    const claimant = { namespace: "team-a", spec: { path: "kv/b", kmsRoleArn: "x" } };
    const login = expect.stringContaining("spec.vaultAuthMethod");
    expect(strict.removalRefusals(claimant)).toEqual([login, expect.stringContaining("spec.path")]);
    expect(strict.removalRefusals(claimant, { namespace: "own", mount: "kv", path: "a" })).toEqual([login]);
  });
});

test("grants: the keys of the rule as they stand, and its service accounts", () => {
  const policy = rule({
    kmsKeys: ["alias/{{namespace}}", "transit/{{label:none}}"],
    serviceAccounts: ["{{namespace}}-*"],
  });
  const { allowedKeys, mayLogIn } = policy.grants("team-a");
  expect(allowedKeys).toEqual(["alias/team-a"]);
  expect([mayLogIn("team-a-x"), mayLogIn("team-b-x")]).toEqual([true, false]);
  expect(rule({}).grants("team-a").allowedKeys).toBeUndefined();
  expect(rule({ kmsKeys: ["*"] }).grants("team-a").allowedKeys).toBeUndefined();
});

test("what is asked of the policy is all that it looks at in a spec, and no more", () => {
  const read = new Set<PropertyKey>();
  const fields = {
    authMethods: ["k8s"],
    vaultRoles: ["x"],
    vaultNamespaces: ["x"],
    kmsKeys: ["x"],
    kmsRoleArns: ["x"],
    require: { bindContext: "Key", serviceAccountRef: true },
  };
  const watched = new Proxy({}, { get: (_, field) => void read.add(field) });
  expect(refusals(rule({ ...fields, vaultPaths: ["kv/x"] }), watched).length).toBeGreaterThan(0);
  const asked = Object.keys(kmsVaultSecretSpecSchema.shape).filter(
    (field) => JSON.stringify(askedOf({ [field]: "set" })) !== JSON.stringify(askedOf({})),
  );
  expect(new Set(asked)).toEqual(new Set(read));
});

describe("without a policy", () => {
  const free = new RulePolicy(undefined, around);

  test.each<[what: string, spec: Spec, refused: string | undefined]>([
    ["any path", { path: "kv/x" }, undefined],
    ["any login", { vaultAuthMethod: "userpass", vaultRole: "x", kmsKeyId: "alias/x" }, undefined],
    ["no spec", undefined, undefined],
    ["another Vault namespace", { vaultNamespace: "other" }, "--allow-vault-namespaces"],
    ["a role in AWS", { kmsRoleArn: "arn:aws:iam::111122223333:role/x" }, "it takes a policy with kmsRoleArns"],
  ])("%s", (_, spec, refused) => {
    const found = refusals(free, spec, "unknown");
    expect(found).toEqual(refused === undefined ? [] : [expect.stringContaining(refused)]);
  });

  test("places of the operator's own Vault namespace", () => {
    expect(() => free.assertMayUse("unknown", { namespace: "own", mount: "kv", path: "x" })).not.toThrow();
    expect(() => free.assertMayUse("unknown", { namespace: "", mount: "kv", path: "x" })).toThrow("is not allowed");
    expect(free.grants("unknown").mayLogIn("app")).toBe(false);
    expect(free.usesLabels).toBe(false);
  });
});
