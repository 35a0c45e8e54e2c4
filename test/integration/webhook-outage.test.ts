// While KMS cannot say anything, or not to us, values are let through with a warning; what needs no KMS is denied all the
// same. And the answer comes before the API server stops waiting for it.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { FaultSettings } from "../../src/kms/emulator/faults.ts";
import { uniqueName } from "../env/unique.ts";
import { denial, openReviewScene, type ReviewScene } from "./review-scene.ts";

let scene: ReviewScene;
let name: string;
beforeAll(async () => {
  scene = await openReviewScene({ configuration: { timeoutSeconds: 3 } });
});
afterAll(() => scene[Symbol.asyncDispose]());
beforeEach(() => {
  name = uniqueName("object");
});
afterEach(() => scene.kms.reset());

describe.each<[string, FaultSettings, string]>([
  ["answers with errors", { outage: "error" }, "KMSUnavailable"],
  ["breaks connections", { outage: "reset" }, "KMSUnavailable"],
  ["hangs", { outage: "hang" }, "KMSUnavailable"],
  ["throttles", { throttle: true }, "KMSThrottled"],
  ["denies us access", { accessDenied: true }, "KMSAccessDenied"],
])("KMS %s:", (_, fault, code) => {
  test("a warning, and what is wrong without KMS is denied", async () => {
    const secrets = [await scene.entry("one"), await scene.entry("two")];
    await scene.kms.faults({ ...fault, operations: ["Decrypt"] });
    const warnings = await scene.warnings(scene.secret(name, { secrets }));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(new RegExp(`^Warning: not checked, ${code}: keys one, two: `));
    const malformed = { key: "malformed", encryptedSecret: "no base64!" };
    expect(await denial(scene.create(uniqueName("object"), { secrets: [...secrets, malformed] }))).toMatch(
      /^Error decoding key malformed in KMSVaultSecret [^\n]*$/,
    );
    expect(await scene.webhook.metric("kms_vault_operator_webhook_unchecked_values_total", { code })).toBeGreaterThan(
      1,
    );
  });

  test("a Partial likewise", async () => {
    const secrets = [await scene.entry("one")];
    await scene.kms.faults({ ...fault, operations: ["Decrypt"] });
    const warnings = await scene.warnings(scene.partial(name, { secrets }));
    expect(warnings).toEqual([expect.stringMatching(`not checked, ${code}: keys one: `)]);
  });
});

test("afterwards values are checked again", async () => {
  const foreign = { ...(await scene.entry("k")), secretContext: { of: "another" } };
  expect(await denial(scene.create(name, { secrets: [foreign] }))).toMatch(/^Error decrypting key k /);
});
