// docs/concepts/supply-chain.md, followed by somebody who has built an image and pushed it to a registry of their own.
import { afterAll, inject } from "vitest";
import { runPage } from "../../env/doc-pages.ts";
import { DocShell } from "../../env/doc-shell.ts";
import { startSupplyScene, type SupplyScene } from "../supply-scene.ts";

let scene: SupplyScene;
afterAll(() => scene?.[Symbol.asyncDispose]());

runPage("docs/concepts/supply-chain.md", {
  async open() {
    scene = await startSupplyScene();
    await scene.push("v1.0.0-alpha.1", "docs");
    const { crane, cosign } = scene.programs;
    const env = { COSIGN_PASSWORD: "a password" };
    return DocShell.open({ stack: inject("stack"), programs: { crane, cosign }, env });
  },
  replace: () => ({ "registry.example.com/kms-vault-operator": scene.name }),
});
