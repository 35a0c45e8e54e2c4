import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OperatorError } from "../base/errors.ts";
import type { TenancyPolicy } from "../policy/policy.ts";
import { type Finding, sinceBefore, type StructureRules, structureOf } from "./structure.ts";
import { readSubject } from "./subject.ts";

const freedom: TenancyPolicy = {
  refusals: () => [],
  removalRefusals: () => [],
  assertMayUse: () => {},
  grants: () => ({ mayLogIn: () => false }),
};
const rules: StructureRules = { assertPath: () => {}, assertCiphertext: () => {}, policy: freedom };

function secret(spec: unknown) {
  return readSubject({ spec }, { kind: "KMSVaultSecret", namespace: "ns", name: "object" });
}

function textsOf(found: readonly Finding[]): string[] {
  return found.map(({ text }) => text);
}

describe("sinceBefore", () => {
  const before = structureOf(secret({ path: "x", secrets: [{ key: "" }, { key: "a", emptySecret: true }] }), rules);

  test("what moved within a list was so before; once more is new", () => {
    const moved = structureOf(secret({ path: "x", secrets: [{ key: "a", emptySecret: true }, { key: "" }] }), rules);
    expect(textsOf(moved.findings)).toEqual(["spec.secrets[1].key: must not be empty"]);
    expect(sinceBefore(moved.findings, before.findings)).toEqual({ fresh: [], former: moved.findings });
    const twice = structureOf(secret({ path: "x", secrets: [{ key: "" }, { key: "" }] }), rules);
    const { fresh, former } = sinceBefore(twice.findings, before.findings);
    expect([fresh, former].map((found) => found.length)).toEqual([1, 1]);
  });

  test("nothing is lost, and nothing is new that was there as often", () => {
    const findings = fc.array(fc.constantFrom("a", "b", "c").map((text) => ({ text, identity: text })));
    fc.assert(
      fc.property(findings, findings, (now, old) => {
        const { fresh, former } = sinceBefore(now, old);
        expect([...fresh, ...former].map(({ text }) => text).toSorted()).toEqual(textsOf(now).toSorted());
        for (const name of ["a", "b", "c"]) {
          const count = (list: readonly Finding[]) => list.filter(({ text }) => text === name).length;
          expect(count(fresh)).toBe(Math.max(0, count(now) - count(old)));
        }
      }),
    );
  });
});

describe("the policy", () => {
  const refusing = (refusals: readonly string[]): StructureRules => ({
    ...rules,
    policy: { ...freedom, refusals: () => refusals },
  });

  test("its refusals are among the rest, and are new when something else is asked for", () => {
    const structure = structureOf(secret({ path: "theirs/x", secrets: [] }), refusing(["not this path"]));
    expect(textsOf(structure.findings)).toEqual(["PolicyDenied: not this path"]);
    expect(structure.isRefused).toBe(true);
    const same = structureOf(secret({ path: "theirs/x", secrets: [], suspend: true }), refusing(["not this path"]));
    expect(sinceBefore(same.findings, structure.findings).fresh).toEqual([]);
    const other = structureOf(secret({ path: "theirs/y", secrets: [] }), refusing(["not this path"]));
    expect(sinceBefore(other.findings, structure.findings).fresh).toHaveLength(1);
  });

  test.each([
    [{ deletionPolicy: "Retain", onDecryptError: "Skip", writeMode: "Merge", kvSettings: { engineVersion: "v1" } }, 0],
    [{ vaultNamespace: "t" }, 1],
    [{ vaultAuthMethod: "k8s" }, 1],
    [{ vaultRole: "r", serviceAccountRef: { name: "a" } }, 1],
    [{ serviceAccountRef: { name: "a" } }, 1],
    [{ kmsKeyId: "alias/x" }, 1],
    [{ kmsRoleArn: "arn:aws:iam::111122223333:role/x" }, 1],
    [{ bindContext: "Key" }, 1],
  ])("what an edit of %j brings to an object that is refused already: %i refusals", (change, fresh) => {
    const denying = refusing(["not this path"]);
    const before = structureOf(secret({ path: "theirs/x", secrets: [] }), denying);
    const after = structureOf(secret({ path: "theirs/x", secrets: [], ...change }), denying);
    expect(sinceBefore(after.findings, before.findings).fresh).toHaveLength(fresh);
  });

  test("a Partial asks for nothing by itself", () => {
    const partial = readSubject(
      { spec: { secrets: [] } },
      { kind: "PartialKMSVaultSecret", namespace: "ns", name: "p" },
    );
    expect(structureOf(partial, refusing(["no"])).findings).toEqual([]);
  });

  test("labels that are not known are no refusal", () => {
    const unknown = new OperatorError("KubernetesError", "the labels are not known");
    const policy: TenancyPolicy = {
      ...freedom,
      refusals: () => {
        throw unknown;
      },
    };
    const structure = structureOf(secret({ path: "x", secrets: [] }), { ...rules, policy });
    expect(structure).toMatchObject({ findings: [], isRefused: false, unknown: [unknown] });
  });
});

test("one field that is wrong hides nothing of the others", () => {
  const broken = new OperatorError("InvalidPath", "no such path");
  const structure = structureOf(
    secret({
      path: "..",
      syncPeriod: 7,
      secrets: [{ key: 1 }, { key: "k", secretContext: { "k8s.patoarvizu.dev/name": "x" } }],
    }),
    {
      ...rules,
      assertPath: () => {
        throw broken;
      },
    },
  );
  expect(textsOf(structure.findings)).toEqual([
    expect.stringMatching(/^spec\.secrets\[0\]\.key: must be a string$/),
    expect.stringMatching(/^spec\.syncPeriod: must be a string$/),
    "InvalidPath: no such path",
    expect.stringMatching(/^ReservedContextKey: key k: /),
  ]);
  expect([...structure.badKeys]).toEqual(["k"]);
});

test("a context that names a place by hand is told where it stands, used or not", () => {
  const context = { "k8s.patoarvizu.dev/namespace": "theirs" };
  const own = { key: "own", secretContext: { a: "b" }, encryptedSecret: "x" };
  const spec = {
    path: "x",
    secretContext: context,
    secrets: [own, { key: "k" }, { key: "e", emptySecret: true, secretContext: context }],
  };
  const structure = structureOf(secret(spec), rules);
  expect(textsOf(structure.findings)).toEqual([
    expect.stringMatching(/^ReservedContextKey: spec\.secretContext: /),
    expect.stringMatching(/^ReservedContextKey: key e: /),
  ]);
  expect([...structure.badKeys]).toEqual(["own", "k"]);
});

test("the same malformed ciphertext was so before, another one is new; neither is shown", () => {
  const malformed: StructureRules = {
    ...rules,
    assertCiphertext: () => {
      throw new OperatorError("DecodingError", "no base64");
    },
  };
  const of = (encryptedSecret: string) =>
    structureOf(secret({ path: "x", secrets: [{ key: "k", encryptedSecret }] }), malformed).findings;
  expect(textsOf(of("canary"))).toEqual(["Error decoding key k in KMSVaultSecret object: no base64"]);
  expect(sinceBefore(of("canary"), of("canary")).fresh).toEqual([]);
  expect(sinceBefore(of("canary"), of("other")).fresh).toHaveLength(1);
});
