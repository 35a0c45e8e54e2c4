// The rules between fields, as the API server checks them in CEL and as the operator does: each accepts one example and
// refuses another, in both, in the same words.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { specRules } from "../../src/api/rules.ts";
import { validateKMSVaultSecret } from "../../src/api/validate.ts";
import { testEnv } from "../env/context.ts";
import { HttpError } from "../env/http.ts";
import { kmsVaultSecret } from "../gen/manifests.ts";
import { ruleExamples } from "../gen/rule-examples.ts";

const env = testEnv();
const right = { path: "secret/x", secrets: [{ key: "k", emptySecret: true }] };
let namespace: string;
beforeAll(async () => {
  namespace = await env.freshNamespace();
});
afterAll(async () => {
  await Promise.all([env.kube.close(), env.vault.close(), env.kms.close()]);
});

const examples = ruleExamples().map((example, index) => ({ ...example, name: `example-${index}` }));

describe.each(examples)("$field of $name", ({ field, accepted, refused, name }) => {
  const messages = specRules.filter((rule) => rule.field === field).map(({ message }) => message);

  test(`${JSON.stringify(accepted)} is accepted`, async () => {
    const manifest = kmsVaultSecret({ namespace, name }, { ...right, ...accepted });
    expect(await env.kube.create(manifest)).toMatchObject({ spec: accepted });
    expect(validateKMSVaultSecret(manifest)).toHaveProperty("valid");
  });

  test(`${JSON.stringify(refused)} is refused`, async () => {
    const manifest = kmsVaultSecret({ namespace, name: `${name}-refused` }, { ...right, ...refused });
    const refusal: unknown = await env.kube.create(manifest).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(HttpError);
    expect((refusal as HttpError).status).toBe(422);
    for (const message of messages) expect((refusal as HttpError).message).toContain(`${field} ${message}`);
    const validated = validateKMSVaultSecret(manifest);
    const problems = "invalid" in validated ? validated.invalid.problems : [];
    expect(problems).toEqual(messages.map((message) => ({ field: `spec.${field}`, message })));
  });
});

test.each([
  ["kv/team/../other", false],
  ["../kv/x", false],
  ["kv/x/..", false],
  ["kv/..x/...", true],
  ["kv//x/", true],
])("path %s: accepted %s", async (path, isAccepted) => {
  const name = `path-${path.length}`;
  const creating = env.kube.create(kmsVaultSecret({ namespace, name }, { ...right, path }));
  if (isAccepted) expect(await creating).toMatchObject({ spec: { path } });
  else await expect(creating).rejects.toThrow(/path must not have a segment/);
});
