// The README, followed from the clone to a secret in Vault and to the end, on a cluster and a Vault that nobody has touched.
// The reader's image is this checkout: the pods of the Deployment that Helm installs are processes here (nodes.ts). AWS is
// moto, which has users and grants as well.
import { spawnSync } from "node:child_process";
import { afterAll, describe, expect, inject } from "vitest";
import { DocShell } from "../../env/doc-shell.ts";
import { runPage } from "../../env/doc-pages.ts";
import { startMoto } from "../../env/moto.ts";
import { startStack, type Stack } from "../../env/stack.ts";
import { VaultClient } from "../../env/vault-client.ts";
import { Nodes } from "./nodes.ts";

const cleanUp = new AsyncDisposableStack();
let stack: Stack;
let nodes: Nodes;
let vault: VaultClient;

afterAll(() => cleanUp.disposeAsync());

// Whoever has no AWS command line cannot follow the page.
describe.runIf(spawnSync("aws", ["--version"]).status === 0)("on real servers", () => {
  runPage("README.md", {
    explain: () => nodes.problems.join("\n"),
    async open() {
      stack = await startStack({ programs: inject("stack").programs });
      cleanUp.defer(() => stack.stop());
      vault = new VaultClient(stack.info.vault);
      cleanUp.defer(() => vault.close());
      // As in a Vault that nobody has logged in to yet.
      await vault.delete("sys/auth/kubernetes");
      const aws = cleanUp.use(await startMoto());
      const info = { ...stack.info, kms: { endpoint: aws.url } };
      nodes = cleanUp.use(new Nodes(info));
      const region = { AWS_REGION: "eu-west-1", AWS_DEFAULT_REGION: "eu-west-1" };
      return DocShell.open({ stack: info, env: { AWS_ENDPOINT_URL_IAM: aws.url, ...region } });
    },
    replace: () => ({ "https://vault.example.com:8200": stack.info.vault.address }),
    after: {
      async Uninstall() {
        // deletionPolicy: Destroy
        expect(await vault.read("secret/metadata/shop/db")).toBeUndefined();
      },
    },
  });
});
