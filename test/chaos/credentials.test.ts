// What proves who is who, replaced while the operator runs: first the servers' side, so that for some seconds nothing
// fits, then the operator's files. Nobody restarts it, nobody tells it.
import { writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import { JsonClient } from "../env/http.ts";
import type { KeyPair } from "../env/certificates.ts";
import { survive } from "./fault.ts";
import { startChaos } from "./world.ts";

test("certificates and their authorities", async () => {
  await using world = await startChaos();
  const { stack, links } = world;
  let own: KeyPair;
  await survive(world, {
    name: "API server: CA and all certificates replaced",
    async begin() {
      await world.reachBy(await stack.kubernetes.rotate());
      own = await stack.kubernetes.clientCertificate("operator", "system:masters");
      // Whoever is connected already would not see the new certificate.
      await links.kubernetes.cut();
      await links.kubernetes.restore();
    },
    async end() {
      world.write("ca.crt", world.kubernetes.caPem);
      world.write("client.crt", own.certPem);
      world.write("client.key", own.keyPem);
    },
    isUnready: true,
  });

  let caPem: string;
  await survive(world, {
    name: "Vault: CA and certificate replaced",
    async begin() {
      caPem = await stack.vault.rotate();
      const client = new JsonClient(stack.info.vault.address, { caPem });
      await eventually(() => client.send({ method: "GET", path: "/v1/sys/health" }));
      await client.close();
      await world.reachVaultBy(caPem);
      await links.vault.cut();
      await links.vault.restore();
    },
    end: async () => writeFileSync(stack.info.vault.caFile, caPem),
  });
});

test("the token of the service account", async () => {
  await using world = await startChaos({ login: "token" });
  const account = { apiVersion: "v1", plural: "serviceaccounts", namespace: world.namespace };
  await survive(world, {
    name: "API server: token refused, then replaced",
    async begin() {
      const [{ metadata }] = await world.kube.list(account);
      // Made again under its name it is another account: the token is of one that is gone.
      await world.kube.delete({ ...account, name: metadata.name });
      await world.token();
    },
    end: async () => void world.write("token", await world.token()),
    // The API server believes a token for 10 s after it has looked.
    seconds: 15,
    expects: (before, after) => expect(after.unauthorized, "401s").toBeGreaterThan(before.unauthorized),
  });
});
