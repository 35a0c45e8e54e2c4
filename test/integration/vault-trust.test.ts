// Whom the operator believes to be Vault when no CA file is named: the authorities of the system, or anybody when told so,
// which it tells in turn.
import { afterAll, beforeAll, expect, test } from "vitest";
import { testEnv } from "../env/context.ts";
import { openScene, type Scene } from "./scene.ts";

const { vault } = testEnv().stack;
const warning = "VAULT_SKIP_VERIFY: whoever answers in Vault's place gets our token";
let scene: Scene;

beforeAll(async () => {
  scene = await openScene();
});

afterAll(() => scene[Symbol.asyncDispose]());

test.each([
  ["the system's authorities know Vault", { SSL_CERT_FILE: vault.caFile }, "Synced", 0],
  ["they do not", {}, "VaultUnavailable", 0],
  ["VAULT_SKIP_VERIFY is set", { VAULT_SKIP_VERIFY: "true" }, "Synced", 1],
])("%s", async (what, env, reason, isSkipped) => {
  const name = what.toLowerCase().replaceAll(/[^a-z]+/g, "-");
  await scene.create(name, { path: `${scene.v1}/${name}`, secrets: [await scene.entry("a", "b")] });
  await using operator = await scene.start({ env: { VAULT_CACERT: undefined, ...env } });
  await scene.untilReady(name, reason);
  expect(await operator.metric("kms_vault_operator_vault_tls_skip_verify")).toBe(isSkipped);
  expect(operator.logs().filter(({ msg }) => msg === warning)).toHaveLength(isSkipped);
});
