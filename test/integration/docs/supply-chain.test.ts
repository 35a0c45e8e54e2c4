// docs/concepts/supply-chain.md, followed by somebody who has built an image for two platforms and pushed it to a registry
// of their own.
import { afterAll, expect, inject } from "vitest";
import { runPage } from "../../env/doc-pages.ts";
import { DocShell } from "../../env/doc-shell.ts";
import { startSupplyScene, type SupplyScene } from "../supply-scene.ts";

let scene: SupplyScene;
afterAll(() => scene?.[Symbol.asyncDispose]());

runPage("docs/concepts/supply-chain.md", {
  async open() {
    scene = await startSupplyScene();
    const { crane, cosign } = scene.programs;
    const parts = [await scene.push("amd64", "docs"), await scene.push("arm64", "docs", "arm64")];
    const index = [...parts.flatMap((part) => ["--manifest", part]), "--tag", `${scene.name}:v1.0.0-alpha.1`];
    expect(await scene.run(crane, ["index", "append", ...index])).toMatchObject({ ok: true });
    const env = { COSIGN_PASSWORD: "a password" };
    return DocShell.open({ stack: inject("stack"), programs: { crane, cosign }, env });
  },
  replace: () => ({ "registry.example.com/kms-vault-operator": scene.name }),
});
