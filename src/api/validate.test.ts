import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { describeProblems, validateKMSVaultSecret, validatePartialKMSVaultSecret } from "./validate.ts";

const metadata = {
  name: "a",
  namespace: "b",
  uid: "c",
  generation: 2,
  creationTimestamp: "2026-01-01T00:00:00Z",
  resourceVersion: "7",
};
const spec = { path: "secret/data/x", secrets: [{ key: "k", encryptedSecret: "AAAA" }] };

type Validate = typeof validateKMSVaultSecret | typeof validatePartialKMSVaultSecret;

function problemsOf(object: unknown, validate: Validate = validateKMSVaultSecret) {
  const result = validate(object);
  return "invalid" in result && result.invalid.problems.map(({ field, message }) => `${field} ${message}`);
}

describe("a valid object", () => {
  test("keeps what the product looks at of metadata, the spec and the status", () => {
    const status = { created: true, conditions: [] };
    expect(validateKMSVaultSecret({ metadata, spec, status })).toEqual({
      valid: {
        metadata: { name: "a", namespace: "b", uid: "c", generation: 2, creationTimestamp: "2026-01-01T00:00:00Z" },
        spec,
        status,
      },
    });
  });

  test("of the original's two generations is valid", () => {
    const first = { ...spec, vaultAuthMethod: "k8s", kvSettings: { engineVersion: "v2", casIndex: 0 } };
    const last = { ...spec, secretContext: { a: "b", c: "d" }, includeSecrets: ["p"], secrets: [] };
    for (const given of [first, last]) {
      expect(validateKMSVaultSecret({ metadata, spec: given })).toHaveProperty("valid.spec", given);
    }
  });

  test("loses a malformed status, not its validity", () => {
    for (const status of [{ conditions: "x" }, "x", null, { keys: { synced: -1 } }, { record: { mac: 1 } }]) {
      const result = validateKMSVaultSecret({ metadata, spec, status });
      expect(result).toHaveProperty("valid");
      expect(result).not.toHaveProperty("valid.status");
    }
  });
});

describe("an invalid object", () => {
  test("has every problem listed, with its field", () => {
    const bad = {
      path: "",
      vaultAuthMethod: "magic",
      kvSettings: { engineVersion: "v3", casIndex: -1 },
      secrets: [{ key: "ok" }, { key: 1, encryptedSecret: 2, secretContext: { a: 1 }, emptySecret: "no" }],
      includeSecrets: "p",
    };
    expect(problemsOf({ metadata, spec: bad })).toEqual([
      "spec.path must not be empty",
      "spec.vaultAuthMethod must be one of k8s, token, userpass, approle, github, iam, jwt, cert, ldap",
      "spec.kvSettings.engineVersion must be one of v1, v2",
      "spec.kvSettings.casIndex must be at least 0",
      "spec.secrets[1].key must be a string",
      "spec.secrets[1].encryptedSecret must be a string",
      "spec.secrets[1].secretContext.a must be a string",
      "spec.secrets[1].emptySecret must be a boolean",
      "spec.includeSecrets must be a list",
    ]);
  });

  test.each([
    [{ kvSettings: { casIndex: 1.5 } }, "spec.kvSettings.casIndex must be an integer"],
    [{ kvSettings: { casIndex: 2 ** 60 } }, `spec.kvSettings.casIndex must be at most ${Number.MAX_SAFE_INTEGER}`],
    [{ secretContext: [] }, "spec.secretContext must be a map"],
    [{ kvSettings: 1 }, "spec.kvSettings must be a map"],
  ])("%j", (part, problem) => {
    expect(problemsOf({ metadata, spec: { ...spec, ...part } })).toEqual([problem]);
  });

  test("without a spec says so, and keeps metadata and status for its deletion", () => {
    const result = validateKMSVaultSecret({ metadata, status: { created: true } });
    expect(result).toMatchObject({
      invalid: {
        problems: [{ field: "spec", message: "is required" }],
        metadata: { uid: "c" },
        status: { created: true },
      },
    });
    expect(problemsOf({ metadata, spec: {} }, validatePartialKMSVaultSecret)).toEqual(["spec.secrets must be a list"]);
  });

  test("is never quoted", () => {
    const canary = "canary-5f2c";
    const leaf = fc.oneof(
      fc.constant(canary),
      fc.integer(),
      fc.constant(null),
      fc.constant([canary]),
      fc.constant({ k: canary }),
    );
    const record = fc.record({
      path: leaf,
      vaultAuthMethod: leaf,
      kvSettings: fc.record({ engineVersion: leaf, casIndex: leaf }),
      secrets: fc.array(fc.record({ key: leaf, encryptedSecret: leaf, encoding: leaf, emptySecret: leaf })),
      onDecryptError: leaf,
    });
    fc.assert(
      fc.property(record, (bad) => {
        const result = validateKMSVaultSecret({ metadata, spec: bad });
        if (!("invalid" in result)) throw new Error("expected problems");
        expect(JSON.stringify(result.invalid.problems)).not.toContain(canary);
      }),
    );
  });

  test("that is no Kubernetes object at all throws", () => {
    for (const nothing of [undefined, null, 1, {}, { metadata: {} }, { metadata: { name: 1 } }]) {
      expect(() => validateKMSVaultSecret(nothing)).toThrow(TypeError);
    }
  });
});

test("describeProblems shows the first twenty", () => {
  const problems = Array.from({ length: 22 }, (_, index) => ({ field: `f${index}`, message: "m" }));
  expect(describeProblems(problems.slice(0, 2))).toBe("f0: m; f1: m");
  expect(describeProblems(problems)).toMatch(/f19: m; and 2 more problems$/);
});
