// Sealed and never initialised are refused with the same words by the real server; what to do about them is not the same.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { testEnv } from "../env/context.ts";
import { JsonClient } from "../env/http.ts";
import { freePort } from "../env/ports.ts";
import { privateVault } from "../env/private.ts";
import { ProcessGroup } from "../env/processes.ts";
import { FakeClock } from "../gen/fake-clock.ts";
import { vaultOn } from "./vault-fixture.ts";
import { startFront } from "./vault-front.ts";

const { programs } = testEnv().stack;
const place = { namespace: "", mount: "kv", engineVersion: "v1", path: "x" } as const;

test("a Vault that was never initialised says so until it is, and that it is sealed from then on", async () => {
  const group = await ProcessGroup.create();
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  const tcp = { address: `127.0.0.1:${port}`, tls_disable: true };
  const config = join(group.directory, "new.json");
  await writeFile(config, JSON.stringify({ storage: { inmem: {} }, listener: { tcp }, api_addr: address }));
  const admin = new JsonClient(address);
  await group.start({
    name: "new",
    program: programs.bao,
    args: ["server", `-config=${config}`],
    ready: async () => (await admin.ask({ method: "GET", path: "/v1/sys/health" })).status === 501,
  });
  const clock = new FakeClock();
  // A namespace has no health page.
  const { vault } = vaultOn({ address, caPem: "", rootToken: "none" }, { clock });
  const access = vault.access({ method: "token", namespace: "team" });
  const uninitialised = {
    code: "VaultSealed",
    message: `Vault at ${address} is not initialised yet: run \`bao operator init\` (\`vault operator init\`), then unseal it`,
  };
  await expect(access.read(place)).rejects.toMatchObject(uninitialised);
  await admin.send({ method: "PUT", path: "/v1/sys/init", body: { secret_shares: 1, secret_threshold: 1 } });
  // Its word is believed for five seconds, and a failed login is not tried again for as long.
  clock.freeze(6_000);
  await expect(access.read(place)).rejects.toMatchObject({
    code: "VaultSealed",
    message: `Vault at ${address} is sealed: unseal it`,
  });
  await vault.close();
  await admin.close();
  await group.stop();
});

test("a sealed Vault is asked once for what it refuses to many, and without the token", async () => {
  await using real = await privateVault();
  await using front = await startFront(real.info);
  const clock = new FakeClock();
  const { vault } = vaultOn({ ...real.info, address: front.address }, { clock });
  const access = vault.access({ method: "token", namespace: "" });
  expect((await access.read(place)).state).toBe("absent");
  await real.seal();
  const sealed = { code: "VaultSealed", message: `Vault at ${front.address} is sealed: unseal it` };
  const refused = () => access.read(place).catch((error: unknown) => error);
  const asked = () => front.arrived.filter(({ path }) => path.startsWith("/v1/sys/health"));
  expect(await Promise.all([refused(), refused(), refused()])).toMatchObject([sealed, sealed, sealed]);
  expect(asked()).toEqual([expect.objectContaining({ method: "GET", token: undefined })]);
  clock.freeze(5_000);
  expect(await refused()).toMatchObject(sealed);
  expect(asked()).toHaveLength(2);
  await real.unseal();
  expect((await access.read(place)).state).toBe("absent");
  await vault.close();
});

test("where the health page does not answer, the message says both", async () => {
  await using real = await privateVault();
  await using front = await startFront(real.info, {
    inPlace: (response, { url }) => {
      if (!url?.includes("sys/health")) return false;
      response.writeHead(403).end("<html>canary</html>");
      return true;
    },
  });
  await real.seal();
  const { vault } = vaultOn({ ...real.info, address: front.address });
  await expect(vault.access({ method: "token", namespace: "" }).read(place)).rejects.toMatchObject({
    code: "VaultSealed",
    message: `Vault at ${front.address} is sealed, or not initialised yet: unseal it`,
  });
  await vault.close();
});
